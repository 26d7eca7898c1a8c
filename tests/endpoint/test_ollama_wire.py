"""serving/ollama_wire: Ollama's words to records, and what an answer cost in its fields."""

import pytest

from endpoint.ollama import check_supported, figures, read_message, read_sampling, tagged
from endpoint.openai_protocol import Refusal
from slmlab.records import End, Message, Token


def test_a_name_without_a_tag_is_the_latest():
    assert (tagged("phi3.5"), tagged("phi3.5:mini")) == ("phi3.5:latest", "phi3.5:mini")


def test_options_have_our_names_and_no_limit_is_our_default():
    body = {"options": {"num_predict": 7, "repeat_penalty": 1.2, "seed": 3, "mirostat": 1}}
    assert read_sampling(body).max_tokens == 7 and read_sampling(body).repetition_penalty == 1.2
    assert read_sampling({"options": {"num_predict": -1}}).max_tokens == read_sampling({}).max_tokens


@pytest.mark.parametrize("options", [[], 3, {"temperature": "hot"}, {"num_predict": 0}])
def test_options_that_make_no_sense_are_refused(options):
    if options == []:
        assert read_sampling({"options": options}).temperature == 0.0  # empty is none given
        return
    with pytest.raises(Refusal) as caught:
        read_sampling({"options": options})
    assert caught.value.status == 400


@pytest.mark.parametrize("one", [None, "hi", {"role": "robot", "content": "hi"}, {"role": "user", "content": 3}])
def test_what_is_no_message_is_refused(one):
    with pytest.raises(Refusal):
        read_message(one)


def test_a_message_is_read():
    assert read_message({"role": "user", "content": "Hello"}) == Message("user", "Hello")


@pytest.mark.parametrize("field", ["tools", "think", "format"])
def test_what_the_model_cannot_do_is_refused_and_named(field):
    with pytest.raises(Refusal, match="does not support"):
        check_supported({field: "x"}, "phi3.5")


def test_the_figures_are_nanoseconds_from_the_stamps():
    found = figures(1.0, 9, [Token(1, "a", 1.5), Token(2, "b", 2.5)], End(3.5, "length"))
    assert (found["prompt_eval_duration"], found["eval_duration"]) == (500_000_000, 2_000_000_000)
    assert (found["prompt_eval_count"], found["eval_count"], found["done_reason"]) == (9, 2, "length")
