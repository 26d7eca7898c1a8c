"""serving/telemetry: what Prometheus reads."""

from prometheus_client.parser import text_string_to_metric_families

from endpoint.metrics import Telemetry


def read(telemetry: Telemetry, running=0, waiting=0) -> dict:
    families = text_string_to_metric_families(telemetry.text(running, waiting).decode())
    return {(one.name, *sorted(one.labels.values())): one.value for family in families for one in family.samples}


def test_answers_are_counted_by_how_they_ended():
    telemetry = Telemetry("slmlab:", "tiny")
    telemetry.answered(10, 4, 0.2, 1.5, "end")
    telemetry.answered(5, 2, 0.04, 0.3, "length")
    found = read(telemetry, running=3, waiting=7)
    assert found["slmlab:prompt_tokens_total", "tiny"] == 15
    assert found["slmlab:generation_tokens_total", "tiny"] == 6
    assert found["slmlab:request_success_total", "end", "tiny"] == 1
    assert found["slmlab:request_success_total", "length", "tiny"] == 1
    assert found["slmlab:num_requests_running", "tiny"] == 3
    assert found["slmlab:num_requests_waiting", "tiny"] == 7


def test_times_fall_into_buckets():
    telemetry = Telemetry("vllm:", "tiny")
    telemetry.answered(10, 4, 0.2, 1.5, "end")
    found = read(telemetry)
    assert found["vllm:time_to_first_token_seconds_bucket", "0.1", "tiny"] == 0
    assert found["vllm:time_to_first_token_seconds_bucket", "0.25", "tiny"] == 1
    assert found["vllm:e2e_request_latency_seconds_sum", "tiny"] == 1.5


def test_an_answer_without_a_token_has_no_first_one():
    telemetry = Telemetry("slmlab:", "tiny")
    telemetry.answered(10, 0, None, 1.5, "filtered")
    assert read(telemetry)["slmlab:time_to_first_token_seconds_count", "tiny"] == 0


def test_refusals_are_counted_by_status():
    telemetry = Telemetry("slmlab:", "tiny")
    for status in (404, 429, 429):
        telemetry.refused(status)
    found = read(telemetry)
    assert found["slmlab:request_refused_total", "429"] == 2 and found["slmlab:request_refused_total", "404"] == 1


def test_two_servers_in_one_process_count_for_themselves():
    first, second = Telemetry("slmlab:", "tiny"), Telemetry("slmlab:", "tiny")
    first.refused(404)
    assert ("slmlab:request_refused_total", "404") not in read(second)
