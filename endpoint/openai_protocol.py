"""The words of OpenAI's protocol: JSON bodies to records, and answers back to JSON.

Pure: knows nothing about sockets, engines or providers. What it can't do it refuses, and never does something else.
"""

import json
import math
import re
import time
import uuid
from base64 import b64decode
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from slmlab.errors import BadRequest, SlmLabError
from slmlab.pictures import as_picture
from slmlab.records import Message, Sampling, Token

DEFAULT_TOKENS = 512
FINISH = {"end": "stop", "stop": "stop", "length": "length", "filtered": "content_filter"}
# Fields that this server can't honour: what a client may send in them because it changes nothing.
# (logprobs: with a text to go on from; a chat has them.)
HARMLESS = {"n": (1,), "best_of": (1,), "presence_penalty": (0,), "frequency_penalty": (0,), "logit_bias": ({},),
            "tools": ([],), "functions": ([],), "tool_choice": ("none", "auto"), "response_format": ({"type": "text"},),
            "echo": (False,), "suffix": ("",), "modalities": (["text"],), "audio": (),
            "logprobs": ()}  # fmt: skip


class Refusal(Exception):
    """A request that isn't answered: the status, the code and the words; a profile gives them its provider's shape."""

    def __init__(self, status: int, code: str, message: str, *, param: str | None = None, headers: dict | None = None):
        super().__init__(message)
        self.status, self.code, self.param, self.headers = status, code, param, headers or {}
        # what is quoted from a request may be long
        self.message = message if len(message) <= 600 else f"{message[:450]} ... {message[-150:]}"

    @classmethod
    def of(cls, fault: Exception) -> "Refusal":
        """What a client is told of a fault."""
        if isinstance(fault, BadRequest):  # OpenAI has a code of its own for a prompt that the context can't hold
            code = "context_length_exceeded" if " holds " in str(fault) else "invalid_request"
            return cls(400, code, str(fault), param="messages")
        if isinstance(fault, SlmLabError):
            return cls(500, "server_error", str(fault))
        return fault if isinstance(fault, cls) else cls(500, "server_error", f"The server failed: {fault!r}")


class Body(BaseModel):
    """What every request may hold. A null is the same as a field that isn't there."""

    model_config = ConfigDict(extra="allow", strict=True)

    model: str | None = None
    stream: bool | None = None
    stream_options: dict | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    repetition_penalty: float | None = None
    stop: str | list[str] | None = None


class TextPart(BaseModel):
    type: Literal["text"]
    text: str


class ImagePart(BaseModel):
    type: Literal["image_url"]
    image_url: dict


class Turn(BaseModel):
    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[Annotated[TextPart | ImagePart, Field(discriminator="type")]] | None = None


class ChatBody(Body):
    messages: list[Turn] = Field(min_length=1)
    logprobs: bool | None = None
    top_logprobs: int | None = None


class CompletionBody(Body):
    prompt: str | Annotated[list[str], Field(min_length=1, max_length=1)]


@dataclass(frozen=True)
class Ask:
    """What a client wants: messages for a chat, or a text to go on from; how; and in which form."""

    model: str | None
    sampling: Sampling
    messages: tuple[Message, ...] = ()
    text: str | None = None
    stream: bool = False
    include_usage: bool = False
    ignored: tuple[str, ...] = ()

    @property
    def has_pictures(self) -> bool:
        return any(message.images for message in self.messages)


def read_as(form: type[BaseModel], data: bytes) -> BaseModel:
    """A request's body as a record; a refusal names the field that is wrong."""
    try:
        return form.model_validate_json(data)
    except ValidationError as fault:
        error = max(fault.errors(), key=lambda one: len(one["loc"]))  # of the forms that a field may have, the nearest
    if not error["loc"]:
        raise Refusal(400, "invalid_json", f"The body has to be a JSON object. {error['msg']}.")
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"]]
    end = parts.index(".content") + 1 if ".content" in parts else len(parts)  # behind it are names of pydantic's own
    param = "".join(parts[:end]).lstrip(".")
    raise Refusal(400, "invalid_value", f"{param}: {error['msg']}.", param=param)


def read_chat(data: bytes) -> Ask:
    """The body of a chat completion."""
    body = read_as(ChatBody, data)
    messages = tuple(_message(turn, f"messages[{number}].content") for number, turn in enumerate(body.messages))
    return _ask(body, messages=messages, logprobs=bool(body.logprobs), top_logprobs=body.top_logprobs or 0)


def read_completion(data: bytes) -> Ask:
    """The body of a text completion: one prompt."""
    body = read_as(CompletionBody, data)
    return _ask(body, text=body.prompt if isinstance(body.prompt, str) else body.prompt[0])


