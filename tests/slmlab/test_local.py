"""engines/local: the token loop and the KV cache that both engines share, on tiny real models with random weights."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import slmlab
from slmlab.errors import BadRequest, SlmLabError
from slmlab.records import End, Sampling, Start, Token
from tests.conftest import ids_of
from tests.tiny_sight import forced

# Both engines are one


def test_both_engines_write_the_same_tokens(tiny_onnx, tiny_transformers):
    seeded = {"temperature": 0.9, "top_p": 0.95, "top_k": 50, "repetition_penalty": 1.2, "seed": 4}
    for settings in ({}, seeded):
        one, other = (
            ids_of(model.ask("What is a small language model?", max_tokens=30, **settings))
            for model in (tiny_onnx, tiny_transformers)
        )
        assert one == other, f"with {settings or 'greedy'}"


# The stream


def test_the_stream_is_a_start_then_tokens_then_an_end(tiny):
    events = list(tiny.stream(tiny.ids("abc"), Sampling(max_tokens=5)))
    assert isinstance(events[0], Start) and events[0].prompt_tokens == 3
    assert isinstance(events[-1], End) and all(isinstance(one, Token) for one in events[1:-1])
    times = [one.time_s for one in events]
    assert times == sorted(times), "each event is stamped once, in order"


def test_an_answer_ends_at_max_tokens_and_at_the_end_of_the_context(tiny):
    def never_end(ids, logits):
        logits[list(tiny.format.end_ids)] = -np.inf
        return logits

    for prompt, max_tokens, length in (("abc", 4, 4), ("a" * 250, 100, 6)):
        reply = tiny.complete(prompt, max_tokens=max_tokens, scorer=never_end)
        assert len(reply.tokens) == length and reply.finish_reason == "length"


def test_a_character_of_several_bytes_is_never_broken(tiny):
    ids = tiny.ids("é🙂ok")
    texts = [token.text for token in tiny.complete("a", max_tokens=len(ids), scorer=forced(ids))]
    assert "".join(texts) == "é🙂ok" and not any("�" in text for text in texts)
    assert texts[:2] == ["", "é"], "a character waits for its last byte"
    unfinished = tiny.ids("ok🙂")[:-1]
    assert tiny.complete("a", max_tokens=len(unfinished), scorer=forced(unfinished)).text == "ok"


def test_a_stop_text_across_tokens_ends_the_answer_before_it(tiny):
    for text, found in (("one END two", ("one ", "stop")), ("one EN", ("one EN", "length"))):
        ids = tiny.ids(text)
        reply = tiny.complete("a", max_tokens=len(ids), stop="END", scorer=forced(ids))
        assert (reply.text, reply.finish_reason) == found, "what was held back for a stop that never came is not lost"


def test_the_end_token_is_counted_and_has_no_text(tiny):
    ids = [*tiny.ids("hi"), 256]
    reply = tiny.complete("a", max_tokens=9, scorer=forced(ids))
    assert ids_of(reply) == ids and reply.text == "hi" and reply.finish_reason == "end"


def test_a_break_or_an_interrupt_leaves_the_model_usable_and_the_same(tiny):
    before, calls = tiny.complete("abc", max_tokens=10).text, []
    for _ in tiny.complete("abc", max_tokens=50):
        break
    assert tiny.complete("abc", max_tokens=10).text == before

    def interrupt(ids, logits):
        calls.append(len(ids))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return logits

    reply = tiny.complete("abc", max_tokens=10, scorer=interrupt)
    with pytest.raises(KeyboardInterrupt):
        reply.show()
    assert reply.finish_reason == "interrupted" and len(reply.tokens) == 2
    assert tiny.complete("abc", max_tokens=10).text == before


def test_two_threads_do_not_mix(tiny):
    texts = ["abc", "xyz", "12345", "hello world"]

    def ask(text):
        return ids_of(tiny.complete(text, max_tokens=12))

    alone = [ask(text) for text in texts]
    with ThreadPoolExecutor(len(texts)) as threads:
        assert list(threads.map(ask, texts * 3)) == alone * 3


# What is refused


def test_what_can_not_be_read_is_refused_with_the_reason(tiny):
    for use, text, words in (
        (tiny.complete, "a" * 300, r"300 tokens and .* holds 256"), (tiny.complete, "", "prompt is empty"),
        (tiny.ask, "  \n", "question is empty"), (tiny.ask, 7, "text or a list of messages"),
        (tiny.ask, "\ud800", "half a character"), (tiny.tokens, "a\udcff", "half a character"),
    ):  # fmt: skip
        with pytest.raises(BadRequest, match=words):
            use(text)


def test_a_scorer_gives_a_score_for_each_id_and_joins_no_beam_search(tiny):
    with pytest.raises(BadRequest, match="one score for each"):
        tiny.complete("a", scorer=lambda ids, logits: logits[:3]).tokens  # noqa: B018
    with pytest.raises(BadRequest, match="one score for each"):
        tiny.complete("a", scorer=lambda ids, logits: print("no return", end="")).tokens  # noqa: B018
    with pytest.raises(BadRequest, match="beams=1"):
        tiny.complete("a", beams=2, scorer=lambda ids, logits: logits)


def test_a_closed_model_says_how_to_get_it_back_and_keeps_nothing(tiny_folder):
    model = slmlab.load(tiny_folder)
    unread, begun = model.complete("a"), iter(model.complete("a", max_tokens=50))
    next(begun)
    model.close()
    for use in (lambda: list(unread), lambda: list(begun), lambda: model.complete("a")):
        with pytest.raises(SlmLabError, match="Load it again"):
            use()
    assert model._cached_session is None


# Beams and probabilities


def test_beam_search_finds_a_sequence_at_least_as_likely_as_greedy(tiny):
    def likelihood(reply):
        ids = tiny.ids("abc") + ids_of(reply)
        blocks = np.concatenate(list(tiny.logits(ids)))
        shifted = blocks - np.log(np.exp(blocks).sum(-1, keepdims=True))
        return sum(shifted[row, ids[row + 1]] for row in range(2, len(ids) - 1))

    greedy, beams = (tiny.complete("abc", max_tokens=6, beams=beams) for beams in (1, 4))
    assert len(beams.text) and likelihood(beams) >= likelihood(greedy) - 1e-3
    assert beams.metrics.decode_tokens_per_s is None, "its tokens came all at once: it claims no speed for one"


def test_logprobs_of_the_stream_are_those_of_the_text(tiny):
    reply = tiny.complete("hello", max_tokens=5, logprobs=True, top_logprobs=2)
    ids = tiny.ids("hello") + ids_of(reply)
    rows = np.concatenate(list(tiny.logits(ids)))[4:-1].astype(float)
    expected = rows[np.arange(len(rows)), ids[5:]] - np.log(np.exp(rows).sum(-1))
    assert np.allclose([token.logprob for token in reply], expected, atol=1e-3)
    assert [token.top[0].id for token in reply] == ids[5:], "greedy writes the likeliest"


def test_logprobs_have_one_value_for_each_token_but_the_first(tiny):
    rows = tiny.logprobs("hello there")
    assert [piece.text for piece, _ in rows] == list("hello there")
    assert rows[0][1] is None and all(value < 0 for _, value in rows[1:])
    assert tiny.logprobs(" there", after="hello") == rows[5:], "after a text, those of its end"


def test_a_token_across_the_border_belongs_to_what_comes_after(bundled):
    found = [piece.text for piece, _ in bundled.logprobs("lo", after="hel")]
    assert found == [piece.text for piece in bundled.tokens("hello")] == ["hello"]


# The KV cache between turns


def test_a_conversation_reuses_the_cache_and_answers_as_if_read_afresh(tiny):
    chat = tiny.chat(max_tokens=8)
    first = chat.ask("one", max_tokens=2, scorer=lambda ids, logits: np.eye(len(logits))[ord("p") - ord("!")])
    assert first.text == "pp"
    second = chat.ask("two")
    continued = ids_of(second)
    assert second.start.reused_tokens == first.start.prompt_tokens + 1, "the last id of an answer is never read"
    tiny.forget()
    afresh = tiny.ask(chat.messages[:-1], max_tokens=8)
    assert ids_of(afresh) == continued and afresh.start.reused_tokens == 0


def test_prompts_that_begin_alike_share_the_blocks_they_begin_with(tiny_onnx):
    """To the last bit: a block is read the same whatever follows it."""
    rules, size = "rules " * 25, tiny_onnx.session(16).block

    def answer(text):
        reply = tiny_onnx.complete(rules + text, max_tokens=6, logprobs=True)
        return [(token.id, token.logprob) for token in reply], reply.start

    tiny_onnx.forget()
    expected, start = answer("and another question")
    assert start.reused_tokens == 0
    tiny_onnx.complete("unrelated", max_tokens=2).tokens  # noqa: B018
    assert answer("one question")[1].reused_tokens == 0, "of an unrelated prompt nothing is reused"
    shared, start = answer("and another question")
    assert shared == expected and start.reused_tokens == len(rules) // size * size > 0
    again, start = answer("and another question")
    assert again == expected and start.reused_tokens == (start.prompt_tokens - 1) // size * size


def test_a_text_appended_after_greedy_tokens_is_read_after_all_of_them(tiny):
    for written in (1, 5):
        session, afresh = tiny.session(128), tiny.session(128)
        session.append(tiny.ids("hello"))
        for _ in range(written):
            session.take_likeliest()
        session.append(tiny.ids(" and more"))
        afresh.append(session.ids)
        assert len(session.ids) == 5 + written + 9 and np.allclose(session.logits(), afresh.logits(), atol=1e-4)


PROPERTIES = {"on": {"type": "boolean"}}
SCHEMA = {"type": "object", "properties": PROPERTIES, "required": ["on"], "additionalProperties": False}


def test_an_answer_stays_inside_a_schema_or_a_grammar_whatever_the_weights(tiny):
    for settings in ({}, {"temperature": 1.5, "seed": 3}, {"repetition_penalty": 1.3}):
        assert json.loads(tiny.ask("Hi", schema=SCHEMA, **settings).text)["on"] in (True, False)
        assert tiny.ask("Hi", grammar='start: "yes" | "no"', **settings).text in ("yes", "no")
    reply = tiny.ask("Hi", schema=SCHEMA, max_tokens=3)
    assert reply.text == '{"o' and reply.finish_reason == "length", "it may be cut off, and says so"


def test_a_form_that_nothing_can_have_is_refused_when_it_is_asked(tiny):
    for settings in ({"schema": {"type": "zorb"}}, {"grammar": "nonsense"}):
        with pytest.raises(BadRequest, match="No answer can follow"):
            tiny.ask("Hi", **settings)
    for settings, words in (({"schema": "{}"}, "JSON schema"), ({"schema": {}, "grammar": "x"}, "one form"),
                            ({"schema": SCHEMA, "beams": 2}, "Beam search")):  # fmt: skip
        with pytest.raises(BadRequest, match=words):
            tiny.ask("Hi", **settings)


def test_ids_are_gone_on_with_as_their_text_is_and_others_are_refused(tiny):
    text = "Hello"
    assert tiny.complete(tiny.ids(text), max_tokens=4).text == tiny.complete(text, max_tokens=4).text
    for ids in ([], [-1], [10**6]):
        with pytest.raises(BadRequest, match="ids from 0"):
            tiny.complete(ids)


FORK = """
import os, slmlab
model = slmlab.load()
if not os.fork():
    try:
        model.ask("Hi")
    except slmlab.SlmLabError as fault:
        print(fault, flush=True)
    os._exit(0)
os.wait()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows forks no process")
def test_a_forked_process_is_told_to_load_its_own():
    said = subprocess.run([sys.executable, "-c", FORK], capture_output=True, text=True, timeout=100).stdout
    assert "doesn't work in a forked process" in said, "it would wait for ever for threads that aren't there"
