"""The engine of a service over a real socket: what it sends, what a stream brings, what faults say, and keys unseen."""

import time
import traceback
import warnings

import pytest
from pydantic import SecretStr

from slmlab.catalog import Card, Facts
from slmlab.engines.remote import RemoteEngine
from slmlab.errors import BadRequest, IncompleteAnswer, ProviderError
from slmlab.pictures import Picture
from slmlab.providers import services
from slmlab.records import Message
from tests.scripted_server import Answer, ScriptedServer, answer_json, event, stream

SECRET = "nvapi-PLANTED-7f3a9c1e"
OK = stream("Hel", "lo", "!")
END = event(finish_reason="stop")
FIRST = b'data: {"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[]}\n\n'


@pytest.fixture
def pauses(monkeypatch) -> list[float]:
    """The pauses that the SDK asked for, none of them taken."""
    taken: list[float] = []
    monkeypatch.setattr(time, "sleep", taken.append)
    return taken


@pytest.fixture
def ask(pauses):
    """A function that puts a server behind a script and gives a model on it; the server is its `.server`."""
    opened = []

    def make(*answers, who="nvidia", url=None, key=SECRET, timeout_s=5):
        server = ScriptedServer(*answers)
        card = Card("m", "m", "unknown", "f", "text", "x", Facts(as_stated="not stated"))
        key = SecretStr(key) if key else None
        model = RemoteEngine(card, services()[who], url or server.url, "the-model", key, timeout_s)
        model.server = server
        opened.append(model)
        return model

    yield make
    for model in opened:
        model.close()
        model.server.close()


def fault_of(model) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        model.ask("Hi").text  # noqa: B018 - reading it asks the service
    return caught.value


# What is sent


def test_settings_are_sent_as_the_protocol_writes_them(ask):
    model = ask(OK)
    settings = {"max_tokens": 5, "seed": 0, "stop": ["END"], "logprobs": True, "top_logprobs": 2}
    assert model.ask("Hi", system="Be brief.", **settings).text == "Hello!"
    sent = model.server.bodies[0]
    assert sent.pop("messages") == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    own = {"model": "the-model", "stream": True, "stream_options": {"include_usage": True}}
    assert sent == own | settings | {"temperature": 0, "top_p": 1}
    assert model.ask("Hi").text and not {"seed", "stop", "logprobs"} & set(model.server.bodies[1])


def test_what_the_protocol_has_no_word_for_is_refused_before_anything_is_sent(ask):
    model = ask(OK)
    for settings in ({"beams": 2}, {"top_k": 5}, {"repetition_penalty": 1.1}, {"scorer": lambda ids, logits: logits}):
        with pytest.raises(BadRequest, match=f"{next(iter(settings))} isn't part of OpenAI's protocol.*slmlab.load"):
            model.ask("Hi", **settings)
    assert model.server.requests == []


def test_pictures_go_as_parts_or_as_nvidias_tag_and_none_too_large(ask):
    picture = Picture(b"\x89PNG", "png", 2, 2)
    question = Message("user", "What is it?", (picture,))
    for who in ("local", "nvidia"):
        model = ask(OK, who=who)
        assert model.ask(question).text
        content = model.server.bodies[0]["messages"][0]["content"]
        if who == "local":
            image = {"type": "image_url", "image_url": {"url": picture.data_url}}
            assert content == [{"type": "text", "text": "What is it?"}, image]
        else:
            assert content == f'What is it? <img src="{picture.data_url}" />'
    with pytest.raises(BadRequest, match=r"200,000 characters.*within\(180_000\)"):
        model.ask(Message("user", "What is it?", (Picture(b"x" * 150_000, "jpeg", 9, 9),)))


# What a stream brings


