"""What the benchmarks share: options, medians, the machine in words, and a last line of JSON."""

import argparse
import json
import platform
import statistics
from pathlib import Path

BUSY = 0.15  # of a core, used by others: more makes the figures worthless


def parser(doc: str) -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("--quick", action="store_true", help="fewer runs, under 50 seconds")
    return found


def options(doc: str) -> argparse.Namespace:
    return parser(doc).parse_args()


def spread(values: list[float], digits: int = 3) -> str:
    """Median, with the smallest and the largest run."""
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def put_between(marks: tuple[str, str], text: str, page: Path) -> None:
    """A text in the place that two marks keep for it in a page."""
    whole = page.read_text(encoding="utf-8")
    before, rest = whole.split(marks[0])
    page.write_text(f"{before}{marks[0]}\n{text}\n{marks[1]}{rest.split(marks[1])[1]}", encoding="utf-8")


def machine_in_words() -> str:
    """Cores and type only: nothing that tells whose machine it is."""
    from course.recordings import cpu_name
    from slmlab.machine import cores, machine

    return f"{cores()[1]} cores, {cpu_name()}, {platform.system()}, {'GPU' if machine().gpu else 'no GPU'}"


def used_by_others() -> float:
    """Cores in use while this program waits."""
    import psutil

    return psutil.cpu_percent(interval=1.0) / 100 * psutil.cpu_count()


def refuse_busy(used_cores: float) -> None:
    """Figures of a busy machine aren't published."""
    if used_cores > BUSY:
        raise SystemExit(f"Not published: other programs used {used_cores:.0%} of a core. Close them and run again.")


def finish(**figures) -> None:
    """The figures of the goal, by name, on the last line."""
    print(json.dumps({name: round(value, 4) if isinstance(value, float) else value for name, value in figures.items()}))
