"""engines/local: the road that both engines share, on tiny real models with random weights."""

import threading

import numpy as np
import pytest

from slmlab.errors import BadRequest, SlmLabError
from slmlab.records import End, Sampling, Start, Token


def test_greedy_gives_the_same_tokens_on_both_engines(tiny_onnx, tiny_transformers):
    question = "What is a small language model?"
    first = [token.id for token in tiny_onnx.ask(question, max_tokens=40)]
    assert first == [token.id for token in tiny_transformers.ask(question, max_tokens=40)]


def test_a_seed_gives_the_same_tokens_on_both_engines(tiny_onnx, tiny_transformers):
    settings = {"max_tokens": 30, "temperature": 0.9, "top_p": 0.95, "top_k": 50, "repetition_penalty": 1.2, "seed": 4}
    first = [token.id for token in tiny_onnx.complete("Once", **settings)]
    assert first == [token.id for token in tiny_transformers.complete("Once", **settings)]


def test_both_engines_see_the_same_probabilities(tiny_onnx, tiny_transformers):
    found = [engine.next_token_probabilities("The sky is", top=300) for engine in (tiny_onnx, tiny_transformers)]
    tables = [{one.id: one.probability for one in rows} for rows in found]
    assert tables[0].keys() == tables[1].keys()
    assert all(abs(tables[0][id] - tables[1][id]) < 1e-4 for id in tables[0])
    assert abs(sum(tables[0].values()) - 1) < 1e-6


def test_the_stream_is_a_start_then_tokens_then_an_end(tiny):
    events = list(tiny.stream(tiny.format.ids("abc"), Sampling(max_tokens=5)))
    assert isinstance(events[0], Start) and events[0].prompt_tokens == 3
    assert isinstance(events[-1], End) and all(isinstance(one, Token) for one in events[1:-1])
    times = [one.time_s for one in events]
    assert times == sorted(times), "each event is stamped once, in order"


def test_max_tokens_is_respected_and_said(tiny):
    reply = tiny.complete("abc", max_tokens=4)
    assert len(reply.text) <= 8 and len(reply.tokens) <= 4
    assert reply.finish_reason in ("length", "end")


def test_text_and_tokens_agree_with_the_tokenizer(tiny):
    reply = tiny.complete("hello", max_tokens=12, temperature=2.0, seed=1)
    ids = [token.id for token in reply if token.id not in tiny.format.end_ids]
    assert reply.text == tiny.format.text(ids).rstrip("�") or "�" not in reply.text


def test_a_break_leaves_the_model_usable_and_the_same(tiny):
    before = tiny.complete("abc", max_tokens=10).text
    for _ in tiny.complete("abc", max_tokens=50):
        break
    assert tiny._cached_session is None or tiny._cached_session.ids, "an interrupted answer keeps no half-read session"
    assert tiny.complete("abc", max_tokens=10).text == before


def test_an_interrupt_in_mid_stream_leaves_the_model_usable(tiny):
    calls = []

    def interrupt(ids, logits):
        calls.append(len(ids))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return logits

    reply = tiny.complete("abc", max_tokens=10, scorer=interrupt)
    with pytest.raises(KeyboardInterrupt):
        reply.show()
    assert reply.finish_reason == "interrupted" and len(reply.tokens) == 2
    assert tiny.complete("abc", max_tokens=3).text is not None


def test_two_readers_at_once_do_not_mix(tiny):
    alone = [[token.id for token in tiny.complete(text, max_tokens=20)] for text in ("abc", "xyz")]
    first, second = tiny.complete("abc", max_tokens=20), tiny.complete("xyz", max_tokens=20)
    pairs = list(zip(first, second, strict=False))
    assert [a.id for a, _ in pairs] == alone[0][: len(pairs)] and [b.id for _, b in pairs] == alone[1][: len(pairs)]


