"""The learner's own record: which exercises are done, the best score of each quiz, and each guess.

One small file, ~/.slmlab/progress.json; the variable SLMLAB_PROGRESS names another. Two notebooks may write at once.
Knows nothing about what the exercises are.
"""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path


def progress_file() -> Path:
    return Path(os.environ.get("SLMLAB_PROGRESS") or "~/.slmlab/progress.json").expanduser()


def read() -> tuple[dict, str]:
    """The record and a note for the learner, empty when all is well."""
    try:
        return _read(progress_file())  # no lock: a write replaces the file in one step
    except OSError as fault:
        return _fresh(), f"Your progress can't be read: {fault.strerror or fault}."


def update(change: Callable[[dict], None]) -> str:
    """Read the record, let `change` alter it, write it back. Gives a note, empty when all is well; never raises."""
    from filelock import FileLock

    path = progress_file()
    beside = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock", timeout=5):  # its Timeout is an OSError
            record, note = _read(path)
            change(record)
            beside.write_text(json.dumps(record, indent=1, sort_keys=True), encoding="utf-8")
            os.replace(beside, path)  # all of it or nothing
            return note
    except OSError as fault:
        why = fault.strerror or "another notebook is writing it"
        return f"Progress was not saved ({why}). Set SLMLAB_PROGRESS to a file that can be written."


def note_exercise(exercise_id: str) -> str:
    return update(lambda record: record["exercises"].update({exercise_id: "done"}))


def note_quiz(quiz_id: str, right: int, of: int) -> str:
    """Keep the score if it is the best one so far."""

    def change(record):
        best = record["quizzes"].get(quiz_id, {}).get("best", 0)
        record["quizzes"][quiz_id] = {"best": min(of, max(best, right)), "of": of}

    return update(change)


def note_guess(guess_id: str, said: str, options: Sequence[str]) -> str:
    """Keep the first of these options: it is a guess only before the answer is known."""

    def change(record):
        if record["guesses"].get(guess_id, {}).get("said") not in options:  # an older lesson had other options
            record["guesses"][guess_id] = {"said": said}

    return update(change)


def note_outcome(guess_id: str, right: bool) -> str:
    """Beside what was said: whether it was right."""
    return update(lambda record: record["guesses"].get(guess_id, {}).update(right=bool(right)))


def _fresh() -> dict:
    return {"version": 1, "exercises": {}, "quizzes": {}, "guesses": {}}


def _read(path: Path) -> tuple[dict, str]:
    try:
        record = _fresh() | json.loads(path.read_text(encoding="utf-8"))
        if all(isinstance(record[part], dict) for part in ("exercises", "quizzes", "guesses")):
            return record, ""
    except FileNotFoundError:
        return _fresh(), ""
    except (TypeError, ValueError):  # no record, or neither JSON nor text
        pass
    damaged = path.with_name(path.name + ".damaged")
    os.replace(path, damaged)
    return _fresh(), f"Your progress file was damaged: it is kept as {damaged.name}, and a new one begins."
