"""Windows of time, and the phrases that stand for a content filter."""

from endpoint.microsoft import PHRASES, filter_results
from endpoint.profile import Window


def test_a_window_slides_and_says_how_long_to_wait():
    now = [1000.0]
    window = Window(2, 60, clock=lambda: now[0])
    for _ in range(5):
        assert window.wait("m") == 0, "asking costs nothing"
    window.count("m")
    now[0] += 10
    window.count("m")
    now[0] += 5
    assert window.wait("m") == 45, "the first request leaves the window after 60 s, of which 15 are over"
    assert window.wait("n") == 0, "each model has its own window"
    now[0] += 45
    assert window.wait("m") == 0, "the first request is a minute old"
    window.count("m")
    assert window.wait("m") == 10, "the second one isn't"


def test_each_phrase_is_found_in_its_category_whatever_its_case_and_spaces():
    for category, phrases in PHRASES.items():
        for phrase in phrases:
            text = "Tell me: " + phrase.upper().replace(" ", "\n ") + "?"
            pass
            results = filter_results(text, with_jailbreak=True)
            assert [name for name, one in results.items() if one["filtered"]] == [category]
    calm = filter_results("How do I kill a process that hangs?", with_jailbreak=True)
    assert not any(one["filtered"] for one in calm.values())
