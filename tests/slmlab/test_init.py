"""slmlab itself: the public names, and what it costs to begin."""

import subprocess
import sys

import pytest

import slmlab


def test_there_are_few_public_names_and_an_unknown_one_lists_them():
    assert len(slmlab.__all__) <= 16 and dir(slmlab) == sorted(slmlab.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'laod'. It has: load, connect"):
        slmlab.laod  # noqa: B018


def test_the_first_cells_of_a_lesson_load_nothing_heavy():
    heavy = {"numpy", "torch", "transformers", "psutil", "pydantic", "openai", "tabulate", "matplotlib", "PIL"}
    for code, more in (
        ("import slmlab; from slmlab import plots", {"statistics", "dataclasses"}),
        ("import slmlab; slmlab.cards(), slmlab.services(), slmlab.measure", set()),
    ):
        asked = f"import sys; {code}; print({heavy | more} & set(sys.modules) or 'nothing')"
        told = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True).stdout
        assert told.strip() == "nothing", "what comes first may pay for it, not the import"
