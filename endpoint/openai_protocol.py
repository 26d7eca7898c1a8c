"""The words of OpenAI's protocol: JSON bodies to records, and answers back to JSON.

Pure: knows nothing about sockets, engines or providers. What it can't do it refuses, and never does something else.
"""

import json
import math
import re
import time
import uuid
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from slmlab.errors import BadRequest
from slmlab.pictures import as_picture
from slmlab.records import Message, Sampling, Token

DEFAULT_TOKENS = 512
FINISH = {"end": "stop", "stop": "stop", "length": "length", "filtered": "content_filter"}
ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
# Fields of a body that set how the next token is chosen, by our name of them.
SETTINGS = {"temperature": "temperature", "top_p": "top_p", "top_k": "top_k", "seed": "seed",
            "repetition_penalty": "repetition_penalty", "stop": "stop"}  # fmt: skip
READ = {"model", "messages", "prompt", "stream", "stream_options", "max_tokens", "max_completion_tokens", "n",
        "logprobs", "top_logprobs", *SETTINGS}  # fmt: skip
# Fields that this server can't honour: what a client may send in them because it changes nothing.
HARMLESS = {"n": (1,), "best_of": (1,), "presence_penalty": (0,), "frequency_penalty": (0,), "logit_bias": ({},),
            "tools": ([],), "functions": ([],), "tool_choice": ("none", "auto"), "response_format": ({"type": "text"},),
            "echo": (False,), "suffix": ("",), "modalities": (["text"],), "audio": ()}  # fmt: skip


class Refusal(Exception):
    """A request that isn't answered: the status, the code and the words; a profile gives them its provider's shape."""

    def __init__(self, status: int, code: str, message: str, *, param: str | None = None, headers: dict | None = None):
        super().__init__(message)
        self.status, self.code, self.param = status, code, param
        # what is quoted from a request may be long, or hold half a character
        self.message = shortened(message, 600).encode("utf-8", "replace").decode()
        self.headers = headers or {}


def shortened(text: str, most: int) -> str:
    """A text, or its beginning and its end."""
    return text if len(text) <= most else f"{text[: most * 3 // 4]} ... {text[-most // 4 :]}"


@dataclass(frozen=True)
class Ask:
    """What a client wants: messages for a chat, or a text to go on from; how; and in which form."""

    model: str | None
    sampling: Sampling
    messages: tuple[Message, ...] = ()
    text: str | None = None
    stream: bool = False
    include_usage: bool = False
    ignored: tuple[str, ...] = field(default=())

    @property
    def has_pictures(self) -> bool:
        return any(message.images for message in self.messages)


def read_chat(body: dict) -> Ask:
    """The body of a chat completion."""
    given = body.get("messages")
    if not isinstance(given, list) or not given:
        raise Refusal(400, "invalid_messages", "messages has to be a list with at least one message.", param="messages")
    messages = tuple(_message(one, f"messages[{place}]") for place, one in enumerate(given))
    return _ask(body, logprobs=_flag(body, "logprobs"), top=body.get("top_logprobs") or 0, messages=messages)


def read_completion(body: dict) -> Ask:
    """The body of a text completion: one prompt; logprobs is a number here."""
    prompt = body.get("prompt")
    if isinstance(prompt, list) and len(prompt) == 1:
        prompt = prompt[0]
    if not isinstance(prompt, str) or not prompt:
        raise Refusal(400, "invalid_prompt", "prompt has to be one text that isn't empty.", param="prompt")
    wanted = body.get("logprobs")
    return _ask(body, logprobs=wanted is not None and wanted is not False, top=wanted or 0, text=prompt)


def _ask(body: dict, *, logprobs: bool, top, **content) -> Ask:
    for name, harmless in HARMLESS.items():
        if body.get(name) is not None and body[name] not in harmless:
            raise Refusal(400, "unsupported_parameter", f"{name}={body[name]!r} isn't supported here.", param=name)
    settings = {ours: body[name] for name, ours in SETTINGS.items() if body.get(name) is not None}
    newer = body.get("max_completion_tokens")
    wanted = body.get("max_tokens") if newer is None else newer
    if type(settings.get("seed")) is int:
        settings["seed"] %= 2**31  # the protocol's seeds are any whole numbers
    settings["max_tokens"] = DEFAULT_TOKENS if wanted is None else wanted
    options = body.get("stream_options") or {}
    model = body.get("model")
    if model is not None and not isinstance(model, str):
        raise Refusal(400, "invalid_model", "model has to be a text.", param="model")
    try:
        sampling = Sampling(**settings, logprobs=logprobs, top_logprobs=top)
    except BadRequest as fault:
        named = re.match(r"\w+(?==)", str(fault))
        raise Refusal(400, "invalid_value", str(fault), param=named and named[0]) from None
    ignored = tuple(sorted(set(body) - READ - set(HARMLESS)))
    usage = isinstance(options, dict) and bool(options.get("include_usage"))
    return Ask(model, sampling, stream=_flag(body, "stream"), include_usage=usage, ignored=ignored, **content)


def _flag(body: dict, name: str) -> bool:
    value = body.get(name)
    if value not in (None, True, False):
        raise Refusal(400, "invalid_value", f"{name}={value!r}: true or false.", param=name)
    return bool(value)


