"""Programs that are started again when they end, until all are ended. Knows nothing about what they do."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from setup.programs import Stop
from slmlab.connecting import read_at
from slmlab.errors import SlmLabError

CALM_S = 60  # what ends three times in this time has a fault that starting again won't mend
STOP_S = 60  # the hub ends every learner's server first


class Kept:
    """One of them: `look` starts it again where it has to."""

    def __init__(self, name: str, command: list, env: dict, folder: Path):
        self.name, self.command, self.env, self.log = name, [str(one) for one in command], env, folder / f"{name}.log"
        self.starts: list[float] = []
        self.start()

    def start(self) -> None:
        self.starts.append(time.monotonic())
        # In a session of its own: Ctrl-C is for the one who keeps it. The program ends when its input does, or on Linux
        # with a signal, if that one is killed.
        with open(self.log, "a", encoding="utf-8") as log:
            self.process = subprocess.Popen(self.command, env=self.env, cwd=self.log.parent, stdin=subprocess.PIPE,
                stdout=log, stderr=log, start_new_session=True, preexec_fn=_end_with_parent)  # fmt: skip

    def look(self) -> None:
        code = self.process.poll()
        if code is None:
            return
        if len(self.starts) >= 3 and time.monotonic() - self.starts[-3] < CALM_S:
            raise Stop(f"The {self.name} ended three times within a minute. Its last words are in {self.log}")
        print(f"The {self.name} ended ({code}). It is started again.", flush=True)
        self.start()

    def end(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _end_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # 1: PR_SET_PDEATHSIG


def until_up(kept: list[Kept], port: int, path: str) -> None:
    while True:
        for one in kept:
            one.look()
        with suppress(SlmLabError):
            read_at(f"http://127.0.0.1:{port}", path)
            return
        time.sleep(0.3)


def end_all(kept: list[Kept], homes: Path) -> None:
    """End them, and whatever else has its home below `homes`: servers whose hub was killed, and their kernels."""
    import psutil

    for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # a second Ctrl-C must not leave half of them
        signal.signal(sign, signal.SIG_IGN)
    for one in reversed(kept):
        one.end()
    left = [one for one in psutil.process_iter() if one.pid != os.getpid() and _home(one).startswith(f"{homes}/")]
    for one in left:
        with suppress(psutil.Error):
            one.terminate()
    for one in psutil.wait_procs(left, timeout=10)[1]:
        with suppress(psutil.Error):
            one.kill()


def _home(process) -> str:
    with suppress(Exception):  # another user's, or gone meanwhile
        return process.environ().get("HOME", "")
    return ""
