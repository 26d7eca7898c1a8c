"""The hook that blocks the network: real in every Python below."""

import os
import subprocess
import sys

from setup.machine import offline_environment
from tests.conftest import ROOT


def run(code):
    """The last line that this code prints in a Python with the environment of the tests."""
    environ = offline_environment(os.environ, ROOT)
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, timeout=60)
    return (done.stdout + done.stderr).strip().rpartition("\n")[2]


LEAVES = (
    "socket.create_connection(('192.0.2.1', 80), timeout=2)",
    "socket.create_connection(('2001:db8::1', 80), timeout=2)",
    "socket.getaddrinfo('lab.invalid', 80)",
    "socket.gethostbyname('lab.invalid')",
    "socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('198.51.100.1', 53))",
)


def test_whatever_leaves_this_machine_is_blocked_in_a_child_of_a_child_too():
    for call in LEAVES:
        said = run(f"import socket; {call}")
        assert "blocked: tests and notebooks run without a network" in said, call
    inner = f"import socket; {LEAVES[2]}"
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}], stderr=sys.stdout)"
    assert "blocked" in run(child)
