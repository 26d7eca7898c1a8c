"""The road that both SDKs share, over a real socket: every trap of a stream, the one retry rule, and keys unseen."""

import logging
import traceback
import warnings
from dataclasses import replace
from time import perf_counter

import pytest

from slmlab.catalog import Card, Facts
from slmlab.connecting import Key, provider
from slmlab.engines import remote
from slmlab.engines.azure import AzureEngine
from slmlab.engines.remote import OpenAIEngine
from slmlab.errors import BadRequest, IncompleteAnswer, ProviderError, SlmLabError
from slmlab.pictures import Picture
from slmlab.records import Message
from tests.scripted_server import Answer, ScriptedServer, answer_json, event, stream

KEY = Key("nvapi-PLANTED-7f3a9c1e")
ENGINES = {"openai": OpenAIEngine, "azure": AzureEngine}
OK = stream("Hel", "lo", "!")


def read(reply) -> str:
    return reply.text


@pytest.fixture(params=ENGINES)
def sdk(request):
    return request.param


@pytest.fixture
def pauses(monkeypatch) -> list[float]:
    """The pauses that were asked for, none of them taken."""
    taken: list[float] = []
    monkeypatch.setattr(remote, "sleep", taken.append)
    return taken


@pytest.fixture
def ask(sdk, pauses):
    """A function that puts a server behind a script and gives a model on it; the server is its `.server`."""
    opened = []

    def make(*answers, who="nvidia", url=None, **options):
        server = ScriptedServer(*answers)
        place = who if not isinstance(who, str) else provider(who)
        card = Card("m", "m", "unknown", "f", "text", "x", Facts(as_stated="not stated"))
        model = ENGINES[sdk](card, place, url or server.url, "the-model", KEY, 5, **options)
        model.server = server
        opened.append(model)
        return model

    yield make
    for model in opened:
        model.close()
        model.server.close()


def test_an_answer_streams_and_the_server_counts_it(ask):
    reply = ask(stream("Hel", "lo", usage=(7, 3))).ask("Hi")
    assert [token.text for token in reply] == ["Hel", "lo"]
    assert reply.finish_reason == "end"
    assert (reply.metrics.prompt_tokens, reply.metrics.new_tokens) == (7, 3), "pieces are not tokens"
    assert reply.metrics.ttft_s > 0 and reply.tokens[0].id is None


def test_a_server_that_counts_nothing_leaves_the_count_unknown(ask):
    reply = ask(stream("Hel", "lo", usage=None)).ask("Hi")
    assert reply.text == "Hello"
    assert reply.metrics.new_tokens is None and reply.metrics.prompt_tokens is None


