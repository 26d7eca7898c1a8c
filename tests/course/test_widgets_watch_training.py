"""teaching/training_view: a short training that is watched, stopped, or refused."""

import pytest

from course.widgets import watch_training as training_view
from course.widgets.watch_training import watch_training
from slmlab.errors import BadRequest

TEXTS = {"letters": "abcdefgh " * 100, "digits": "0123456789 " * 100}
FEW = {"steps": 25, "batch": 4, "length": 16}


def test_it_gives_every_step_and_shows_the_last_state(capsys):
    moments = watch_training(TEXTS, **FEW)
    assert [one.step for one in moments] == list(range(1, 26))
    assert moments[-1].load.shape == (2, 8) and moments[-1].balance >= 0.9
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" · ")[0] for line in lines] == ["step 10 of 25", "step 20 of 25", "step 25 of 25"]
    assert "idlest expert: layer 0" in lines[-1] and "<" not in lines[-1], "a terminal gets words"


def test_what_is_shown_is_one_place_that_changes(monkeypatch):
    shown = []
    monkeypatch.setattr(training_view._Screen, "update", lambda self, html, text: shown.append((html, text)))
    watch_training(TEXTS, **FEW)
    assert [text.split(" · ")[0] for _, text in shown] == [f"step {n} of 25" for n in (10, 20, 25)]
    assert shown[-1][0].count("width: 34px") == 2 * 8, "a bar for each expert of each layer"


def test_an_interrupt_keeps_what_was_seen(monkeypatch, capsys):
    advance = training_view.Training.advance

    def until_five(self):
        if self.step == 5:
            raise KeyboardInterrupt
        return advance(self)

    monkeypatch.setattr(training_view.Training, "advance", until_five)
    assert len(watch_training(TEXTS, **FEW)) == 5
    assert "Stopped after 5 of 25 steps" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("texts", "changes", "says"),
    [
        (TEXTS, {"speed": 3}, "no such field.*balance"), (TEXTS, {"balance": -1}, "balance=-1"),
        ({"tiny": "abc"}, {}, "more than 128 bytes: tiny"), ({}, {}, "more than 128 bytes"),
        ("abc" * 200, {}, "table of names"), (TEXTS, {"steps": 0}, "steps=0"),
        (TEXTS, {"dense": True}, "no experts to watch"), (TEXTS, {"width": 64_000}, "no small model"),
        (TEXTS, {"experts": 1000}, "no small model"), ({"a": None}, {}, "'a' is none"),
    ],
)  # fmt: skip
def test_what_cannot_be_trained_is_refused(texts, changes, says):
    with pytest.raises(BadRequest, match=says):
        watch_training(texts, **changes)
