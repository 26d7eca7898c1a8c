"""An answer as it arrives over a network: from the protocol's chunks to tokens, a reason and counts.

Takes what servers send in place of what they should; knows nothing about SDKs or retries.
"""

from collections.abc import Iterator
from math import exp
from time import perf_counter

from slmlab.engines.faults import Broken, Fault
from slmlab.records import Token, TokenProbability

REASONS = {"length": "length", "max_tokens": "length", "content_filter": "filtered"}
UNREAD = ("reasoning_content", "reasoning", "tool_calls")  # what a model may send in place of text


class Arriving:
    """What has come so far: pieces counted, the reason and the usage once the server tells them."""

    def __init__(self):
        self.pieces = 0
        self.reason: str | None = None
        self.prompt_tokens: int | None = None
        self.new_tokens: int | None = None
        self.unread: set[str] = set()
        self._half = ""

    @property
    def fault(self) -> Fault | None:
        """A stream that stops before saying why was cut."""
        return None if self.reason else Fault("the stream stopped before its end", connection=True)

    def tokens(self, chunk: dict) -> Iterator[Token]:
        now = perf_counter()
        usage = chunk.get("usage") or {}
        self.prompt_tokens = _count(usage.get("prompt_tokens"), self.prompt_tokens)
        self.new_tokens = _count(usage.get("completion_tokens"), self.new_tokens)
        for choice in chunk.get("choices") or []:
            if choice.get("index"):
                continue  # another answer to the same prompt, which nobody asked for
            said = (choice["delta"] if "delta" in choice else choice.get("message")) or {}
            self.unread.update(name for name in UNREAD if said.get(name))
            text = self._whole(_text(said.get("content") or said.get("refusal") or choice.get("text")))
            if text:
                yield from _pieces(text, (choice.get("logprobs") or {}).get("content") or [], now)
            reason = choice.get("finish_reason")
            if reason == "error":
                raise Broken(Fault("the service ended the answer with an error"))
            self.reason = REASONS.get(reason, "end") if reason else self.reason

    def _whole(self, text: str) -> str:
        """The text in whole characters: a server may cut one of two UTF-16 units between two pieces."""
        text, self._half = self._half + text, ""
        if text and "\ud800" <= text[-1] <= "\udbff":
            text, self._half = text[:-1], text[-1]
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _text(content) -> str:
    """The text of a content, which some servers send as a list of parts."""
    if isinstance(content, list):
        return "".join(_text(part.get("text")) for part in content if isinstance(part, dict))
    if content is not None and not isinstance(content, str):
        raise Broken(Fault(f"what came isn't OpenAI's protocol: its content is a {type(content).__name__}, no text"))
    return content or ""


def _count(told, before: int | None) -> int | None:
    """A number of tokens, where a server told one."""
    return told if type(told) is int and told >= 0 else before


def _pieces(text: str, told: list[dict], now: float) -> Iterator[Token]:
    """A chunk's text as one piece, or as its tokens where the server told each one's log-probability."""
    if len(told) > 1 and "".join(one["token"] for one in told) == text:
        for one in told:
            yield Token(None, one["token"], now, one.get("logprob"), _top(one))
    else:
        one = told[0] if len(told) == 1 else {}
        yield Token(None, text, now, one.get("logprob"), _top(one))


def _top(told: dict) -> tuple[TokenProbability, ...]:
    return tuple(TokenProbability(None, one["token"], exp(one["logprob"])) for one in told.get("top_logprobs") or [])
