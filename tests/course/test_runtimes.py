"""benchmarks/runtimes: figures of a busy machine are not published."""

import sys
from pathlib import Path

import pytest

from course.runtimes.results import Result, Results


def test_figures_of_a_busy_machine_are_not_published(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2] / "benchmarks"))
    import runtimes

    monkeypatch.setattr(runtimes, "TABLE", tmp_path / "README.md")
    with pytest.raises(SystemExit, match="other programs used 50% of a core"):
        runtimes.publish(Results((Result("qnn", absent="a Snapdragon"),), "3 rounds.", 0.5))
    assert not list(tmp_path.iterdir())
    for name in [name for name in sys.modules if name.split(".")[0] in ("runtimes", "measure")]:
        del sys.modules[name]
