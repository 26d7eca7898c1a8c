"""runtimes.foundry_local: what it takes, and this machine's answers."""

import shutil

from course.runtimes.listing import answers, made


def test_it_says_why_it_has_an_environment_of_its_own():
    need = made("foundry local").need()
    assert "another onnxruntime" in need and "python -m pip install foundry-local-sdk" in need


def test_the_machine_says_whether_the_command_is_here(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda program: f"/bin/{program}")
    assert dict(answers("foundry local").rows)["the older command `foundry`"] == "on the PATH"
