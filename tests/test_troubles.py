"""troubles: the table for the README."""

import re

from slmlab.__main__ import _parser
from slmlab.troubles import TROUBLES, troubleshooting_markdown


def test_every_trouble_has_all_three_columns_and_keeps_to_its_row():
    lines = troubleshooting_markdown().splitlines()
    assert len(lines) == len(TROUBLES) + 2
    assert all(line.count(" | ") == 2 for line in lines[2:])
    assert all(one.symptom and one.cause and one.mend for one in TROUBLES)


def test_every_command_in_a_mend_is_one_that_exists():
    commands = [line for one in TROUBLES for line in re.findall(r"`python -m slmlab ([^`]+)`", one.mend)]
    assert commands
    for command in commands:
        _parser().parse_args(command.split())
