"""What a server counts, in the format that Prometheus reads; names as servers of this field have them.

Knows nothing about HTTP or engines: it is told.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, disable_created_metrics, generate_latest


class Telemetry:
    """The counters of one server, each under the prefix that its profile's service uses."""

    def __init__(self, prefix: str, model: str):
        disable_created_metrics()  # a second line for each counter, which no one here asks for
        self._registry = CollectorRegistry()

        def made(kind, name: str, text: str):
            return kind(f"{prefix}{name}", text, ["model_name"], registry=self._registry).labels(model)

        self._running = made(Gauge, "num_requests_running", "Requests that are being answered now.")
        self._waiting = made(Gauge, "num_requests_waiting", "Requests that wait for a seat.")
        self._prompt_tokens = made(Counter, "prompt_tokens", "Tokens that were read.")
        self._new_tokens = made(Counter, "generation_tokens", "Tokens that were written.")

    def answered(self, prompt_tokens: int, new_tokens: int) -> None:
        self._prompt_tokens.inc(prompt_tokens)
        self._new_tokens.inc(new_tokens)

    def text(self, running: int, waiting: int) -> bytes:
        self._running.set(running)
        self._waiting.set(waiting)
        return generate_latest(self._registry)
