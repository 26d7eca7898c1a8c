"""The engine of a service over a real socket: what it sends, what a stream brings, what faults say, and keys unseen."""

import re
import time
import traceback

import pytest

from slmlab.connecting import Endpoint, as_key, connect, services
from slmlab.engines import remote
from slmlab.errors import BadRequest, IncompleteAnswer, ProviderError
from slmlab.pictures import Picture
from slmlab.records import Message
from tests import refusals
from tests.scripted_server import Answer, ScriptedServer, answer_json, event, stream

SECRET = "nvapi-PLANTED-7f3a9c1e"
OK = stream("Hel", "lo", "!")
END = event(finish_reason="stop")
FIRST = b'data: {"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[]}\n\n'


@pytest.fixture
def ask(monkeypatch):
    """A function that puts a server behind a script and gives a model on it; the server is its `.server`."""
    opened, pauses = [], []  # the pauses that the SDK asked for, none of them taken
    monkeypatch.setattr(time, "sleep", pauses.append)
    monkeypatch.setattr(remote, "_learned", {})  # a port may come again

    def make(*answers, who="nvidia", url=None, key=SECRET, timeout_s=5, img_tags=False):
        server = ScriptedServer(*answers)
        place = Endpoint(services()[who], url or server.url, key and as_key(key))
        model = connect(place, "the-model", timeout_s=timeout_s, img_tags=img_tags)
        model.server, model.pauses = server, pauses
        opened.append(model)
        return model

    yield make
    for model in opened:
        model.server.close()


def fault_of(model, **settings) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        model.ask("Hi", **settings).text  # noqa: B018 - reading it asks the service
    return caught.value


def test_a_service_is_sent_what_the_caller_named_under_the_name_that_was_used_and_no_more(ask):
    model = ask(OK)
    settings = {"max_tokens": 5, "temperature": 0, "seed": 0, "stop": ["END"], "logprobs": True, "top_logprobs": 2}
    assert model.ask("Hi", system="Be brief.", **settings).text == "Hello!"
    sent = model.server.bodies[0]
    assert sent.pop("messages") == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    own = {"model": "the-model", "stream": True, "stream_options": {"include_usage": True}}
    assert sent == own | settings
    assert model.chat(max_tokens=9, seed=None).ask("Hi", max_completion_tokens=5).text
    assert model.server.bodies[1].keys() - own.keys() == {"messages", "max_completion_tokens"}


def test_a_setting_that_a_model_refuses_is_renamed_or_left_out_once_and_said(ask, capsys):
    limit, cold, new = {"max_tokens": 8}, {"temperature": 0}, {"max_completion_tokens": 8}
    cases = [
        (refusals.GPT_5, "openai", limit | cold, new, ["max_tokens", "temperature"]),
        (refusals.O_SERIES, "foundry", cold | limit, new, ["temperature", "max_tokens"]),
        (refusals.OLD_VLLM, "local", new | cold, limit | cold, ["max_completion_tokens"]),
        (refusals.MISTRAL, "local", limit, limit, ["stream_options"]),
        (refusals.FOUNDRY, "foundry", cold, cold, ["stream_options"]),
        (refusals.NVIDIA, "nvidia", limit | {"seed": 1, "top_p": 0.5}, limit, ["seed", "top_p"]),
    ]
    for service, who, asked, taken, refused in cases:
        model = ask(service, who=who)
        assert model.ask("Hi", **asked).text == "Hello"
        assert len(model.server.requests) == len(refused) + 1, "once for each, and the answer"
        lines = [f"the-model at {services()[who].name} takes no {name} from now on." for name in refused]
        told = re.sub(": it is (left out|sent as max_(completion_)?tokens)", "", capsys.readouterr().out)
        assert sorted(told.splitlines()) == sorted(lines), "one line for each"
        assert ask(url=model.url, who=who).ask("Hi", **asked).text == "Hello", "another connection knows it"
        assert len(model.server.requests) == len(refused) + 2 and capsys.readouterr().out == ""
        assert model.server.bodies[-1].keys() - {"model", "messages", "stream", "stream_options"} == taken.keys()


def test_what_changes_an_answers_form_is_never_left_out_and_no_refusal_is_asked_again_for_ever(ask, capsys):
    model = ask(refusals.GPT_5)
    with pytest.raises(ProviderError, match="'stop' is not supported.*Leave out what it refuses"):
        model.ask("Hi", stop="x").text  # noqa: B018
    large = {"message": "max_tokens is too large: 9. This model supports at most 8.", "param": "max_tokens"}
    assert fault_of(ask(answer_json(400, {"error": large})), max_tokens=9).status == 400
    assert len(model.server.requests) == 1 and capsys.readouterr().out == ""
    model = ask(lambda asked: refusals.openai_error(None, ", ".join(sorted(asked["body"], reverse=True))))
    assert fault_of(model, max_tokens=9, seed=1, top_p=0.5).status == 400
    assert len(model.server.requests) == 5, "each of the four once, and max_tokens by its other name"