def test_an_answer_streams_and_the_server_counts_it(ask):
    reply = ask(stream("Hel", "lo", usage=(7, 3))).ask("Hi")
    assert [token.text for token in reply] == ["Hel", "lo"]
    assert reply.finish_reason == "end"
    assert (reply.metrics.prompt_tokens, reply.metrics.new_tokens) == (7, 3), "pieces are not tokens"
    assert reply.metrics.ttft_s > 0 and reply.tokens[0].id is None
    assert ask(stream("Hel", usage=None)).ask("Hi").metrics.new_tokens is None, "unknown is None"


def test_leaving_the_loop_closes_the_connection(ask):
    model = ask(Answer(blocks=(event("one"), event("two")), then="hold"))
    reply = model.ask("Hi")
    for token in reply:
        assert token.text == "one", "a buffer held the piece back"
        break
    assert reply.finish_reason == "interrupted"
    assert model.server.left.wait(5), "the server still waits for the client"


def test_the_reason_of_an_end_is_told_in_our_words(ask):
    for reason, ours in (("stop", "end"), ("length", "length"), ("content_filter", "filtered")):
        reply = ask(stream("Hi", reason=reason)).ask("Hi")
        assert (reply.text, reply.finish_reason) == ("Hi", ours)


def test_log_probabilities_come_with_each_token(ask):
    likeliest = [{"token": "Ho", "logprob": 0.0}]
    told = [{"token": text, "logprob": p, "top_logprobs": likeliest} for text, p in (("He", -0.5), ("y", -1.5))]
    reply = ask(Answer(blocks=(event("Hey", logprobs={"content": told}), END))).ask("Hi", logprobs=True)
    assert [(token.text, token.logprob) for token in reply.tokens] == [("He", -0.5), ("y", -1.5)]
    assert reply.tokens[0].top[0].probability == 1.0


def test_streams_of_the_named_services_are_read(ask):
    null = event(delta={"role": "assistant", "content": None})
    reply = ask(Answer(blocks=(FIRST, null, event("Hel"), event("lo!"), END))).ask("Hi")
    assert (reply.text, reply.finish_reason) == ("Hello!", "end"), "no choices, a content of null, and no [DONE]"


def test_what_arrived_before_a_break_is_kept_and_marked(ask):
    breaks = {
        "peer closed connection": Answer(blocks=(event("Half an"),), then="drop"),
        "stream stopped before its end": Answer(blocks=(event("Half an"),)),
        "out of memory": Answer(blocks=(event("Half an"), b'data: {"error": {"message": "out of memory"}}\n\n')),
        "Expecting property name": Answer(blocks=(event("Half an"), b"data: {oops\n\n")),
    }
    for words, answer in breaks.items():
        model = ask(answer)
        reply = model.ask("Hi")
        with pytest.warns(IncompleteAnswer, match=f"{words}.*What had arrived is kept"):
            assert reply.text == "Half an"
        assert reply.finish_reason == "incomplete" and words in reply.end.fault
        assert len(model.server.requests) == 1, "an answer that has begun is never asked for again"


def test_each_cut_answer_is_warned_about_again(ask):
    model = ask(Answer(blocks=(event("Half"),), then="drop"))
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("default")
        for _ in range(3):
            model.ask("Hi").text  # noqa: B018
    assert len(warned) == 3, "the same cell may be run again"


def test_an_answer_of_thoughts_alone_says_so(ask):
    thought = event(delta={"reasoning_content": "Let me think"})
    reply = ask(Answer(blocks=(thought, event(finish_reason="length")))).ask("Hi")
    with pytest.warns(IncompleteAnswer, match="no text within max_tokens: raise it"):
        assert (reply.text, reply.finish_reason) == ("", "length")


# Tries


def test_a_connection_that_breaks_before_any_piece_is_tried_once_more(ask):
    model = ask(Answer(blocks=(FIRST,), then="drop"), OK)
    assert model.ask("Hi").text == "Hello!"
    assert len(model.server.requests) == 2
    model = ask(Answer(blocks=(FIRST,), then="drop"))
    assert "peer closed" in str(fault_of(model)) and len(model.server.requests) == 2