def test_two_threads_do_not_mix(tiny):
    texts = ["abc", "xyz", "12345", "hello world"]
    alone = {text: [token.id for token in tiny.complete(text, max_tokens=25)] for text in texts}
    found = {}

    def work(text):
        found[text] = [[token.id for token in tiny.complete(text, max_tokens=25)] for _ in range(3)]

    threads = [threading.Thread(target=work, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {text: [alone[text]] * 3 for text in texts}


def test_a_prompt_over_the_context_is_refused_with_both_numbers(tiny):
    with pytest.raises(BadRequest, match=r"300 tokens and .* holds 256"):
        tiny.complete("a" * 300)


def test_an_answer_never_grows_over_the_context(tiny):
    def never_end(ids, logits):
        logits[list(tiny.format.end_ids)] = -np.inf
        return logits

    reply = tiny.complete("a" * 250, max_tokens=100, scorer=never_end)
    assert reply.text is not None and len(reply.tokens) == 6 and reply.finish_reason == "length"


@pytest.mark.parametrize("empty", ["", None, 3])
def test_an_empty_prompt_is_refused(tiny, empty):
    with pytest.raises(BadRequest):
        tiny.complete(empty)


@pytest.mark.parametrize("empty", ["", "   \n", [], None, 7])
def test_an_empty_question_is_refused(tiny, empty):
    with pytest.raises(BadRequest):
        tiny.ask(empty)


def test_a_prompt_of_any_script_goes_through(tiny):
    for text in ("日本語", "🙂‍↔️", "مرحبا", "\x00", "a\u0301"):
        assert tiny.format.text(tiny.format.ids(text)) == text
        assert len(tiny.complete(text, max_tokens=2).tokens) >= 1


def forced(ids):
    """A scorer that makes the model write these ids."""

    def scorer(seen, logits):
        scores = np.full_like(logits, -np.inf)
        scores[ids[len(seen) - 1]] = 0
        return scores

    return scorer


def test_a_character_of_several_bytes_is_never_broken(tiny):
    ids = tiny.format.ids("é🙂ok")
    reply = tiny.complete("a", max_tokens=len(ids), scorer=forced(ids))
    texts = [token.text for token in reply]
    assert "".join(texts) == "é🙂ok" and not any("�" in text for text in texts)
    assert texts[:2] == ["", "é"], "a character waits for its last byte"


def test_an_unfinished_character_at_the_end_is_left_out(tiny):
    ids = tiny.format.ids("ok🙂")[:-1]
    assert tiny.complete("a", max_tokens=len(ids), scorer=forced(ids)).text == "ok"


def test_a_stop_text_across_tokens_ends_the_answer_before_it(tiny):
    ids = tiny.format.ids("one END two")
    reply = tiny.complete("a", max_tokens=len(ids), stop="END", scorer=forced(ids))
    assert reply.text == "one " and reply.finish_reason == "stop"


def test_text_held_back_for_a_stop_that_never_came_is_not_lost(tiny):
    ids = tiny.format.ids("one EN")
    reply = tiny.complete("a", max_tokens=len(ids), stop="END", scorer=forced(ids))
    assert reply.text == "one EN" and reply.finish_reason == "length"


def test_the_end_token_is_counted_and_has_no_text(tiny):
    ids = [*tiny.format.ids("hi"), 256]
    reply = tiny.complete("a", max_tokens=9, scorer=forced(ids))
    assert [token.id for token in reply] == ids and reply.text == "hi" and reply.finish_reason == "end"


def test_a_scorer_of_the_wrong_shape_is_refused(tiny):
    with pytest.raises(BadRequest, match="one score for each"):
        tiny.complete("a", scorer=lambda ids, logits: logits[:3]).text  # noqa: B018


def test_a_scorer_cannot_join_beam_search(tiny):
    with pytest.raises(BadRequest, match="beams=1"):
        tiny.complete("a", beams=2, scorer=lambda ids, logits: logits)


def test_beam_search_finds_a_sequence_at_least_as_likely_as_greedy(tiny):
    def likelihood(reply):
        ids = tiny.format.ids("abc") + [token.id for token in reply]
        blocks = np.concatenate(list(tiny._logits_of(ids)))
        shifted = blocks - np.log(np.exp(blocks).sum(-1, keepdims=True))
        return sum(shifted[row, ids[row + 1]] for row in range(2, len(ids) - 1))

    greedy, beams = (tiny.complete("abc", max_tokens=6, beams=beams) for beams in (1, 4))
    assert len(beams.text) and likelihood(beams) >= likelihood(greedy) - 1e-3


def test_logprobs_of_the_stream_are_those_of_the_text(tiny):
    reply = tiny.complete("hello", max_tokens=5, logprobs=True)
    streamed = [token.logprob for token in reply]
    ids = tiny.format.ids("hello") + [token.id for token in reply]
    rows = np.concatenate(list(tiny._logits_of(ids)))[4:-1]
    expected = [
        row[id] - np.log(np.exp(row - row.max()).sum()) - row.max() for row, id in zip(rows, ids[5:], strict=True)
    ]
    assert np.allclose(streamed, expected, atol=1e-3)


def test_logprobs_have_one_value_for_each_token_but_the_first(tiny):
    rows = tiny.logprobs("hello")
    assert [piece.text for piece, _ in rows] == list("hello")
    assert rows[0][1] is None and all(value < 0 for _, value in rows[1:])


def test_logprobs_after_a_text_are_those_of_its_end(tiny):
    whole, end = tiny.logprobs("hello there"), tiny.logprobs(" there", after="hello")
    assert end == whole[5:] and all(value is not None for _, value in end)


def test_favourites_are_what_greedy_would_write(tiny):
    reply = tiny.complete("abc", max_tokens=6)
    ids = [token.id for token in reply if token.id not in tiny.format.end_ids]
    text = tiny.format.text(ids)
    if tiny.format.ids("abc" + text) == tiny.format.ids("abc") + ids:
        assert tiny.top1("abc" + text)[2 : 2 + len(ids)] == ids
    assert len(tiny.top1("abc")) == 3


def test_a_beam_search_that_ends_on_its_own_says_so(tiny, monkeypatch):
    monkeypatch.setattr(tiny, "_beams", lambda ids, room, sampling: tiny.format.ids("ok"))
    assert tiny.complete("a", beams=2, max_tokens=9).metrics and tiny.complete("a", beams=2).finish_reason is None
    reply = tiny.complete("a", beams=2, max_tokens=9)
    assert reply.text == "ok" and reply.finish_reason == "end"


def test_a_conversation_reuses_the_cache_and_answers_as_if_read_afresh(tiny):
    chat = tiny.chat(max_tokens=8)
    chat.ask("one").text  # noqa: B018
    second = chat.ask("two")
    continued = [token.id for token in second]
    fresh = [token.id for token in tiny.ask(chat.messages[:-1], max_tokens=8)]
    assert continued == fresh
    if chat.messages[1].content and "�" not in chat.messages[1].content:
        assert second.start.reused_tokens > 0 or second.start.prompt_tokens > 0


@pytest.mark.parametrize("written", [1, 5])
def test_a_text_appended_after_greedy_tokens_is_read_after_all_of_them(tiny, written):
    session, afresh = tiny._session(128), tiny._session(128)
    session.append(tiny.format.ids("hello"))
    for _ in range(written):
        session.take_likeliest()
    session.append(tiny.format.ids(" and more"))
    afresh.append(session.ids)
    assert len(session.ids) == 5 + written + 9 and np.allclose(session.logits(), afresh.logits(), atol=1e-4)


def test_an_unrelated_question_reuses_nothing(tiny):
    tiny.ask("one", max_tokens=4).text  # noqa: B018
    reply = tiny.ask("another thing", max_tokens=4)
    reply.text  # noqa: B018
    assert reply.start.reused_tokens == 0


def test_prompts_that_begin_alike_share_the_blocks_they_begin_with(tiny_onnx):
    """To the last bit: a block is read the same whatever follows it."""
    rules, size = "rules " * 25, tiny_onnx._session(16).block
    tiny_onnx.forget()
    afresh = tiny_onnx.complete(rules + "and another question", max_tokens=6, logprobs=True)
    expected = [(token.id, token.logprob) for token in afresh]
    assert afresh.start.reused_tokens == 0
    tiny_onnx.complete(rules + "one question", max_tokens=6).text  # noqa: B018
    shared = tiny_onnx.complete(rules + "and another question", max_tokens=6, logprobs=True)
    assert [(token.id, token.logprob) for token in shared] == expected
    assert shared.start.reused_tokens == len(tiny_onnx.format.ids(rules)) // size * size > 0
    again = tiny_onnx.complete(rules + "and another question", max_tokens=6, logprobs=True)
    assert [(token.id, token.logprob) for token in again] == expected
    assert again.start.reused_tokens == (again.start.prompt_tokens - 1) // size * size


def test_a_model_that_was_told_to_forget_reads_from_the_beginning(tiny_onnx):
    for _ in range(2):
        reply = tiny_onnx.complete("rules " * 25, max_tokens=2)
        tiny_onnx.forget()
        assert reply.text is not None and reply.start.reused_tokens == 0


def test_a_closed_model_says_how_to_get_it_back(tiny_folder):
    from slmlab.catalog import card_of_folder
    from slmlab.engines.transformers import TransformersEngine

    with TransformersEngine(card_of_folder(tiny_folder), tiny_folder, "fp32") as model:
        model.complete("a", max_tokens=1).text  # noqa: B018
    with pytest.raises(SlmLabError, match="Load it again"):
        model.complete("a")


def test_a_reply_read_after_close_is_refused_and_leaves_nothing(tiny_folder):
    from slmlab.catalog import card_of_folder
    from slmlab.engines.transformers import TransformersEngine

    model = TransformersEngine(card_of_folder(tiny_folder), tiny_folder, "fp32")
    unread, begun = model.complete("a"), iter(model.complete("a", max_tokens=50))
    next(begun)
    model.close()
    for reply in (unread, begun):
        with pytest.raises(SlmLabError, match="Load it again"):
            list(reply)
    assert model._cached_session is None


@pytest.mark.parametrize("text", ["\ud800", "a\udcff"])
def test_half_a_character_is_refused_kindly(tiny, text):
    for use in (tiny.complete, tiny.ask, tiny.tokens):
        with pytest.raises(BadRequest, match="half a character"):
            use(text)


def test_a_beam_search_claims_no_speed_for_single_tokens(tiny):
    found = tiny.complete("abc", beams=2, max_tokens=5).metrics
    assert found.decode_tokens_per_s is None and found.prefill_tokens_per_s is None and found.total_s > 0


def test_a_token_across_the_border_belongs_to_what_comes_after(bundled):
    assert [piece.text for piece, _ in bundled.logprobs("lo", after="hel")] == [
        piece.text for piece in bundled.tokens("hello")
    ]


def test_a_scorer_that_is_no_function_or_gives_words_is_refused(tiny):
    with pytest.raises(BadRequest, match="function"):
        tiny.complete("a", scorer=5)
    with pytest.raises(BadRequest, match="numbers"):
        tiny.complete("a", scorer=lambda ids, logits: ["x"] * len(logits)).text  # noqa: B018