def _message(one, place: str) -> Message:
    role = one.get("role") if isinstance(one, dict) else None
    if not isinstance(role, str) or role not in ROLES:
        known = ", ".join(ROLES)
        raise Refusal(400, "invalid_role", f"{place} has the role {role!r}. Known: {known}.", param=place)
    content = one.get("content")
    parts = [{"type": "text", "text": content or ""}] if isinstance(content, str | None) else content
    if not isinstance(parts, list):
        raise Refusal(400, "invalid_content", f"{place}.content is a text or a list of parts.", param=place)
    texts, pictures = [], []
    for part in parts:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "text" and isinstance(part.get("text"), str):
            texts.append(part["text"])
        elif kind == "image_url" and isinstance(part.get("image_url"), dict):
            pictures.append(read_data_url(part["image_url"].get("url"), place))
        else:
            raise Refusal(400, "invalid_content", f"{place} has a part of the type {kind!r}.", param=place)
    return Message(ROLES[role], "\n".join(texts), tuple(pictures))


def read_data_url(url, place: str):
    """The picture inside a data URL. Pictures elsewhere on the network are never fetched."""
    head, comma, data = (url if isinstance(url, str) else "").partition(",")
    if not comma or not head.startswith("data:image/") or not head.endswith(";base64"):
        raise Refusal(400, "invalid_image_url", "A picture comes as data:image/...;base64,...", param=place)
    try:
        return as_picture(b64decode(data, validate=True))
    except (Base64Error, ValueError):
        raise Refusal(400, "invalid_image_url", "The picture's base64 is damaged.", param=place) from None
    except BadRequest as fault:
        raise Refusal(400, "invalid_image", str(fault), param=place) from None


def in_words(message: Message) -> Message:
    """A message whose pictures are said in words: what kind, how large, and that they can't be seen."""
    said = [f"(A {one.kind.upper()} picture of {one.width} x {one.height} pixels is here.)" for one in message.images]
    return replace(message, content="\n".join([*said, message.content]), images=()) if said else message


class Writer:
    """One answer as JSON: whole, or chunk by chunk. `show` gives a token's own text, also inside a character."""

    def __init__(self, ask: Ask, model: str, fingerprint: str, show):
        self.ask, self.model, self._show = ask, model, show
        self.is_chat = ask.text is None
        kind = "chat.completion" if self.is_chat else "text_completion"
        prefix = "chatcmpl" if self.is_chat else "cmpl"
        self._kind = kind
        self._head = {"id": f"{prefix}-{uuid.uuid4().hex[:24]}", "created": int(time.time()), "model": model,
                      "system_fingerprint": fingerprint}  # fmt: skip

    def whole(self, tokens: list[Token], reason: str, prompt_tokens: int) -> dict:
        text = "".join(token.text for token in tokens)
        said = {"message": {"role": "assistant", "content": text, "refusal": None}} if self.is_chat else {"text": text}
        choice = {"index": 0, **said, "logprobs": self._logprobs(tokens), "finish_reason": FINISH.get(reason, reason)}
        return {**self._head, "object": self._kind, "choices": [choice], "usage": usage(prompt_tokens, len(tokens))}

    def first(self) -> Iterator[dict]:
        """What comes before the first token: the role, in a chat."""
        if self.is_chat:
            yield self._chunk({"role": "assistant", "content": ""}, None, None)

    def piece(self, token: Token) -> Iterator[dict]:
        if token.text or self.ask.sampling.logprobs:
            yield self._chunk({"content": token.text}, self._logprobs([token]), None)

    def last(self, reason: str, prompt_tokens: int, new_tokens: int) -> Iterator[dict]:
        yield self._chunk({}, None, FINISH.get(reason, reason))
        if self.ask.include_usage:
            chunk = self._chunk({}, None, None)
            yield {**chunk, "choices": [], "usage": usage(prompt_tokens, new_tokens)}

    def _chunk(self, delta: dict, logprobs, reason) -> dict:
        said = {"delta": delta} if self.is_chat else {"text": delta.get("content", "")}
        choice = {"index": 0, **said, "logprobs": logprobs, "finish_reason": reason}
        unknown_yet = {"usage": None} if self.ask.include_usage else {}
        return {**self._head, "object": f"{self._kind}.chunk" if self.is_chat else self._kind,
                "choices": [choice], **unknown_yet}  # fmt: skip

    def _logprobs(self, tokens: list[Token]) -> dict | None:
        if not self.ask.sampling.logprobs:
            return None
        shown = [(self._show(token.id), token) for token in tokens]
        if self.is_chat:
            return {"content": [
                {**_weighed(text, token.logprob),
                 "top_logprobs": [_weighed(one.text, _log(one.probability)) for one in token.top]}
                for text, token in shown
            ], "refusal": None}  # fmt: skip
        tops = [{one.text: _log(one.probability) for one in token.top} for _, token in shown]
        return {"tokens": [text for text, _ in shown], "token_logprobs": [token.logprob for _, token in shown],
                "top_logprobs": tops if self.ask.sampling.top_logprobs else None}  # fmt: skip


def usage(prompt_tokens: int, new_tokens: int) -> dict:
    return {"prompt_tokens": prompt_tokens, "completion_tokens": new_tokens, "total_tokens": prompt_tokens + new_tokens}


def _weighed(text: str, logprob: float | None) -> dict:
    return {"token": text, "logprob": logprob, "bytes": list(text.encode("utf-8"))}


def _log(probability: float) -> float:
    return max(math.log(probability), -9999.0) if probability > 0 else -9999.0


def model_list(ids, owner: str = "slmlab") -> dict:
    same = {"object": "model", "created": 1_730_419_200, "owned_by": owner}  # 2024-11-01: the bundled model's release
    return {"object": "list", "data": [{"id": id, **same} for id in ids]}


def line(chunk: dict) -> bytes:
    """One event of a stream."""
    return b"data: " + one_line(chunk) + b"\n\n"


def one_line(record: dict) -> bytes:
    """A record as JSON in a line that no client can take for two."""
    text = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
    for character in ("\u0085", "\u2028", "\u2029"):
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text.encode("utf-8", "replace")