def _ask(body: Body, *, messages: tuple[Message, ...] = (), text: str | None = None, **settings) -> Ask:
    extra = {name: value for name, value in body.model_extra.items() if value is not None}
    for name in extra.keys() & HARMLESS.keys():
        if extra[name] not in HARMLESS[name]:
            raise Refusal(400, "unsupported_parameter", f"{name}={extra[name]!r} isn't supported here.", param=name)
    names = ("temperature", "top_p", "top_k", "repetition_penalty", "stop")
    settings |= {name: getattr(body, name) for name in names if getattr(body, name) is not None}
    most = body.max_tokens if body.max_completion_tokens is None else body.max_completion_tokens
    settings["max_tokens"] = DEFAULT_TOKENS if most is None else most
    settings["seed"] = None if body.seed is None else body.seed % 2**31  # the protocol's are any whole numbers
    try:
        sampling = Sampling(**settings)
    except BadRequest as fault:
        named = re.match(r"\w+(?==)", str(fault))
        raise Refusal(400, "invalid_value", str(fault), param=named and named[0]) from None
    usage = bool((body.stream_options or {}).get("include_usage"))
    ignored = tuple(sorted(extra.keys() - HARMLESS.keys()))
    return Ask(body.model, sampling, messages, text, bool(body.stream), usage, ignored)


def _message(turn: Turn, param: str) -> Message:
    role = "system" if turn.role == "developer" else turn.role
    if not isinstance(turn.content, list):
        return Message(role, turn.content or "")
    texts = [part.text for part in turn.content if isinstance(part, TextPart)]
    urls = [str(part.image_url.get("url")) for part in turn.content if isinstance(part, ImagePart)]
    return Message(role, "\n".join(texts), tuple(read_data_url(url, param) for url in urls))


def read_data_url(url: str, param: str):
    """The picture inside a data URL. Pictures elsewhere on the network are never fetched."""
    head, comma, data = url.partition(",")
    if not comma or not head.startswith("data:image/") or not head.endswith(";base64"):
        raise Refusal(400, "invalid_image_url", "A picture comes as data:image/...;base64,...", param=param)
    try:
        return as_picture(b64decode(data, validate=True))
    except (ValueError, BadRequest) as fault:  # no base64, or no picture
        raise Refusal(400, "invalid_image", f"The picture is damaged: {fault}", param=param) from None


def in_words(message: Message) -> Message:
    """A message whose pictures are said in words: what kind, how large, and that they can't be seen."""
    said = [f"(A {one.kind.upper()} picture of {one.width} x {one.height} pixels is here.)" for one in message.images]
    return replace(message, content="\n".join([*said, message.content]), images=()) if said else message


class Writer:
    """One answer as JSON: whole, or chunk by chunk. `show` gives a token's own text, also inside a character."""

    def __init__(self, ask: Ask, model: str, fingerprint: str, show):
        self._ask, self._show, self.is_chat = ask, show, ask.text is None
        self._kind, prefix = ("chat.completion", "chatcmpl") if self.is_chat else ("text_completion", "cmpl")
        self._head = {"id": f"{prefix}-{uuid.uuid4().hex[:24]}", "created": int(time.time()), "model": model,
                      "system_fingerprint": fingerprint}  # fmt: skip

    def whole(self, tokens: list[Token], reason: str, prompt_tokens: int) -> dict:
        text = "".join(token.text for token in tokens)
        message = {"role": "assistant", "content": text, "refusal": None}
        said = {"message": message} if self.is_chat else {"text": text}
        return self._answer(self._kind, said, tokens, reason) | {"usage": usage(prompt_tokens, len(tokens))}

    def chunk(self, delta: dict, token: Token | None = None, reason: str | None = None) -> dict:
        """A part of a stream: the role, the text of a token, or the reason of the end."""
        said = {"delta": delta} if self.is_chat else {"text": delta.get("content", "")}
        kind = f"{self._kind}.chunk" if self.is_chat else self._kind
        unknown_yet = {"usage": None} if self._ask.include_usage else {}
        return self._answer(kind, said, [token] if token else [], reason) | unknown_yet

    def counts(self, prompt_tokens: int, new_tokens: int) -> list[dict]:
        """The last chunk, where a client asks for it: no choices, and what the answer cost."""
        last = self.chunk({}) | {"choices": [], "usage": usage(prompt_tokens, new_tokens)}
        return [last] if self._ask.include_usage else []

    def _answer(self, kind: str, said: dict, tokens: list[Token], reason: str | None) -> dict:
        logprobs = None
        if tokens and self._ask.sampling.logprobs:
            logprobs = {"content": [self._weighed(token) for token in tokens], "refusal": None}
        choice = {"index": 0, **said, "logprobs": logprobs, "finish_reason": FINISH.get(reason, reason)}
        return {**self._head, "object": kind, "choices": [choice]}

    def _weighed(self, token: Token) -> dict:
        top = [_weighed(one.text, math.log(max(one.probability, 1e-300))) for one in token.top]
        return _weighed(self._show(token.id), token.logprob) | {"top_logprobs": top}


def _weighed(text: str, logprob: float) -> dict:
    return {"token": text, "logprob": logprob, "bytes": list(text.encode())}


def usage(prompt_tokens: int, new_tokens: int) -> dict:
    return {"prompt_tokens": prompt_tokens, "completion_tokens": new_tokens, "total_tokens": prompt_tokens + new_tokens}


def model_list(ids, owner: str = "slmlab") -> dict:
    same = {"object": "model", "created": 1_730_419_200, "owned_by": owner}  # 2024-11-01: the bundled model's release
    return {"object": "list", "data": [{"id": id, **same} for id in ids]}


def line(record: dict) -> bytes:
    """A record as JSON in one line. In ASCII: some clients take U+2028 for the end of a line."""
    return json.dumps(record, separators=(",", ":")).encode()
