"""The words that OpenAI's protocol has for all its forms: a body of JSON to an Ask, an Answer back to JSON.

Pure: knows nothing about sockets, engines or providers. What it can't do it refuses, and never does something else.
"""

import json
import re
from base64 import b64decode
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, fields, replace
from math import log
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, AliasPath, BaseModel, Field, ValidationError

from endpoint.tools import BEGIN, Call, Function, Named, Tools, as_call, call_text
from slmlab.errors import BadRequest, SlmLabError
from slmlab.pictures import Picture, as_picture
from slmlab.records import End, Event, Message, Sampling, Start, Token

DEFAULT_TOKENS = 512
MOST_MESSAGES, MOST_PICTURES = 2048, 16  # of a request: reading more would hold up all others
FINISH = {"end": "stop", "stop": "stop", "length": "length", "filtered": "content_filter"}
# Fields that this server can't honour, and the value of each that asks for nothing.
UNSUPPORTED = {"logit_bias": {}, "functions": [], "modalities": ["text"], "audio": None, "suffix": None, "best_of": 1,
               "background": False, "conversation": None}  # fmt: skip


class Refusal(Exception):
    """A request that isn't answered: the status, the code and the words; a profile gives them its provider's shape."""

    def __init__(self, status: int, code: str, message: str, *, param: str | None = None, headers: dict | None = None):
        super().__init__(message)
        self.status, self.code, self.param, self.headers = status, code, param, headers or {}
        self.message = message if len(message) <= 600 else f"{message[:450]} ... {message[-150:]}"  # it may quote much

    @classmethod
    def of(cls, fault: Exception) -> "Refusal":
        """What a client is told of a fault."""
        if isinstance(fault, BadRequest):  # OpenAI has a code of its own for a prompt that the context can't hold
            code = "context_length_exceeded" if " holds " in str(fault) else "invalid_request"
            return cls(400, code, str(fault), param="messages")
        words = str(fault) if isinstance(fault, SlmLabError) else f"The server failed: {fault!r}"
        return fault if isinstance(fault, cls) else cls(500, "server_error", words)


class Part(BaseModel):
    """A part of a message: a text or a picture. The Responses API has its own names for them."""

    type: Literal["text", "image_url", "input_text", "output_text", "input_image"]
    text: str = ""
    image_url: str = Field("", validation_alias=AliasChoices(AliasPath("image_url", "url"), "image_url"))


class Turn(BaseModel):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[Part] | None = None
    images: list[str] | None = None  # in base64, as Ollama's clients send them
    tool_calls: list[Call] | None = None


class Form(BaseModel):
    """The form of an answer: a chat's `response_format`, where the schema stands one level down, or `text.format`."""

    type: Literal["text", "json_object", "json_schema"]
    fitting: dict | None = Field(None, validation_alias=AliasChoices(AliasPath("json_schema", "schema"), "schema"))

    @property
    def schema_to_fit(self) -> dict | None:
        if self.type == "json_schema" and self.fitting is None:
            raise Refusal(400, "invalid_value", "A json_schema has an object named schema.", param="response_format")
        return {"json_object": {"type": "object"}, "json_schema": self.fitting}.get(self.type)


