"""Every notebook is a test under nbval, run as a learner without a network or a key would run it."""

import os
from pathlib import Path
from unittest import mock

import pytest

from setup.machine import offline_environment

ROOT = Path(__file__).resolve().parent.parent
OUTPUT_TIMEOUT_S = 60  # nbval waits 5 s for a cell's last output, too little where two kernels share two cores


def pytest_collection_modifyitems(items):
    for item in filter(_is_cell, items):
        item.output_timeout = OUTPUT_TIMEOUT_S


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item):
    """A notebook's kernel starts with the set-up of its first cell, and inherits this environment."""
    if not _is_cell(item):
        return (yield)
    kernel = offline_environment(os.environ, ROOT) | {"SLMLAB_ROUNDS": "1"}
    with mock.patch.dict(os.environ, kernel, clear=True):
        return (yield)


def _is_cell(item) -> bool:
    return hasattr(item, "output_timeout")
