"""The words of Ollama's protocol: its messages and options to records, and what an answer cost in its own fields.

Pure: knows nothing about sockets or engines.
"""

import time
from base64 import b64decode

from endpoint.openai_protocol import ROLES, Refusal
from slmlab.errors import BadRequest
from slmlab.pictures import as_picture
from slmlab.records import End, Message, Sampling, Token

DONE = {"end": "stop", "stop": "stop", "length": "length"}
OPTIONS = {"temperature": "temperature", "top_p": "top_p", "top_k": "top_k", "seed": "seed", "stop": "stop",
           "num_predict": "max_tokens", "repeat_penalty": "repetition_penalty"}  # fmt: skip


def tagged(name: str) -> str:
    return name if ":" in name else f"{name}:latest"


def said_by_model(text: str) -> dict:
    return {"role": "assistant", "content": text}


def check_supported(body: dict, name: str) -> None:
    for field, words in (("tools", "tools"), ("think", "thinking"), ("format", "structured outputs")):
        if body.get(field):
            raise Refusal(400, "unsupported", f'"{name}" does not support {words}')


def read_message(one) -> Message:
    role, content = (one.get("role"), one.get("content") or "") if isinstance(one, dict) else (None, None)
    if role not in list(ROLES) or not isinstance(content, str):
        raise Refusal(400, "invalid", "a message has a role (system, user, assistant) and a content")
    try:
        pictures = tuple(as_picture(b64decode(picture)) for picture in one.get("images") or [])
    except (ValueError, TypeError, BadRequest) as fault:
        raise Refusal(400, "invalid_image", f"illegal base64 or image data: {fault}") from None
    return Message(ROLES[role], content, pictures)


def read_sampling(body: dict) -> Sampling:
    options = body.get("options") or {}
    if not isinstance(options, dict):
        raise Refusal(400, "invalid", "options has to be an object")
    settings = {ours: options[name] for name, ours in OPTIONS.items() if options.get(name) is not None}
    if settings.get("max_tokens") in (-1, -2):
        settings.pop("max_tokens")  # "no limit" there
    if settings.get("top_k") == -1:
        settings.pop("top_k")  # every token, there
    if isinstance(settings.get("seed"), int | float) and settings["seed"] == settings["seed"] // 1:
        settings["seed"] = int(settings["seed"]) % 2**31
    try:
        return Sampling(**({"max_tokens": 512} | settings))
    except BadRequest as fault:
        theirs = {ours: name for name, ours in OPTIONS.items()}
        name, equals, rest = str(fault).partition("=")
        raise Refusal(400, "invalid", theirs.get(name, name) + equals + rest) from None


def figures(began: float, prompt_tokens: int, tokens: list[Token], end: End) -> dict:
    """What the answer cost, in nanoseconds: reading the prompt until the first token, writing from there."""
    first_s = tokens[0].time_s if tokens else end.time_s
    times = {"total_duration": time.perf_counter() - began, "load_duration": 0,
             "prompt_eval_duration": first_s - began, "eval_duration": end.time_s - first_s}  # fmt: skip
    return {"done": True, "done_reason": DONE.get(end.reason, end.reason), "prompt_eval_count": prompt_tokens,
            "eval_count": len(tokens), **{name: int(1e9 * value) for name, value in times.items()}}  # fmt: skip
