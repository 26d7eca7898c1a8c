"""A short training that is watched, or stopped."""

import sys

import pytest

from course.widgets import watch_training
from slmlab.errors import BadRequest

TEXTS = {"letters": "abcdefgh " * 100, "digits": "0123456789 " * 100}
FEW = {"steps": 15, "batch": 4, "length": 16}
MODULE = sys.modules["course.widgets.watch_training"]
pytestmark = pytest.mark.usefixtures("one_thread")


def test_it_gives_every_step_and_shows_the_last_state(capsys):
    moments = watch_training(TEXTS, **FEW)
    assert [one.step for one in moments] == list(range(1, 16)) and moments[-1].load.shape == (2, 8)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" · ")[0] for line in lines] == ["step 10 of 15", "step 15 of 15"]
    assert "idlest expert: layer 0" in lines[-1] and "<" not in lines[-1], "a terminal gets words"
    assert MODULE._bars(moments[-1], lines[-1]).count("width: 34px") == 2 * 8, "a bar for each expert of each layer"


def test_in_a_notebook_what_is_shown_is_one_place_that_changes():
    from IPython.core.displaypub import CapturingDisplayPublisher
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell.instance()
    try:
        shell.display_pub = CapturingDisplayPublisher()
        watch_training(TEXTS, **FEW)
        first, second = shell.display_pub.outputs
    finally:
        InteractiveShell.clear_instance()
    assert first["data"]["text/plain"].startswith("step 10") and second["data"]["text/plain"].startswith("step 15")
    assert second["update"] and first["transient"] == second["transient"]


def test_an_interrupt_keeps_what_was_seen(monkeypatch, capsys):
    advance = MODULE.Training.advance

    def until_five(self):
        if self.step == 5:
            raise KeyboardInterrupt
        return advance(self)

    monkeypatch.setattr(MODULE.Training, "advance", until_five)
    assert len(watch_training(TEXTS, **FEW)) == 5
    assert "Stopped after 5 of 15 steps" in capsys.readouterr().out


def test_a_text_that_is_shorter_than_a_row_is_named():
    with pytest.raises(BadRequest, match="more than 128 bytes: mine"):
        watch_training({"mine": "hello", **TEXTS})