def test_what_the_protocol_has_no_word_for_is_refused(ask):
    for settings in ({"beams": 2}, {"top_k": 5}, {"repetition_penalty": 1.1}, {"scorer": lambda ids, logits: logits}):
        with pytest.raises(BadRequest, match=f"{next(iter(settings))} isn't part of OpenAI's protocol.*slmlab.load"):
            ask(OK).ask("Hi", **settings)


def test_pictures_go_as_parts_and_where_asked_as_nvidias_older_tag_and_none_too_large(ask):
    picture = Picture(b"\x89PNG", "png", 2, 2)
    image = {"type": "image_url", "image_url": {"url": picture.data_url}}
    contents = {False: [{"type": "text", "text": "?"}, image], True: f'? <img src="{picture.data_url}" />'}
    for img_tags, content in contents.items():
        model = ask(OK, img_tags=img_tags)
        assert model.ask(Message("user", "?", (picture,))).text
        assert model.server.bodies[0]["messages"][0]["content"] == content
    with pytest.raises(BadRequest, match=r"200,000 characters.*within\(180_000\)"):
        model.ask(Message("user", "?", (Picture(b"x" * 150_000, "jpeg", 9, 9),)))


def test_an_answer_streams_and_the_server_counts_it(ask):
    null = event(delta={"role": "assistant", "content": None})
    model = ask(stream("Hel", "lo", usage=(7, 3)), Answer(blocks=(FIRST, null, event("Hello!"), END)))
    reply = model.ask("Hi")
    assert [token.text for token in reply] == ["Hel", "lo"] and reply.finish_reason == "end"
    assert (reply.metrics.prompt_tokens, reply.metrics.new_tokens) == (7, 3), "pieces are not tokens"
    reply = model.ask("Hi")
    assert (reply.text, reply.finish_reason) == ("Hello!", "end"), "no choices, a content of null, and no [DONE]"
    assert reply.metrics.new_tokens is None, "unknown is None"


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
    with pytest.warns(IncompleteAnswer, match="no text within max_tokens: raise it"):
        assert ask(stream(reason="length")).ask("Hi").text == "", "a model that thinks may get no further"


def test_log_probabilities_come_with_each_token(ask):
    likeliest = [{"token": "Ho", "logprob": 0.0}]
    told = [{"token": text, "logprob": p, "top_logprobs": likeliest} for text, p in (("He", -0.5), ("y", -1.5))]
    reply = ask(Answer(blocks=(event("Hey", logprobs={"content": told}), END))).ask("Hi", logprobs=True)
    assert [(token.text, token.logprob) for token in reply.tokens] == [("He", -0.5), ("y", -1.5)]
    assert reply.tokens[0].top[0].probability == 1.0


def test_what_arrived_before_a_break_is_kept_and_marked_each_time(ask):
    half = event("Half an")
    breaks = {
        "peer closed connection": Answer(blocks=(half,), then="drop"),
        "stream stopped before its end": Answer(blocks=(half,)),
        "out of memory": Answer(blocks=(half, b'data: {"error": {"message": "out of memory"}}\n\n')),
        "Expecting property name": Answer(blocks=(half, b"data: {oops\n\n")),
    }
    for words, answer in breaks.items():
        model = ask(answer)
        for asked in (1, 2):  # the same cell may be run again
            reply = model.ask("Hi")
            with pytest.warns(IncompleteAnswer, match=f"{words}.*What had arrived is kept"):
                assert reply.text == "Half an"
            assert reply.finish_reason == "incomplete" and words in reply.end.fault
            assert len(model.server.requests) == asked, "an answer that has begun is never asked for again"


def test_a_connection_that_breaks_before_any_piece_is_tried_once_more(ask):
    broken = Answer(blocks=(FIRST,), then="drop")
    model = ask(broken, OK)
    assert model.ask("Hi").text == "Hello!" and len(model.server.requests) == 2
    model = ask(broken)
    assert "peer closed" in str(fault_of(model)) and len(model.server.requests) == 2


def test_what_may_pass_is_tried_three_times_and_what_cannot_once(ask):
    for status, tries in {429: 3, 503: 3, 400: 1, 401: 1, 404: 1, 410: 1}.items():
        model = ask(answer_json(status, {"error": {"message": "no", "code": "why"}}))
        fault = fault_of(model)
        assert (len(model.server.requests), fault.status, fault.code) == (tries, status, "why")
        assert ("Tried 3 times" in fault.advice) == (tries == 3)


