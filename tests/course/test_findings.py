"""findings: how a report reads, and what it decides."""

import json

import pytest

from course.doctor import Finding, Report
from slmlab.errors import BadRequest

OK, WARN = Finding("cores", "ok", "2 to use"), Finding("memory", "warn", "little", "close programs")
FAIL = Finding("model", "fail", "a <b> is missing", "python -m slmlab fetch")


def test_only_a_failure_makes_a_report_not_ok():
    assert Report((OK, WARN)).ok
    assert not Report((OK, WARN, FAIL)).ok


@pytest.mark.parametrize(
    ("findings", "summary"),
    [
        ((OK,), "All is well."),
        ((OK, WARN), "Nothing fails; 1 to know about."),
        ((WARN, FAIL), "1 to mend first, 1 to know about."),
        ((FAIL, FAIL), "2 to mend first."),
    ],
)
def test_the_last_line_sums_up(findings, summary):
    assert str(Report(findings)).splitlines()[-1] == summary
    assert summary in Report(findings)._repr_html_()


def test_the_mending_line_stands_under_its_fault_and_failures_stand_out():
    lines = str(Report((OK, FAIL))).splitlines()
    assert lines[1].startswith("FAIL  model")
    assert lines[2].strip() == "-> python -m slmlab fetch"


def test_html_is_escaped():
    assert "<b>" not in Report((FAIL,))._repr_html_()


def test_a_report_is_a_list_a_lookup_and_json():
    report = Report((OK, FAIL))
    assert [one.name for one in report] == ["cores", "model"]
    assert report["model"] is FAIL
    told = json.loads(json.dumps(report.to_dict()))
    assert told["ok"] is False and told["findings"][1]["mend"] == "python -m slmlab fetch"
    with pytest.raises(BadRequest, match="cores, model"):
        report["modle"]
