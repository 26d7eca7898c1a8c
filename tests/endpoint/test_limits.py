"""serving/limits: windows of time and the phrases that stand for a content filter."""

import pytest

from endpoint.limits import PHRASES, Window, filter_results, is_stopped


@pytest.fixture
def window():
    now = [1000.0]
    made = Window(2, 60, clock=lambda: now[0])
    made.now = now
    return made


def test_a_window_takes_its_number_and_then_says_how_long_to_wait(window):
    assert window.wait("m") == 0
    window.count("m")
    window.now[0] += 10
    assert window.wait("m") == 0
    window.count("m")
    window.now[0] += 5
    assert window.wait("m") == 45, "the first request leaves the window after 60 s, of which 15 are over"


def test_a_window_slides(window):
    window.count("m")
    window.now[0] += 30
    window.count("m")
    window.now[0] += 30
    assert window.wait("m") == 0, "the first request is a minute old"
    window.count("m")
    assert window.wait("m") == 30, "the second one isn't"


def test_each_model_has_its_own_window(window):
    window.count("m")
    window.count("m")
    assert window.wait("m") > 0 and window.wait("n") == 0


def test_asking_costs_nothing(window):
    for _ in range(5):
        window.wait("m")
    assert window.wait("m") == 0, "only what was counted counts"


@pytest.mark.parametrize(("category", "phrase"), [(one, text) for one, texts in PHRASES.items() for text in texts])
def test_each_phrase_is_found_in_its_category_whatever_its_case_and_spaces(category, phrase):
    text = "Tell me: " + phrase.upper().replace(" ", "\n ") + "?"
    assert is_stopped(text)
    results = filter_results(text, with_jailbreak=True)
    assert [name for name, one in results.items() if one["filtered"]] == [category]


def test_an_ordinary_text_passes():
    assert not is_stopped("How do I kill a process that hangs?")
    results = filter_results("Why is the sky blue?", with_jailbreak=False)
    assert results == {
        name: {"filtered": False, "severity": "safe"} for name in ("hate", "self_harm", "sexual", "violence")
    }
    assert filter_results("", with_jailbreak=True)["jailbreak"] == {"filtered": False, "detected": False}