def test_a_retry_after_is_honoured_and_said_and_one_of_a_day_fails_at_once(ask, capsys):
    model = ask(answer_json(429, {"title": "Too Many"}, **{"retry-after": "7"}), OK)
    asked_s, reply = time.perf_counter(), model.ask("Hi")
    assert (reply.text, model.pauses) == ("Hello!", [7.0])
    assert capsys.readouterr().out == "NVIDIA's hosted API asks to wait 7 s; then try 2 of 3.\n"
    assert asked_s < reply.start.time_s <= reply.tokens[0].time_s <= reply.end.time_s
    model = ask(answer_json(429, {"error": {"message": "x"}}, **{"retry-after": "52220"}))
    advice = fault_of(model).advice
    assert "resets at" in advice and "in 14 h 30 min" in advice
    assert (len(model.server.requests), model.pauses) == (1, [7.0])
    assert capsys.readouterr().out == "", "no try is promised that won't be made"


def test_a_refusal_says_what_to_do_next(ask):
    brownout = {"error": {"code": "github_models_retirement_brownout", "message": "temporarily unavailable"}}
    filtered = {"error": {"code": "content_filter", "message": "The response was filtered"}}
    cases = [
        ("nvidia", 403, {"detail": "Authorization failed"}, "refused for this. It lacks the scope 'Public API"),
        ("nvidia", 404, {"detail": "Not found for account 'a'"}, "not enabled for your account"),
        ("nvidia", 410, {"detail": "end of life"}, "Gone for good. What is offered today"),
        ("github-models", 401, {"error": {"message": "x"}}, "models:read. GitHub sends users to Microsoft Foundry"),
        ("github-models", 410, brownout, "whatever the message says. GitHub Models was retired on 2026-07-30."),
        ("ollama", 404, {"error": "model 'phi3.5' not found"}, "ollama pull the-model"),
        ("local", 413, {"error": {"message": "Max size: 8000 tokens."}}, "Shorten the prompt"),
        ("local", 400, filtered, "word it differently"),
        ("local", 422, {"detail": [{"msg": "no"}]}, "trying again won't help"),
    ]
    for who, status, body, words in cases:
        fault = fault_of(ask(answer_json(status, body), who=who))
        assert words in fault.advice, f"{who} {status}: {fault}"
        assert str(fault).startswith(f"{services()[who].name} ({status}): "), str(fault)
    assert fault_of(ask(answer_json(401, {}), who="local", key=None)).advice == "No key was sent."


def test_what_is_no_stream_and_no_list_is_said_to_be_none(ask):
    page = b"<!DOCTYPE html><html><body>Sign in to the guest network</body></html>"
    html = {"content-type": "text/html", "content-length": str(len(page))}
    assert "no stream came from http://127" in str(fault_of(ask(Answer(200, (page,), html))))
    assert ask(answer_json(503, {}), answer_json(200, {"data": [{"id": "a"}, {"id": "b"}]})).models() == ["a", "b"]
    with pytest.raises(ProviderError, match="no name of a model came from http://127.*A proxy, or a wrong URL"):
        ask(Answer(200, (page,), html)).models()


def test_a_connection_that_fails_says_how_and_what_to_look_at(ask):
    here = fault_of(ask(OK, who="ollama", url="http://127.0.0.1:1/v1"))
    assert "refused" in str(here) and "ollama.com/download" in here.advice
    far = fault_of(ask(OK, url="https://no-such-host.invalid/v1"))
    assert far.advice.endswith("no-such-host.invalid/v1: does a server run there, and is there a network?")
    assert "timed out" in str(fault_of(ask(Answer(then="hold"), timeout_s=0.2)))
    late = ask(OK)
    late.close()
    assert "client has been closed" in str(fault_of(late))


def test_the_key_reaches_the_server_and_nothing_of_the_environment_does(ask, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    model = ask(OK)
    assert model.ask("Hi").text == "Hello!", "a proxy can't reach this machine's own servers"
    headers = model.server.requests[0]["headers"]
    assert headers["authorization"] == f"Bearer {SECRET}" and "sk-1" not in str(headers) and "org-1" not in str(headers)


def test_no_key_follows_a_redirect(ask):
    other = ScriptedServer(OK)
    assert fault_of(ask(answer_json(307, {}, location=f"{other.url}/chat/completions"))).status == 307
    assert other.requests == []
    other.close()


ECHO = f"Incorrect API key provided: {SECRET}."
LEAKS = [
    answer_json(401, {"error": {"message": ECHO}}),
    answer_json(401, {"error": {"message": ECHO.upper()}}),
    Answer(500, (f"Bearer {SECRET}".encode(),), {"content-type": "text/plain"}),
    Answer(blocks=(f'data: {{"error": {{"message": "{ECHO}"}}}}\n\n'.encode(),)),
    Answer(blocks=(f"data: {{bad {SECRET}\n\n".encode(),)),
    Answer(then="drop"),
]


def test_a_key_shows_nowhere(ask, caplog, capfd):
    caplog.set_level("DEBUG")
    shown = [text for answer in LEAKS for text in _shown_by(ask(answer))]
    shown += [caplog.text, *(repr(vars(one)) for one in caplog.records), *capfd.readouterr()]
    text = "\n".join(shown)
    assert SECRET.lower() not in text.lower() and "[key]" in text


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