def test_settings_are_sent_as_the_protocol_writes_them(ask):
    model = ask(OK)
    read(model.ask("Hi", system="Be brief.", max_tokens=5, seed=3, stop=["END"], logprobs=True, top_logprobs=2))
    sent = model.server.bodies[0]
    assert sent["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    assert (sent["temperature"], sent["top_p"], sent["max_tokens"], sent["seed"]) == (0, 1, 5, 3)
    assert (sent["stop"], sent["logprobs"], sent["top_logprobs"]) == (["END"], True, 2)
    assert sent["stream_options"] == {"include_usage": True} and sent["model"] == "the-model"


def test_no_seed_is_sent_unless_it_is_given(ask):
    model = ask(OK)
    read(model.ask("Hi"))
    assert not {"seed", "stop", "logprobs"} & set(model.server.bodies[0])


@pytest.mark.parametrize(
    "settings",
    [{"beams": 2}, {"top_k": 5}, {"repetition_penalty": 1.1}, {"scorer": lambda ids, logits: logits}],
    ids=str,
)
def test_what_the_protocol_has_no_word_for_is_refused_before_anything_is_sent(ask, settings):
    model = ask(OK)
    with pytest.raises(BadRequest, match="isn't part of OpenAI's protocol.*slmlab.load"):
        model.ask("Hi", **settings)
    assert model.server.requests == []


@pytest.mark.parametrize(("reason", "ours"), [("stop", "end"), ("length", "length"), ("content_filter", "filtered")])
def test_the_reason_of_an_end_is_told_in_our_words(ask, reason, ours):
    reply = ask(stream("Hi", reason=reason)).ask("Hi")
    read(reply)
    assert reply.finish_reason == ours


def test_log_probabilities_come_with_each_token(ask):
    told = {"content": [{"token": a, "logprob": b, "top_logprobs": [{"token": a, "logprob": 0.0}]} for a, b in
                        (("He", -0.5), ("y", -1.5))]}  # fmt: skip
    reply = ask(Answer(blocks=(event("Hey", logprobs=told), event(finish_reason="stop")))).ask("Hi", logprobs=True)
    assert [(token.text, token.logprob) for token in reply.tokens] == [("He", -0.5), ("y", -1.5)]
    assert reply.tokens[0].top[0].probability == 1.0


FIRST = (
    b'data: {"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[{"prompt_index":0}]}\n\n'
)
TRAPS = {
    "an empty choices first chunk": [FIRST, event("Hel"), event("lo!"), event(finish_reason="stop")],
    "CRLF": [event("Hel", "\r\n\r\n"), event("lo!", "\r\n\r\n"), event(None, "\r\n\r\n", finish_reason="stop")],
    "comment lines": [b": ping\n\n", event("Hel"), b": ping\n\n", event("lo!"), event(finish_reason="stop")],
    "no blank after data:": [event("Hel").replace(b"data: ", b"data:"), event("lo!"), event(finish_reason="stop")],
    "other fields": [b"event: chunk\nid: 4\n" + event("Hel"), event("lo!"), event(finish_reason="stop")],
    "a content of null": [event(delta={"role": "assistant", "content": None}), event("Hello!"),
                          event(finish_reason="stop")],
    "a delta of null": [event("Hello!"), event(delta=None, finish_reason="stop")],
    "lines cut anywhere": [bytes([one]) for one in event("Hello!") + event(finish_reason="stop")],
    "half a character in a block": [event("x").replace(b"x", "Hellø!".encode())[:40],
                                    event("x").replace(b"x", "Hellø!".encode())[40:], event(finish_reason="stop")],
}  # fmt: skip


@pytest.mark.parametrize("blocks", TRAPS.values(), ids=TRAPS)
@pytest.mark.parametrize("done", [b"data: [DONE]\n\n", None], ids=["done", "no done"])
def test_a_stream_is_read_whatever_its_form(ask, blocks, done):
    reply = ask(Answer(blocks=(*blocks, *([done] if done else [])))).ask("Hi")
    assert reply.text.replace("ø", "o") == "Hello!"
    assert reply.finish_reason == "end"


def test_a_stream_without_chunks_comes_piece_by_piece(ask):
    headers = {"content-type": "text/event-stream"}
    model = ask(Answer(blocks=(event("Hel"),), headers=headers, then="hold"))
    assert next(iter(model.ask("Hi"))).text == "Hel", "a buffer held the piece back"


BROKEN = {
    "dropped": Answer(blocks=(event("Half an"),), then="drop"),
    "ended without a reason": Answer(blocks=(event("Half an"),)),
    "an error in mid-stream": Answer(blocks=(event("Half an"), b'data: {"error": {"message": "out of memory"}}\n\n')),
    "an error of plain text": Answer(blocks=(event("Half an"), b'data: {"error":"out of memory"}\n\n')),
    "no JSON": Answer(blocks=(event("Half an"), b"data: {oops\n\n")),
    "cut by its length": Answer(
        blocks=(event("Half an"),), headers={"content-type": "text/event-stream", "content-length": "9999"}
    ),
}


@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN)
def test_what_arrived_before_a_break_is_kept_and_marked(ask, answer):
    model = ask(answer)
    reply = model.ask("Hi")
    with pytest.warns(IncompleteAnswer, match="broke off"):
        assert reply.text == "Half an"
    assert reply.finish_reason == "incomplete"
    assert "kept" in reply.end.fault
    assert len(model.server.requests) == 1, "an answer that has begun is never asked for again"


