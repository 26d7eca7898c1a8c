"""What a server counts, in the format that Prometheus reads; names as servers of this field have them.

Knows nothing about HTTP or engines: it is told.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

SECONDS = (0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Telemetry:
    """The counters of one server, each under the prefix that its profile's service uses."""

    def __init__(self, prefix: str, model: str):
        disable_created_metrics()  # a second line for each counter, which no one here asks for
        self.registry = CollectorRegistry()
        self._model = model

        def made(kind, name, text, **options):
            return kind(f"{prefix}{name}", text, ["model_name"], registry=self.registry, **options).labels(model)

        self._running = made(Gauge, "num_requests_running", "Requests that are being answered now.")
        self._waiting = made(Gauge, "num_requests_waiting", "Requests that wait for a seat.")
        self._prompt_tokens = made(Counter, "prompt_tokens", "Tokens that were read.")
        self._new_tokens = made(Counter, "generation_tokens", "Tokens that were written.")
        times = {"buckets": SECONDS}
        self._first_token = made(Histogram, "time_to_first_token_seconds", "From request to first token.", **times)
        self._duration = made(Histogram, "e2e_request_latency_seconds", "From request to last token.", **times)
        self._answers = Counter(f"{prefix}request_success", "Answers, by how they ended.",
                                ["model_name", "finished_reason"], registry=self.registry)  # fmt: skip
        self._refusals = Counter(f"{prefix}request_refused", "Requests that were refused, by status.",
                                 ["status"], registry=self.registry)  # fmt: skip

    def answered(self, prompt_tokens: int, new_tokens: int, first_s: float | None, all_s: float, reason: str) -> None:
        self._prompt_tokens.inc(prompt_tokens)
        self._new_tokens.inc(new_tokens)
        self._duration.observe(all_s)
        if first_s is not None:
            self._first_token.observe(first_s)
        self._answers.labels(self._model, reason).inc()

    def refused(self, status: int) -> None:
        self._refusals.labels(str(status)).inc()

    def text(self, running: int, waiting: int) -> bytes:
        self._running.set(running)
        self._waiting.set(waiting)
        return generate_latest(self.registry)
