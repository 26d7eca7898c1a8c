"""The small chat app, driven by code as by a reader: typed, sent, refused, read without a kernel."""

from course.widgets import chat_box
from slmlab.errors import BadRequest
from tests.course.conftest import enter


def refuses(text):
    if text == "no":
        raise BadRequest("Not today.")
    if text == "bug":
        raise KeyError("tent")
    return f"<b>{text}</b>"


def test_enter_sends_and_the_newest_answer_is_said():
    box = chat_box(refuses, "Hi", name="Lumi")
    enter(box.text, "What?")
    assert box.turns == ["You: Hi", "Lumi: <b>Hi</b>", "You: What?", "Lumi: <b>What?</b>"] and box.text.value == ""
    assert 'role="status"' in box.status.value and "Lumi: &lt;b&gt;What?" in box.status.value, (
        "and an answer is no markup"
    )
    assert "What?" in box.talk.value and "Lumi: &lt;b&gt;What?" not in box.talk.value, "it is read once"
    assert box.box.children[:2] == (box.talk, box.status), "in the order of the talk"


def test_a_refusal_and_an_empty_box_leave_the_talk_as_it_was():
    box = chat_box(refuses)
    for text, said in (("no", "Not today."), ("bug", "KeyError: &#x27;tent"), ("  ", "Write something first.")):
        box.text.value = text
        box.send_button.click()
        assert said in box.status.value and not box.turns and box.text.value == text


def test_a_refusal_does_not_hide_the_answer_before_it():
    box = chat_box(refuses, "Hi")
    for text in ("no", ""):
        enter(box.text, text)
        assert "Desk: &lt;b&gt;Hi" in box.talk.value, "Enter pressed twice is all that it takes"


def test_without_a_kernel_the_talk_is_read_as_lines():
    html, text = (chat_box(refuses, "Hi")._repr_mimebundle_()[kind] for kind in ("text/html", "text/plain"))
    assert text.splitlines()[1:] == ["You: Hi", "Desk: <b>Hi</b>"] and "&lt;b&gt;Hi" in html