class Settings(BaseModel, strict=True, extra="allow"):
    """How an answer is written. A null is the same as a field that isn't there; what no one knows changes nothing."""

    model: str | None = None
    stream: bool | None = None
    stream_options: dict | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    max_tokens: int | None = None
    repetition_penalty: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    stop: str | Annotated[list[str], Field(max_length=64)] | None = None
    n: int | None = Field(None, ge=1, le=4)
    tools: list[Function] | None = Field(None, max_length=128)  # those that OpenAI runs itself aren't here
    tool_choice: Literal["auto", "none", "required"] | Named | None = None

    def sampling(self, most: int | None, default: int = DEFAULT_TOKENS, **more) -> dict:
        """The settings of slmlab's Sampling, once they have been looked at."""
        named = {one.name for one in fields(Sampling)} & type(self).model_fields.keys()
        settings = self.model_dump(include=named, exclude_none=True) | more
        settings["max_tokens"] = default if most is None else most
        settings["seed"] = None if self.seed is None else self.seed % 2**31  # the protocol's are any whole numbers
        try:
            Sampling(**settings)
        except BadRequest as fault:
            named = re.match(r"\w+(?==)", str(fault))
            raise Refusal(400, "invalid_value", str(fault), param=named and named[0]) from None
        return settings

    def ask(self, messages: Sequence[Message], settings: dict, **more) -> "Ask":
        with_usage = bool((self.stream_options or {}).get("include_usage"))
        return Ask(self.model, settings, tuple(messages), bool(self.stream), with_usage, self.n or 1, **more)

    def ask_turns(self, turns: Sequence[Turn], form: Form | None, most: int | None, **told) -> "Ask":
        """The Ask of a conversation: with functions to call, and a form to answer in."""
        tools, schema = Tools.of(self.tools or (), self.tool_choice), form and form.schema_to_fit
        follows = {"grammar": tools.grammar(schema)} if tools else {"schema": schema}
        messages = [_message(turn) for turn in turns]
        if tools:  # they are told at the end of what the system says
            first = messages.pop(0).content if messages[0].role == "system" else ""
            messages.insert(0, Message("system", f"{first}\n\n{tools.told}".strip()))
        return self.ask(messages, self.sampling(most, **follows, **told), tools=tools)


@dataclass(frozen=True)
class Ask:
    """What a client wants: a conversation answered, how, and in which form. `settings` are those of a Sampling."""

    model: str | None
    settings: dict
    messages: tuple[Message, ...]  # their pictures are data URLs still
    stream: bool = False
    with_usage: bool = False
    count: int = 1  # of answers
    tools: Tools | None = None
    echo: bool = False  # whether the prompt's tokens are told before those of the answer
    fingerprint: str = ""  # of what answers

    @property
    def text(self) -> str:
        return "\n".join(one.content for one in self.messages)

    @property
    def has_pictures(self) -> bool:
        return any(one.images for one in self.messages)

    def seeded(self, number: int) -> dict:
        """The settings of one of the answers: each has a seed of its own."""
        seed = self.settings["seed"]
        return self.settings if seed is None else self.settings | {"seed": (seed + number) % 2**31}


@dataclass
class Answer:
    """What becomes of one ask, as its events come: the tokens so far, and at the end why there are no more."""

    ask: Ask
    events: AsyncGenerator[Event, None] | None = None  # which keep this answer up to date
    prompt_tokens: int = 0
    tokens: list[Token] = field(default_factory=list)
    reason: str | None = None
    call: Call | None = None  # of a function, which a whole answer may be
    stopped: str = ""  # the text that a filter stopped

    def take(self, event: Event) -> None:
        if isinstance(event, Start):
            self.prompt_tokens = event.prompt_tokens or 0
        elif isinstance(event, Token):
            self.tokens.append(event)
        else:
            self.reason = event.reason
            self.call = as_call(self.text) if self.ask.tools and self.reason == "end" else None

    @property
    def text(self) -> str:
        return "".join(token.text for token in self.tokens)

    @property
    def finish_reason(self) -> str | None:
        """Why it ended, in the words of a chat."""
        return "tool_calls" if self.call else FINISH.get(self.reason)

    async def finish(self) -> None:
        async for _ in self.events:
            pass

    async def pieces(self) -> AsyncIterator[Token]:
        """Its tokens that have text, as they come. What may be a call is kept back, until it is known to be none."""
        told = 0
        async with aclosing(self.events):
            async for event in self.events:
                may_be_call = self.ask.tools and self.text.startswith(BEGIN[0]) and not isinstance(event, End)
                if not (may_be_call or self.call):
                    for token in filter(lambda one: one.text, self.tokens[told:]):
                        yield token
                    told = len(self.tokens)