def test_an_error_object_before_any_piece_is_an_error(ask):
    model = ask(Answer(blocks=(FIRST, b'data: {"error": {"message": "out of memory", "code": "oom"}}\n\n')))
    with pytest.raises(ProviderError, match="out of memory") as caught:
        read(model.ask("Hi"))
    assert caught.value.code == "oom"


@pytest.mark.parametrize("then", ["drop", "end"])
def test_a_connection_that_breaks_before_any_piece_is_tried_again(ask, pauses, then):
    model = ask(Answer(then=then), Answer(blocks=(FIRST,), then=then), OK)
    assert model.ask("Hi").text == "Hello!"
    assert len(model.server.requests) == 3


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_three_times(ask, pauses, status):
    model = ask(answer_json(status, {"error": {"message": "busy", "code": "busy"}}))
    with pytest.raises(ProviderError, match="3 times") as caught:
        read(model.ask("Hi"))
    assert len(model.server.requests) == 3
    assert (caught.value.status, caught.value.code) == (status, "busy")
    assert 0.4 <= pauses[0] <= 0.5 and 0.8 <= pauses[1] <= 1.0


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 413, 422])
def test_what_cannot_pass_is_asked_once_even_with_a_retry_after(ask, pauses, status):
    model = ask(answer_json(status, {"error": {"message": "no"}}, **{"retry-after": "1"}))
    with pytest.raises(ProviderError) as caught:
        read(model.ask("Hi"))
    assert (len(model.server.requests), pauses, caught.value.status) == (1, [], status)


def test_a_retry_after_is_honoured_and_said(ask, pauses, capsys):
    model = ask(answer_json(429, {"status": 429, "title": "Too Many Requests"}, **{"retry-after": "7"}), OK)
    assert model.ask("Hi").text == "Hello!"
    assert pauses == [7.0]
    assert "asks to wait 7 s; then try 2 of 3" in capsys.readouterr().out


def test_a_wait_in_words_is_honoured(ask, pauses):
    words = "Rate limit of 10 per 60s exceeded for UserByModelByMinute. Please wait 29 seconds before retrying."
    model = ask(answer_json(429, {"error": {"code": "RateLimitReached", "message": words}}), OK)
    assert model.ask("Hi").text == "Hello!"
    assert pauses == [29.0]


def test_a_wait_of_a_day_fails_at_once_and_says_when_it_ends(ask, pauses):
    model = ask(answer_json(429, {"error": {"code": "RateLimitReached", "message": "x"}}, **{"retry-after": "52220"}))
    with pytest.raises(ProviderError, match=r"resets at \d\d:\d\d.*in 14 h 30 min") as caught:
        read(model.ask("Hi"))
    assert (len(model.server.requests), pauses, caught.value.retry_after_s) == (1, [], 52220.0)


def test_a_server_without_stream_options_is_asked_once_more_without(ask):
    refusal = answer_json(422, {"detail": [{"loc": ["body", "stream_options"], "msg": "extra fields not permitted"}]})
    model = ask(refusal, OK)
    assert model.ask("Hi").text == "Hello!"
    assert model.ask("Again").text == "Hello!"
    assert ["stream_options" in body for body in model.server.bodies] == [True, False, False]


def test_nvidias_shape_of_an_error_is_understood(ask):
    body = {
        "type": "about:blank",
        "title": "Gone",
        "status": 410,
        "detail": "The model 'x' has reached its end of life.",
    }
    with pytest.raises(ProviderError, match="end of life. Gone for good.*build.nvidia.com"):
        read(ask(answer_json(410, body)).ask("Hi"))


def test_a_retired_service_is_gone_whatever_its_message_says(ask):
    body = {"error": {"code": "github_models_retirement_brownout", "message": "temporarily unavailable"}}
    with pytest.raises(ProviderError, match="Gone for good, whatever.*retired on 2026-07-30.*foundry") as caught:
        read(ask(answer_json(410, body), who="github-models").ask("Hi"))
    assert caught.value.code == "github_models_retirement_brownout"