def test_what_may_pass_is_tried_three_times_and_what_cannot_once(ask, pauses):
    for status, tries in {429: 3, 503: 3, 400: 1, 401: 1, 404: 1, 410: 1}.items():
        model = ask(answer_json(status, {"error": {"message": "no", "code": "why"}}))
        fault = fault_of(model)
        assert (len(model.server.requests), fault.status, fault.code) == (tries, status, "why")
        assert ("Tried 3 times" in fault.advice) == (tries == 3)


def test_a_retry_after_is_honoured_and_said(ask, pauses, capsys):
    reply = ask(answer_json(429, {"title": "Too Many Requests"}, **{"retry-after": "7"}), OK).ask("Hi")
    assert (reply.text, pauses) == ("Hello!", [7.0])
    assert capsys.readouterr().out == "NVIDIA's hosted API asks to wait 7 s; then try 2 of 3.\n"


def test_a_wait_of_a_day_fails_at_once_and_says_when_it_ends(ask, pauses, capsys):
    model = ask(answer_json(429, {"error": {"message": "x"}}, **{"retry-after": "52220"}))
    fault = fault_of(model)
    assert "resets at" in fault.advice and "in 14 h 30 min" in fault.advice
    assert (len(model.server.requests), pauses) == (1, [])
    assert capsys.readouterr().out == "", "no try is promised that won't be made"


def test_the_time_to_the_first_piece_begins_at_the_try_that_was_answered(ask, monkeypatch):
    waited = []
    monkeypatch.setattr(time, "sleep", lambda _: waited.append(time.perf_counter()))
    reply = ask(answer_json(503, {}), OK).ask("Hi")
    assert reply.text and waited[0] <= reply.start.time_s <= reply.tokens[0].time_s <= reply.end.time_s


# What a fault says


def test_a_refusal_says_what_to_do_next(ask):
    gone = {"title": "Gone", "status": 410, "detail": "The model 'x' has reached its end of life."}
    brownout = {"error": {"code": "github_models_retirement_brownout", "message": "temporarily unavailable"}}
    filtered = {"error": {"code": "content_filter", "message": "The response was filtered"}}
    cases = [
        ("nvidia", 403, {"detail": "Authorization failed"}, "refused for this. It lacks the scope 'Public API"),
        ("nvidia", 401, {"title": "Unauthorized"}, "NVIDIA_API_KEY; a new one: https://build.nvidia.com"),
        ("nvidia", 404, {"detail": "Not found for account 'a'"}, "not enabled for your account"),
        ("nvidia", 410, gone, "Gone for good. What is offered today"),
        ("github-models", 401, {"error": {"message": "x"}}, "models:read. GitHub sends users to Microsoft Foundry"),
        ("github-models", 410, brownout, "whatever the message says. GitHub Models was retired on 2026-07-30."),
        ("foundry", 404, {"error": {"code": "DeploymentNotFound", "message": "x"}}, "gave your deployment"),
        ("foundry", 401, {"statusCode": 401, "message": "Access token is missing"}, "FOUNDRY_API_KEY"),
        ("ollama", 404, {"error": "model 'phi3.5' not found"}, "ollama pull the-model"),
        ("local", 404, {"error": "model 'x' not found"}, "'the-model' at http://127.0.0.1"),
        ("local", 413, {"error": {"message": "Max size: 8000 tokens."}}, "Shorten the prompt"),
        ("local", 400, filtered, "word it differently"),
        ("local", 422, {"detail": [{"msg": "no"}]}, "trying again won't help"),
    ]
    for who, status, body, words in cases:
        fault = fault_of(ask(answer_json(status, body), who=who))
        assert words in fault.advice, f"{who} {status}: {fault}"
        assert str(fault).startswith(f"{services()[who].name} ({status}): "), str(fault)