def read_as(form: type[BaseModel], data: bytes) -> Any:
    """A request's body as a record; a refusal names the field that is wrong."""
    try:
        body = form.model_validate_json(data)
        for name, value in (body.model_extra or {}).items():
            if name in UNSUPPORTED and value not in (None, UNSUPPORTED[name]):
                raise Refusal(400, "unsupported_parameter", f"{name} isn't supported here.", param=name)
        return body
    except ValidationError as fault:
        # what is of another type has no other fault; of the forms that a field may have, the nearest
        error = max(fault.errors(), key=lambda one: (one["type"] == "literal_error", len(one["loc"])))
    if not error["loc"]:
        raise Refusal(400, "invalid_json", f"The body has to be a JSON object. {error['msg']}.")
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"]]
    several = (".content", ".input", ".prompt", ".stop")  # fields of several forms, which have pydantic's own names
    end = next((place for place, part in enumerate(parts, start=1) if part in several), len(parts))
    param = "".join(parts[:end]).lstrip(".")
    raise Refusal(400, "invalid_value", f"{param}: {error['msg']}.", param=param)


def _message(turn: Turn) -> Message:
    """A turn as the model reads it: it knows no role of a tool, and no call but as text."""
    role = {"developer": "system", "tool": "user"}.get(turn.role, turn.role)
    parts = turn.content if isinstance(turn.content, list) else [Part(type="text", text=turn.content or "")]
    text = "\n".join(part.text for part in parts if "text" in part.type)
    if turn.role == "tool":
        text = f"<tool_response>{text}</tool_response>"
    elif turn.tool_calls:
        text = "\n".join([text, *map(call_text, turn.tool_calls)]).strip()
    urls = [part.image_url for part in parts if "image" in part.type]
    return Message(role, text, (*urls, *(f"data:image/any;base64,{one}" for one in turn.images or [])))


def with_pictures(messages: Sequence[Message]) -> tuple[Message, ...]:
    """The messages with their data URLs as pictures. Pictures elsewhere on the network are never fetched."""
    if sum(len(one.images) for one in messages) > MOST_PICTURES:
        raise Refusal(400, "too_many_images", f"A request may have {MOST_PICTURES} pictures.", param="messages")
    return tuple(replace(one, images=tuple(map(_picture, one.images))) for one in messages)


def _picture(url: str) -> Picture:
    if not (found := re.match(r"data:image/[^,]*;base64,", url)):
        raise Refusal(400, "invalid_image_url", "A picture comes as data:image/...;base64,...", param="messages")
    try:
        return as_picture(b64decode(url[found.end() :], validate=True))
    except (ValueError, BadRequest) as fault:  # no base64, or no picture
        raise Refusal(400, "invalid_image", f"The picture is damaged: {fault}", param="messages") from None


def likely(token: Token) -> dict[str, float]:
    """The likeliest tokens at a token's place, with their log-probabilities."""
    return {best.text: log(max(best.probability, 1e-300)) for best in token.top}


def usage(answers: Sequence[Answer]) -> dict:
    """What the answers cost together; those to one prompt have it in common."""
    ask = answers[0].ask
    prompt = sum(one.prompt_tokens for one in answers[:: ask.count])
    new = sum(len(one.tokens) - ask.echo * one.prompt_tokens for one in answers)
    return {"prompt_tokens": prompt, "completion_tokens": new, "total_tokens": prompt + new}


def line(record: dict) -> bytes:
    """A record as JSON in one line. In ASCII: some clients take U+2028 for the end of a line."""
    return json.dumps(record, separators=(",", ":")).encode()


def event_of(record: dict, name: str = "") -> bytes:
    """A record as one event of a stream; the Responses API names its events."""
    return (f"event: {name}\n".encode() if name else b"") + b"data: " + line(record) + b"\n\n"
