"""What a server counts, in the format that Prometheus reads; names as servers of this field have them.

Knows nothing about HTTP or engines: it is told.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, disable_created_metrics, generate_latest


class Telemetry:
    """The counters of one server, each under the prefix that its profile's service uses."""

    def __init__(self, prefix: str, model: str):
        disable_created_metrics()  # a second line for each counter, which no one here asks for
        self._model, self._registry = model, CollectorRegistry()

        def made(kind, name: str, text: str, *labels: str):
            return kind(f"{prefix}{name}", text, ["model_name", *labels], registry=self._registry)

        self._running = made(Gauge, "num_requests_running", "Requests that are being answered now.").labels(model)
        self._waiting = made(Gauge, "num_requests_waiting", "Requests that wait for a seat.").labels(model)
        self._prompt_tokens = made(Counter, "prompt_tokens", "Tokens that were read.").labels(model)
        self._new_tokens = made(Counter, "generation_tokens", "Tokens that were written.").labels(model)
        self._answers = made(Counter, "request_success", "Answers, by how they ended.", "finished_reason")

    def answered(self, prompt_tokens: int, new_tokens: int, reason: str) -> None:
        self._prompt_tokens.inc(prompt_tokens)
        self._new_tokens.inc(new_tokens)
        self._answers.labels(self._model, reason).inc()

    def text(self, running: int, waiting: int) -> bytes:
        self._running.set(running)
        self._waiting.set(waiting)
        return generate_latest(self._registry)
