"""What a learner or an instructor types beside the lessons: a recording of a larger model, and what has been done."""

import argparse
import sys
from pathlib import Path

from course import collecting, recordings
from slmlab.errors import SlmLabError


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m course", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    record = commands.add_parser("record", help="a larger model's answers to the lessons' own prompts, as a file")
    record.add_argument("model", help="a name from `python -m slmlab models`, such as phi-3.5-mini")
    record.add_argument("--into", type=Path, default=recordings.FOLDER, help="a folder; default: where lessons look")
    hand_in = commands.add_parser("hand-in", help="what you have done, as a file for your instructor; nothing is sent")
    hand_in.add_argument("--into", type=Path, default=".", metavar="FOLDER", help="default: this folder")
    collect = commands.add_parser("collect", help="check what learners handed in, and show it as a table")
    collect.add_argument("folder", type=Path, help="its .json files are read, and those of the folders in it")
    collect.add_argument("--csv", type=Path, metavar="FILE", help="write the table for a spreadsheet as well")
    certificate = commands.add_parser("certificate", help="the lessons that you have finished, drawn as an SVG")
    certificate.add_argument("--out", type=Path, default="certificate.svg", metavar="FILE")
    for one in (hand_in, certificate):
        one.add_argument("name", help='your name, such as "Ann Lee"')
    for one in (hand_in, collect, certificate):
        one.add_argument("--word", default="", help="a word that the instructor told this class")
    parsed = parser.parse_args(arguments)
    sys.stdout.reconfigure(errors="replace")  # an old Windows console lacks letters of some names
    try:
        print(_done(parsed))
    except (SlmLabError, OSError) as fault:  # of the disk
        sys.exit(f"{fault}. Mend that, then run the same line again." if isinstance(fault, OSError) else str(fault))


def _done(parsed) -> str:
    """Do what was asked for; what there is to say of it."""
    if parsed.command == "record":
        return f"Recorded in {recordings.record(parsed.model, parsed.into)}"
    if parsed.command == "collect":
        return str(collecting.collect(parsed.folder, parsed.word, parsed.csv))
    if parsed.command == "certificate":
        drawn, signed = collecting.certificate(parsed.name, parsed.out, parsed.word)
        return f"{drawn} is your certificate. Its hash belongs to {signed}, which `python -m course collect` checks."
    path, body = collecting.hand_in(parsed.name, parsed.word, parsed.into)
    counts = ", ".join(f"{part} {len(body['record'][part])}" for part in ("exercises", "quizzes", "guesses"))
    return (
        f"{path} holds the name {body['name']}, the date, the course's version, and your record ({counts}).\n"
        "Nothing was sent: read the file if you like, and give it to your instructor yourself."
    )


if __name__ == "__main__":
    main()
