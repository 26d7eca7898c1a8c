"""What Prometheus reads."""

from prometheus_client.parser import text_string_to_metric_families

from endpoint.metrics import Telemetry


def read(telemetry: Telemetry, running=0, waiting=0) -> dict:
    families = text_string_to_metric_families(telemetry.text(running, waiting).decode())
    return {(one.name, *sorted(one.labels.values())): one.value for family in families for one in family.samples}


def test_answers_and_tokens_are_counted_for_each_server():
    telemetry, other = Telemetry("vllm:", "tiny"), Telemetry("vllm:", "tiny")
    assert read(other)["vllm:prompt_tokens_total", "tiny"] == 0, "a counter is there before anything is counted"
    telemetry.answered(10, 4, "end")
    telemetry.answered(5, 2, "length")
    found = read(telemetry, running=3, waiting=7)
    assert found["vllm:prompt_tokens_total", "tiny"] == 15 and found["vllm:generation_tokens_total", "tiny"] == 6
    assert found["vllm:request_success_total", "end", "tiny"] == 1
    assert found["vllm:num_requests_running", "tiny"] == 3 and found["vllm:num_requests_waiting", "tiny"] == 7
    assert read(other)["vllm:prompt_tokens_total", "tiny"] == 0, "two in one process count for themselves"
