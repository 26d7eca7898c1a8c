"""errors: one family, and near names first."""

import inspect

from slmlab import errors


def test_every_error_is_caught_by_one_name():
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if not issubclass(kind, Warning)]
    assert len(kinds) >= 5 and all(issubclass(kind, errors.SlmLabError) for kind in kinds)


def test_the_nearest_names_come_first_and_none_is_lost():
    assert errors.nearest("phi", ["mistral", "phi-3", "gpt-4"]) == "Available: phi-3, mistral, gpt-4"


def test_a_name_of_megabytes_is_cut_and_compared_in_no_time():
    name = "x" * 1_000_000
    assert len(errors.quoted(name)) < 100 and errors.quoted("phi") == "'phi'"
    assert errors.nearest(name, ["phi"]) == "Available: phi"