@pytest.mark.parametrize(
    ("who", "status", "body", "words"),
    [
        (
            "nvidia",
            403,
            {"status": 403, "title": "Forbidden", "detail": "Authorization failed"},
            "Public API Endpoints",
        ),
        ("nvidia", 401, {"status": 401, "title": "Unauthorized"}, "NVIDIA_API_KEY"),
        ("nvidia", 404, {"detail": "Function 'u': Not found for account 'a'"}, "not enabled for your account"),
        ("github-models", 401, {"error": {"code": "unauthorized", "message": "x"}}, "models:read"),
        ("foundry", 404, {"error": {"code": "DeploymentNotFound", "message": "x"}}, "gave your deployment"),
        ("foundry", 401, {"statusCode": 401, "message": "Unauthorized. Access token is missing"}, "FOUNDRY_API_KEY"),
        ("local", 404, {"error": "model 'x' not found"}, r"\.models\(\)"),
        ("ollama", 404, {"error": "model 'phi3.5' not found"}, "ollama pull the-model"),
        ("local", 413, {"error": {"code": "tokens_limit_reached", "message": "Max size: 8000 tokens."}}, "Shorten"),
        ("local", 400, {"error": {"code": "content_filter", "message": "The response was filtered"}}, "word it differ"),
        ("local", 302, {}, "has moved"),
    ],
)
def test_a_refusal_says_what_to_do_next(ask, who, status, body, words):
    with pytest.raises(ProviderError, match=words):
        read(ask(answer_json(status, body, location="http://127.0.0.1:9/elsewhere"), who=who).ask("Hi"))


PAGE = b"<!DOCTYPE html><html><body>Sign in to the guest network</body></html>"


@pytest.mark.parametrize("status", [200, 403, 407])
def test_a_proxys_page_is_called_one(ask, status):
    model = ask(Answer(status, (PAGE,), {"content-type": "text/html", "content-length": str(len(PAGE))}))
    with pytest.raises(ProviderError, match="page of HTML.*proxy.*wrong URL.*asked: http://127"):
        read(model.ask("Hi"))
    with pytest.raises(ProviderError, match="page of HTML"):
        model.models()


def test_an_answer_all_at_once_is_no_stream(ask):
    with pytest.raises(ProviderError, match="no stream came"):
        read(ask(answer_json(200, {"choices": [{"message": {"content": "Hi"}}]})).ask("Hi"))


def test_a_loopback_where_nothing_listens_fails_at_once(ask, pauses):
    model = ask(OK)
    model.server.close()
    dead = ask(OK, url="http://127.0.0.1:1/v1")
    with pytest.raises(ProviderError, match="nothing listens at http://127.0.0.1:1/v1"):
        read(dead.ask("Hi"))
    assert pauses == []


def test_a_silent_server_runs_into_the_time_limit(sdk, pauses):
    server = ScriptedServer(Answer(then="hold"))
    card = Card("m", "m", "unknown", "f", "text", "x", Facts(as_stated="not stated"))
    model = ENGINES[sdk](card, provider("local"), server.url, "m", None, 0.2)
    with pytest.raises(ProviderError, match="no answer came in time.*3 times"):
        read(model.ask("Hi"))


def test_leaving_the_loop_closes_the_connection(ask):
    model = ask(Answer(blocks=(event("one"), event("two")), then="hold"))
    reply = model.ask("Hi")
    for _ in reply:
        break
    del reply
    assert model.server.left.wait(5), "the server still waits for the client"


def test_an_interrupted_answer_says_so(ask):
    reply = ask(Answer(blocks=(event("one"), event("two")), then="hold")).ask("Hi")
    tokens = iter(reply)
    next(tokens)
    tokens.close()
    assert (reply.finish_reason, reply.text) == ("interrupted", "one")


def test_models_are_listed_in_any_known_shape(ask):
    model = ask(
        answer_json(200, {"object": "list", "data": [{"id": "a"}, {"id": "b"}]}), answer_json(200, [{"name": "c"}])
    )
    assert (model.models(), model.models()) == (["a", "b"], ["c"])
    assert model.server.requests[0]["path"].startswith("/v1/models")


