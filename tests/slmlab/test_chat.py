"""chat: templates, ids, and text that comes out whole."""

import json

import pytest

from slmlab.chat import ChatFormat, StopWatcher, as_messages
from slmlab.errors import BadRequest, NotHere
from slmlab.records import Message
from tests.conftest import write_byte_tokenizer


@pytest.fixture
def folder(tmp_path):
    write_byte_tokenizer(tmp_path)
    return tmp_path


def test_a_missing_template_raises_and_names_the_way_on(folder):
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps({"eos_token": "<|end|>"}))
    with pytest.raises(BadRequest, match=r"no chat template.*\.complete"):
        ChatFormat(folder).prompt(as_messages("hi"))


def test_a_template_beside_the_tokenizer_wins(folder):
    (folder / "chat_template.jinja").write_text("A:{{ messages[0]['content'] }}{{ eos_token }}")
    assert ChatFormat(folder).prompt(as_messages("hi")) == "A:hi<|end|>"


def test_a_template_that_refuses_becomes_a_clear_error(folder):
    (folder / "chat_template.jinja").write_text("{{ raise_exception('roles must alternate') }}")
    with pytest.raises(BadRequest, match="roles must alternate"):
        ChatFormat(folder).prompt(as_messages("hi"))


def test_a_template_cannot_reach_the_machine(folder):
    (folder / "chat_template.jinja").write_text("{{ ''.__class__.__mro__[1].__subclasses__() }}")
    with pytest.raises(BadRequest, match="refuses"):
        ChatFormat(folder).prompt(as_messages("hi"))


def test_end_ids_come_from_every_file_that_names_them(folder):
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [7, 9]}))
    (folder / "genai_config.json").write_text(json.dumps({"model": {"eos_token_id": 11}}))
    assert ChatFormat(folder).end_ids == {7, 9, 11, 256}


def test_a_damaged_tokenizer_is_named(folder):
    (folder / "tokenizer.json").write_text("{")
    with pytest.raises(NotHere, match="Fetch the model again"):
        ChatFormat(folder)


def test_a_question_becomes_a_user_message_after_the_system_prompt():
    assert as_messages("hi", "Be brief.") == [Message("system", "Be brief."), Message("user", "hi")]


def test_stop_texts_are_found_across_pieces():
    watcher = StopWatcher(["STOP", "\n\n"])
    shown = [watcher.read(text) for text in ("a", "S", "T", "x", "b\n", "\nc")]
    assert shown == ["a", "", "", "STx", "b", ""] and watcher.stopped


def test_the_earliest_stop_text_wins():
    watcher = StopWatcher(["bb", "b"])
    assert watcher.read("abbc") == "a"


def test_held_text_is_given_back_at_the_end():
    watcher = StopWatcher(["xyz"])
    assert watcher.read("axy") == "a" and watcher.rest() == "xy" and watcher.rest() == ""


def test_what_a_tokenizer_adds_before_a_text_is_told_from_the_text():
    from slmlab.catalog import DATA
    from slmlab.chat import ChatFormat

    shipped = ChatFormat(DATA / "models" / "tiny-moe")
    assert shipped.ids("ab") == [256, 97, 98] and shipped.own_places("ab") == [1, 2] and shipped.own_places("") == []


def test_a_template_that_knows_content_only_in_parts_gets_parts(folder):
    """As those of LLaVA-1.5 and its kin: a plain text would vanish in silence."""
    loop = "{% for message in messages %}{{ message['role'] }}: {% for part in message['content'] %}"
    template = loop + "{% if part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %} {% endfor %}"
    (folder / "chat_template.jinja").write_text(template)
    assert (
        ChatFormat(folder).prompt([Message("system", "Be brief."), Message("user", "Hi?")])
        == "system: Be brief. user: Hi? "
    )
