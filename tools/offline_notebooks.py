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


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """A cell out of time fails, also where it catches nbval's interrupt and ends well, which nbval itself would pass.
    nbval expects the cells after it to fail: they do so here, so that none is counted as passed by surprise.
    An exercise's starter fails where it passes its own check."""
    done = yield
    if _is_cell(item) and item.parent.timed_out:
        item.raise_cell_error(f"It took more than {item.config.option.nbval_cell_timeout:g} s, a cell's time limit")
    if _is_cell(item) and "exercise" in item.cell.metadata.get("tags", ()) and "Not yet" not in str(item.test_outputs):
        item.raise_cell_error("This starter of an exercise passes its own check")
    return done


def _is_cell(item) -> bool:
    return hasattr(item, "output_timeout")
