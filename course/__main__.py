"""python -m course record MODEL: a model's answers to the lessons' own prompts, as a file that the lessons show."""

import argparse
import sys
from pathlib import Path

from course.recordings import FOLDER, record
from slmlab.errors import SlmLabError


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m course", description=__doc__)
    parser.add_argument("command", choices=["record"])
    parser.add_argument("model", help="a name from `python -m slmlab models`, such as phi-3.5-mini")
    parser.add_argument("--into", type=Path, default=FOLDER, metavar="FOLDER", help="default: where lessons look")
    parsed = parser.parse_args(arguments)
    try:
        print(f"Recorded in {record(parsed.model, parsed.into)}")
    except (SlmLabError, OSError) as fault:  # of the disk
        sys.exit(f"{fault}. Earlier recordings are as they were." if isinstance(fault, OSError) else str(fault))


if __name__ == "__main__":
    main()
