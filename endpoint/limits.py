"""What a practice server does on purpose: how often it lets itself be asked, and what its content filter stops.

The filter is a short list of phrases that stands for a classifier: it shows the protocol, and protects nobody.
"""

import time
from collections import defaultdict, deque
from collections.abc import Callable

PHRASES = {
    "violence": ("build a bomb", "how to kill", "make a weapon"),
    "hate": ("inferior race",),
    "self_harm": ("hurt myself",),
    "sexual": ("explicit sexual",),
    "jailbreak": ("ignore all previous instructions", "ignore your instructions"),
}


class Window:
    """At most `most` requests in any stretch of `seconds`, for each model."""

    def __init__(self, most: int, seconds: float, clock: Callable[[], float] = time.monotonic):
        self.most, self.seconds, self._clock = most, seconds, clock
        self._times: dict[str, deque[float]] = defaultdict(deque)

    def wait(self, model: str) -> float:
        """Seconds until the model takes a request again; 0 when it does now."""
        times, now = self._times[model], self._clock()
        while times and times[0] <= now - self.seconds:
            times.popleft()
        return times[0] + self.seconds - now if len(times) >= self.most else 0.0

    def count(self, model: str) -> None:
        self._times[model].append(self._clock())


def flagged(text: str) -> dict[str, bool]:
    lowered = " ".join(text.lower().split())
    return {category: any(phrase in lowered for phrase in phrases) for category, phrases in PHRASES.items()}


def filter_results(text: str, with_jailbreak: bool) -> dict:
    """A text's verdict in the words of Azure's content filter."""
    found = flagged(text)
    jailbreak = found.pop("jailbreak")
    results = {one: {"filtered": bad, "severity": "medium" if bad else "safe"} for one, bad in sorted(found.items())}
    if with_jailbreak:
        results["jailbreak"] = {"filtered": jailbreak, "detected": jailbreak}
    return results


def is_stopped(text: str) -> bool:
    return any(flagged(text).values())
