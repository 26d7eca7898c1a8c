"""A runtime's process, as the one who asks it sees it: started on chosen cores, asked, ended whatever happens.

Knows the lines of JSON that `child` speaks, and nothing about what is asked.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from slmlab.errors import SlmLabError

STOP_S = 5


class Ended(SlmLabError):
    """A runtime's process ended before its time; the message holds its reason, or else its last line."""


class Worker:
    """A runtime in a process of its own. `told` is what it said at its start: {"absent": ...} where it isn't here."""

    def __init__(self, name: str, cores: list[int] | None = None, file: Path | None = None):
        self.name, self.told = name, None
        command = [sys.executable, "-m", "course.runtimes.child", name]
        command += ["--cores", ",".join(map(str, cores))] if cores else []
        command += ["--file", str(file)] if file else []
        self._said = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said, env=_environment(),
            text=True, encoding="utf-8", **_apart(),
        )  # fmt: skip

    def start(self) -> dict:
        """Wait until it has loaded the model, or said why it won't."""
        self.told = self._answer()
        if "refused" in self.told:
            self.stop()
            raise Ended(f"{self.name}: {self.told['refused']}")
        return self.told

    def ask(self, **what) -> dict:
        try:
            print(json.dumps(what), file=self._process.stdin, flush=True)
        except OSError:  # it ended while nobody asked
            raise self._ended() from None
        return self._answer()

    def _answer(self) -> dict:
        line = self._process.stdout.readline()
        if not line.endswith("\n"):
            raise self._ended()
        return json.loads(line)

    def _ended(self) -> Ended:
        self.stop()
        self._said.seek(0)
        lines = [line.strip() for line in self._said if line.strip()]
        code = self._process.returncode
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        return Ended(f"{self.name} ended ({how}): {lines[-1] if lines else 'it said nothing.'}")

    def stop(self) -> None:
        """Let it end; make it, where it doesn't."""
        try:
            self._process.stdin.close()
        except OSError:  # a broken pipe: it has ended
            pass
        for further in (self._process.terminate, self._process.kill, None):
            try:
                self._process.wait(STOP_S)
                break
            except subprocess.TimeoutExpired:
                if further:
                    further()
        self._process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        self._said.close()


def _environment() -> dict[str, str]:
    """As ours, and it finds this package as we did, where that isn't installed but stands beside a notebook."""
    paths = (str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH"))
    return os.environ | {"PYTHONIOENCODING": "utf-8", "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def _apart() -> dict:
    """An interrupt of the cell is ours to handle, not the child's."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}