def test_what_is_no_stream_and_no_list_is_said_to_be_none(ask):
    page = b"<!DOCTYPE html><html><body>Sign in to the guest network</body></html>"
    html = {"content-type": "text/html", "content-length": str(len(page))}
    for answer in (Answer(200, (page,), html), answer_json(200, {"choices": [{"message": {"content": "Hi"}}]})):
        assert "no stream came from http://127" in str(fault_of(ask(answer)))
    with pytest.raises(ProviderError, match="no name of a model came from http://127.*A proxy, or a wrong URL"):
        ask(Answer(200, (page,), html)).models()
    fault = fault_of(ask(Answer(blocks=(FIRST, b'data: {"error": {"message": "out of memory", "code": "oom"}}\n\n'))))
    assert (fault.code, "out of memory" in str(fault)) == ("oom", True)


def test_a_connection_that_fails_says_how_and_what_to_look_at(ask):
    here = fault_of(ask(OK, who="ollama", url="http://127.0.0.1:1/v1"))
    assert "refused" in str(here) and "ollama.com/download" in here.advice
    far = fault_of(ask(OK, url="https://no-such-host.invalid/v1"))
    assert "no-such-host.invalid/v1: does a server run there, and is there a network?" in far.advice
    assert "timed out" in str(fault_of(ask(Answer(then="hold"), timeout_s=0.2)))
    late = ask(OK)
    late.close()
    assert "client has been closed" in str(fault_of(late))


def test_models_are_listed_and_asked_for_again_when_it_may_help(ask):
    model = ask(answer_json(503, {}), answer_json(200, {"object": "list", "data": [{"id": "a"}, {"id": "b"}]}))
    assert model.models() == ["a", "b"]
    assert model.server.requests[1]["path"] == "/v1/models"


# Keys


def test_the_key_reaches_the_server_and_nothing_of_the_environment_does(ask, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-environment")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    model = ask(OK)
    assert model.ask("Hi").text == "Hello!"
    headers = model.server.requests[0]["headers"]
    assert headers["authorization"] == f"Bearer {SECRET}"
    assert "sk-of" not in str(headers) and "org-1" not in str(headers)


def test_a_proxy_of_the_environment_is_passed_by_on_loopback(ask, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    assert ask(OK).ask("Hi").text == "Hello!"


def test_no_key_follows_a_redirect(ask):
    other = ScriptedServer(OK)
    assert fault_of(ask(answer_json(307, {}, location=f"{other.url}/chat/completions"))).status == 307
    assert other.requests == []
    other.close()


ECHO = f"Incorrect API key provided: {SECRET}."
LEAKS = [
    answer_json(401, {"error": {"message": ECHO}}),
    Answer(500, (f"Bearer {SECRET}".encode(),), {"content-type": "text/plain"}),
    Answer(blocks=(f'data: {{"error": {{"message": "{ECHO}"}}}}\n\n'.encode(),)),
    Answer(blocks=(f"data: {{bad {SECRET}\n\n".encode(),)),
    Answer(then="drop"),
]


def test_a_key_shows_nowhere(ask, caplog, capfd):
    caplog.set_level("DEBUG")
    shown = [text for answer in LEAKS for text in _shown_by(ask(answer))]
    shown += [caplog.text, *(repr(vars(one)) for one in caplog.records), *capfd.readouterr()]
    assert SECRET not in "\n".join(shown) and "[key]" in "\n".join(shown)


def _shown_by(model) -> list[str]:
    """All that a reader may see of a failed call: the exception with every local of every frame, and the objects."""
    reply = model.ask("Hi")
    try:
        reply.text  # noqa: B018
    except ProviderError as fault:
        assert fault.__cause__ is None and fault.__context__ is None, "an SDK's frames hold the headers"
        told = traceback.TracebackException.from_exception(fault, capture_locals=True)
        return [repr(model), repr(reply), str(fault), repr(vars(fault)), "".join(told.format())]
    raise AssertionError("it should have failed")
