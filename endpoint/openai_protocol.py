"""The words of OpenAI's protocol: JSON bodies to records, and answers back to JSON.

Pure: knows nothing about sockets, engines or providers. What it can't do it refuses, and never does something else.
"""

import json
import re
import time
import uuid
from base64 import b64decode
from dataclasses import dataclass, replace
from typing import Literal

from pydantic import BaseModel, Field, ValidationError

from slmlab.errors import BadRequest, SlmLabError
from slmlab.pictures import as_picture
from slmlab.records import Message, Sampling

DEFAULT_TOKENS = 512
FINISH = {"end": "stop", "stop": "stop", "length": "length", "filtered": "content_filter"}
# Fields that this server can't honour: what a client may send in them because it changes nothing.
HARMLESS = {"n": (1,), "presence_penalty": (0,), "frequency_penalty": (0,), "logit_bias": ({},), "tools": ([],),
            "functions": ([],), "tool_choice": ("none", "auto"), "response_format": ({"type": "text"},),
            "modalities": (["text"],), "audio": (), "logprobs": (False,), "top_logprobs": (0,)}  # fmt: skip


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
        if isinstance(fault, SlmLabError):
            return cls(500, "server_error", str(fault))
        return fault if isinstance(fault, cls) else cls(500, "server_error", f"The server failed: {fault!r}")


class Part(BaseModel):
    type: Literal["text", "image_url"]
    text: str = ""
    image_url: dict = {}


class Turn(BaseModel):
    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[Part] | None = None


class ChatBody(BaseModel, extra="allow", strict=True):
    """What a request may hold. A null is the same as a field that isn't there."""

    messages: list[Turn] = Field(min_length=1)
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


@dataclass(frozen=True)
class Ask:
    """What a client wants: a conversation answered, how, and in which form."""

    model: str | None
    sampling: Sampling
    messages: tuple[Message, ...]
    stream: bool = False
    include_usage: bool = False


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
    for name, value in body.model_extra.items():
        if value is not None and value not in HARMLESS.get(name, (value,)):
            raise Refusal(400, "unsupported_parameter", f"{name}={value!r} isn't supported here.", param=name)
    usage = bool((body.stream_options or {}).get("include_usage"))
    return Ask(body.model, _sampling(body), messages, bool(body.stream), usage)


def _sampling(body: ChatBody) -> Sampling:
    names = {"temperature", "top_p", "top_k", "repetition_penalty", "stop"}
    settings = body.model_dump(include=names, exclude_none=True)
    most = body.max_tokens if body.max_completion_tokens is None else body.max_completion_tokens
    settings["max_tokens"] = DEFAULT_TOKENS if most is None else most
    settings["seed"] = None if body.seed is None else body.seed % 2**31  # the protocol's are any whole numbers
    try:
        return Sampling(**settings)
    except BadRequest as fault:
        named = re.match(r"\w+(?==)", str(fault))
        raise Refusal(400, "invalid_value", str(fault), param=named and named[0]) from None


def _message(turn: Turn, param: str) -> Message:
    role = "system" if turn.role == "developer" else turn.role
    if not isinstance(turn.content, list):
        return Message(role, turn.content or "")
    texts = [part.text for part in turn.content if part.type == "text"]
    urls = [str(part.image_url.get("url")) for part in turn.content if part.type == "image_url"]
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
    """One answer as JSON: whole, or chunk by chunk."""

    def __init__(self, ask: Ask, model: str, fingerprint: str):
        self._include_usage = ask.include_usage
        self._head = {"id": f"chatcmpl-{uuid.uuid4().hex[:24]}", "created": int(time.time()), "model": model,
                      "system_fingerprint": fingerprint}  # fmt: skip

    def whole(self, text: str, reason: str, prompt_tokens: int, new_tokens: int) -> dict:
        message = {"role": "assistant", "content": text, "refusal": None}
        answer = self._answer("chat.completion", {"message": message}, reason)
        return answer | {"usage": usage(prompt_tokens, new_tokens)}

    def chunk(self, delta: dict, reason: str | None = None) -> dict:
        """A part of a stream: the role, the text of a token, or the reason of the end."""
        unknown_yet = {"usage": None} if self._include_usage else {}
        return self._answer("chat.completion.chunk", {"delta": delta}, reason) | unknown_yet

    def counts(self, prompt_tokens: int, new_tokens: int) -> list[dict]:
        """The last chunk, where a client asks for it: no choices, and what the answer cost."""
        last = self.chunk({}) | {"choices": [], "usage": usage(prompt_tokens, new_tokens)}
        return [last] if self._include_usage else []

    def _answer(self, kind: str, said: dict, reason: str | None) -> dict:
        choice = {"index": 0, **said, "logprobs": None, "finish_reason": FINISH.get(reason)}
        return {**self._head, "object": kind, "choices": [choice]}


def usage(prompt_tokens: int, new_tokens: int) -> dict:
    return {"prompt_tokens": prompt_tokens, "completion_tokens": new_tokens, "total_tokens": prompt_tokens + new_tokens}


def model_list(ids, owner: str) -> dict:
    same = {"object": "model", "created": 1_730_419_200, "owned_by": owner}  # 2024-11-01: the bundled model's release
    return {"object": "list", "data": [{"id": id, **same} for id in ids]}


def line(record: dict) -> bytes:
    """A record as JSON in one line. In ASCII: some clients take U+2028 for the end of a line."""
    return json.dumps(record, separators=(",", ":")).encode()