def test_models_are_asked_for_again_when_it_may_help(ask, pauses):
    model = ask(answer_json(503, {}), answer_json(200, {"data": [{"id": "a"}]}))
    assert model.models() == ["a"]


def test_a_proxy_of_the_environment_is_passed_by_on_loopback(ask, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert ask(OK).ask("Hi").text == "Hello!"


def test_no_key_follows_a_redirect(ask):
    other = ScriptedServer(OK)
    with pytest.raises(ProviderError, match="moved"):
        read(ask(answer_json(307, {}, location=f"{other.url}/chat/completions")).ask("Hi"))
    assert other.requests == []


def test_pictures_go_as_parts_or_as_nvidias_tag(ask):
    picture = Picture(b"\x89PNG", "png", 2, 2)
    question = Message("user", "What is it?", (picture,))
    model = ask(OK, who="local")
    read(model.ask(question))
    parts = model.server.bodies[0]["messages"][0]["content"]
    assert parts[0] == {"type": "text", "text": "What is it?"}
    assert parts[1]["image_url"]["url"] == picture.data_url
    model = ask(OK, who="nvidia")
    read(model.ask(question))
    assert model.server.bodies[0]["messages"][0]["content"] == f'What is it? <img src="{picture.data_url}" />'


def test_a_picture_too_large_for_nvidia_is_refused_with_its_size(ask):
    model = ask(OK)
    with pytest.raises(BadRequest, match=r"200,000 characters.*within\(180_000\)"):
        model.ask(Message("user", "What is it?", (Picture(b"x" * 150_000, "jpeg", 9, 9),)))
    assert model.server.requests == []


def test_a_closed_connection_is_refused(ask):
    model = ask(OK)
    late = model.ask("Hi")
    model.close()
    for use in (lambda: model.ask("Hi"), model.models, lambda: late.text):
        with pytest.raises(SlmLabError, match="was closed"):
            use()


def test_a_conversation_goes_on(ask):
    model = ask(OK)
    chat = model.chat(system="Be brief.")
    read(chat.ask("Hi"))
    read(chat.ask("And?"))
    assert [one["role"] for one in model.server.bodies[1]["messages"]] == ["system", "user", "assistant", "user"]


# Keys

LEAKS = {
    "an echo in a refusal": answer_json(401, {"error": {"message": f"Incorrect API key provided: {KEY.reveal()}."}}),
    "an echo in the code": answer_json(403, {"error": {"message": "no", "code": KEY.reveal()}}),
    "an echo in plain text": Answer(500, (f"Bearer {KEY.reveal()}".encode(),), {"content-type": "text/plain"}),
    "an echo in a page": Answer(502, (f"<html>{KEY.reveal()}</html>".encode(),), {"content-type": "text/html"}),
    "an echo in a stream": Answer(blocks=(f'data: {{"error": {{"message": "bad {KEY.reveal()}"}}}}\n\n'.encode(),)),
    "an echo after a piece": Answer(blocks=(event("a"), f'data: {{"error": "bad {KEY.reveal()}"}}\n\n'.encode())),
    "an echo in broken JSON": Answer(blocks=(f"data: {{bad {KEY.reveal()}\n\n".encode(),)),
    "an echo in a list": answer_json(400, [{"error": {"message": f"x {KEY.reveal()}"}}]),
    "a dropped connection": Answer(then="drop"),
    "another key": answer_json(400, {"error": {"message": "ghp_abcDEF123 sk-proj-abc123 github_pat_11AA nvapi-other"}}),
}


@pytest.mark.parametrize("answer", LEAKS.values(), ids=LEAKS)
def test_a_key_shows_nowhere(ask, answer, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    shown = []
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        for use in ("ask", "models"):
            shown.append(_shown_by(ask(answer), use))
    shown += [str(one.message) for one in warned] + [repr(one.__dict__) for one in caplog.records]
    shown += [caplog.text, *capfd.readouterr()]
    for secret in (KEY.reveal(), "ghp_abcDEF123", "sk-proj-abc123", "github_pat_11AA", "nvapi-other"):
        assert secret not in "\n".join(shown[:3]), "in what a reader sees"
    assert KEY.reveal() not in "\n".join(shown)


def _shown_by(model, use: str) -> str:
    """All that a reader may see of one call: the exception with every local of every frame, and the objects."""
    seen = [repr(model), str(model), repr(model.provider)]
    try:
        reply = None
        if use == "models":
            model.models()
        else:
            reply = model.ask("Hi")
            read(reply)
            seen += [repr(reply), repr(reply.end)]
    except SlmLabError as fault:
        told = traceback.TracebackException.from_exception(fault, capture_locals=True)
        seen += [str(fault), repr(fault), repr(fault.__dict__), "".join(told.format()), repr(reply)]
        assert fault.__cause__ is None and fault.__context__ is None, "an SDK's frames hold the headers"
    return "\n".join(seen)


def test_the_key_does_reach_the_server(ask):
    model = ask(OK)
    read(model.ask("Hi"))
    assert model.server.requests[0]["headers"]["authorization"] == f"Bearer {KEY.reveal()}"


def test_the_time_to_the_first_piece_is_measured_from_the_try_that_was_answered(ask, monkeypatch):
    waited = []
    monkeypatch.setattr(remote, "sleep", lambda wait_s: waited.append(perf_counter()))
    reply = ask(answer_json(503, {}), OK).ask("Hi")
    read(reply)
    assert waited[0] <= reply.start.time_s <= reply.tokens[0].time_s <= reply.end.time_s


def test_another_provider_of_the_same_shape_needs_no_new_code(ask):
    elsewhere = replace(provider("local"), name="Elsewhere")
    assert "Elsewhere" in repr(ask(OK, who=elsewhere))


# What comes in place of an answer


def test_an_answer_that_failed_fails_whenever_it_is_read(ask):
    reply = ask(answer_json(400, {"error": {"message": "no such thing"}})).ask("Hi")
    for _ in range(2):
        with pytest.raises(ProviderError, match="no such thing"):
            read(reply)


def test_each_cut_answer_is_warned_about_at_the_readers_own_line(ask):
    model = ask(Answer(blocks=(event("Half"),), then="drop"))
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("default")
        for _ in range(3):
            read(model.ask("Hi"))
    assert [one.filename for one in warned] == [__file__] * 3


def test_an_answer_of_thoughts_alone_says_so(ask):
    thought = event(delta={"reasoning_content": "Let me think"})
    reply = ask(Answer(blocks=(thought, event(finish_reason="length")))).ask("Hi")
    with pytest.warns(IncompleteAnswer, match="reasoning_content and no text. Raise max_tokens"):
        assert reply.text == ""
    assert reply.finish_reason == "length" and "reasoning_content" in reply.end.fault


def test_an_error_event_without_the_word_error_is_one(ask):
    told = b'data: {"object": "error", "message": "CUDA out of memory", "code": 400}\n\n'
    with pytest.raises(ProviderError, match="CUDA out of memory"):
        read(ask(Answer(blocks=(told,))).ask("Hi"))
    with pytest.warns(IncompleteAnswer, match="CUDA out of memory"):
        assert read(ask(Answer(blocks=(event("Half"), told))).ask("Hi")) == "Half"


def test_an_interrupt_keeps_the_frames_that_hold_the_key_to_itself(ask, monkeypatch):
    def interrupted(*_, **__):
        headers = {"api-key": KEY.reveal()}  # noqa: F841 - as the frames of an SDK hold it
        raise KeyboardInterrupt

    model = ask(OK)
    for name, use in (("_open", lambda: read(model.ask("Hi"))), ("_listed", model.models)):
        monkeypatch.setattr(model, name, interrupted)
        with pytest.raises(KeyboardInterrupt) as caught:
            use()
        told = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
        assert KEY.reveal() not in "".join(told.format())


def test_an_error_cut_before_its_end_is_asked_for_again(sdk, ask, pauses):
    cut = Answer(503, (b'{"error": {"mess',), {"content-type": "application/json", "content-length": "900"})
    assert ask(cut, OK).ask("Hi").text == "Hello!" and len(pauses) == 1
