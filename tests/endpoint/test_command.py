"""serving/command: the options of `python -m slmlab serve`, and what they start."""

import argparse
import sys

import pytest

from endpoint import app
from endpoint import start as command
from slmlab.errors import BadRequest, NotHere


def parsed(*arguments):
    parser = argparse.ArgumentParser()
    command.register(parser.add_subparsers())
    return parser.parse_args(["serve", *arguments])


def test_what_is_asked_for_reaches_the_server(monkeypatch, tiny_onnx_folder):
    seen = {}
    monkeypatch.setattr(app, "run", lambda model, listening, **options: seen.update(options, seats=model.seats))
    monkeypatch.setenv("SLMLAB_SERVER_KEY", "from-the-variable")
    options = ("--profile", "nvidia", "--seats", "3", "--waiting", "5", "--per-minute", "7", "--retired")
    assert command.run(parsed("--model", str(tiny_onnx_folder), "--precision", "fp32", *options)) == 0
    assert (seen["key"], seen["profile"], seen["waiting"]) == ("from-the-variable", "nvidia", 5)
    assert seen["switches"].per_minute == 7 and seen["switches"].retired and not seen["switches"].record


def test_a_key_on_the_command_line_comes_before_the_variable(monkeypatch, tiny_onnx_folder):
    seen = {}
    monkeypatch.setattr(app, "run", lambda model, listening, **options: seen.update(options))
    monkeypatch.setenv("SLMLAB_SERVER_KEY", "from-the-variable")
    command.run(parsed("--model", str(tiny_onnx_folder), "--precision", "fp32", "--api-key", "given"))
    assert seen["key"] == "given"


def test_a_place_that_needs_a_key_is_refused_before_a_model_is_loaded(monkeypatch):
    monkeypatch.delenv("SLMLAB_SERVER_KEY", raising=False)
    with pytest.raises(BadRequest, match="Give a key"):
        command.run(parsed("--host", "0.0.0.0", "--model", "no such model"))


def test_a_missing_package_is_named_with_the_line_that_installs_it(monkeypatch):
    for name in [one for one in sys.modules if one.split(".")[0] == "uvicorn" or one == "endpoint.app"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("endpoint.app")
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(NotHere, match="python -m pip install uvicorn"):
        command.run(parsed())
