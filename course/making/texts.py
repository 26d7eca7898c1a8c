"""Texts to learn from: stories and tickets that a seed makes, and a reader's own examples. No model is asked."""

import csv
import json
import os
import random
import re
import sysconfig
import tomllib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from zlib import crc32

import numpy as np

from slmlab.catalog import DATA
from slmlab.errors import BadRequest, NotHere

PRIME = 4_294_967_311  # above every number of 32 bits
FEWEST = 12  # examples of a task
MOST_MB = 1  # of a note: what is larger is a book, or no text


@cache
def _words(name: str) -> dict:
    return tomllib.loads((DATA / f"{name}.toml").read_text(encoding="utf-8"))


def stories(count: int, seed: int = 0) -> list[str]:
    """Little stories of five or six sentences, the same for the same seed."""
    dice, words = random.Random(seed), _words("stories")
    return [_story(dice, words) for _ in range(count)]


def _story(dice: random.Random, words: dict) -> str:
    she, he = dice.choice(("she", "he")), dice.choice(("she", "he"))
    people = {"she": words["women"], "he": words["men"]}
    a = dice.choice(people[she])
    b = dice.choice([name for name in people[he] if name != a])
    thing, feeling = dice.choice(list(words["use"])), dice.choice(list(words["does"]))
    place, place2 = dice.sample(words["place"], 2)
    her, his = ({"she": "her", "he": "his"}[one] for one in (she, he))
    does = dice.choice(words["does"][feeling])
    fields = {key: dice.choice(words[key]) for key in ("when", "colour", "animal", "number")}
    fields |= {"a": a, "b": b, "place": place, "place2": place2, "thing": thing, "use": words["use"][thing]}
    fields |= {"she": she, "She": she.title(), "he": he, "He": he.title(), "him": {"she": "her", "he": "him"}[he]}
    fields |= {"feeling": feeling, "does": does.format(her=her), "his_does": does.format(her=his)}
    return dice.choice(words["stories"]).format(**fields)


def sentence() -> dict[str, str]:
    """The same sentence in five languages."""
    return dict(_words("texts/sentence"))


def programs(*packages: str) -> list[Path]:
    """The files of Python's own library and of these packages, without their tests."""
    library, installed = (Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib"))
    left_out = {"site-packages", "dist-packages", "test", "tests", "lib2to3"}  # the last is written in Python 2
    roots = [library, *(installed / name for name in packages)]
    files = [(root, file) for root in roots for file in sorted(root.rglob("*.py"))]
    return [file for root, file in files if not left_out & {*file.relative_to(root).parts}]


def marks(text: str) -> list[tuple[int, ...]]:
    """Eight marks of a text. Texts that share most of their runs of four words have one in common (MinHash)."""
    words = re.findall(r"\w+", text.lower())
    runs = {" ".join(words[at : at + 4]) for at in range(max(1, len(words) - 3))}
    numbers = np.array([crc32(run.encode()) for run in runs], np.uint64)
    mix, add = np.random.default_rng(0).integers(1, 2**31, (2, 32, 1)).astype(np.uint64)
    smallest = ((mix * numbers + add) % PRIME).min(axis=1).reshape(8, 4)
    return [(place, *four) for place, four in enumerate(smallest.tolist())]


def tickets(count: int, seed: int = 0, of: str = "learn") -> list[tuple[str, str]]:
    """A shop's messages, each with the JSON it should become. Those of "test" share no name, thing or phrase with
    those of "learn"."""
    dice, words = random.Random(seed), _words("tickets")[of]
    return [_ticket(dice, words) for _ in range(count)]


def _ticket(dice: random.Random, words: dict) -> tuple[str, str]:
    name = f"{dice.choice(words['first'])} {dice.choice(words['last'])}"
    item, order = dice.choice(words["item"]), dice.randint(10_000, 99_999)
    problem, wish = dice.choice(list(words["problem"])), dice.choice(list(words["wish"]))
    said = {"k": dice.choice(words["problem"][problem]), "w": dice.choice(words["wish"][wish])}
    text = dice.choice(words["message"]).format(n=name, i=item, o=order, **said)
    record = {"name": name, "order": order, "item": item, "problem": problem, "wish": wish}
    return text, json.dumps(record)


@dataclass(frozen=True)
class Task:
    """Pairs of a text and its answer: those to learn from, and those held out for the test."""

    learn: list[tuple[str, str]]
    held: list[tuple[str, str]]

    @property
    def blind(self) -> int:
        """How many held-out answers are right if one and the same is always given."""
        return Counter(answer for _, answer in self.held).most_common(1)[0][1]


def read_task(source: str | Path | Sequence[tuple[str, str]], seed: int = 0) -> Task:
    """A task of your own: a list of (text, answer), or a CSV file with these two columns and no head.

    Each text is taken once. Two in five are held out, so that no test text is learned from.
    """
    rows = _rows_of(Path(source)) if isinstance(source, str | Path) else [tuple(row) for row in source]
    answers: dict[str, str] = {}
    for number, row in enumerate(rows, 1):
        if len(row) != 2 or not all(isinstance(one, str) and one.strip() for one in row):
            raise BadRequest(f"Example {number} is {row!r}. It should be a text, a comma and an answer.")
        text, answer = (one.strip() for one in row)
        if answers.setdefault(text, answer) != answer:
            raise BadRequest(f"Example {number} has a text that came before, with another answer: {text!r}.")
    if len(answers) < FEWEST:
        raise BadRequest(f"There are {len(answers)} different examples, and {FEWEST} are needed. 20 are a good start.")
    if len(set(answers.values())) == 1:
        raise BadRequest(f"Every answer is {answer!r}, so there is nothing to learn. Give examples of another answer.")
    pairs = random.Random(seed).sample(list(answers.items()), len(answers))
    cut = len(pairs) * 3 // 5
    return Task(pairs[:cut], pairs[cut:])


def _rows_of(file: Path) -> list[tuple[str, ...]]:
    try:
        with file.expanduser().open(newline="", encoding="utf-8-sig") as lines:
            return [tuple(row) for row in csv.reader(lines) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as fault:
        raise BadRequest(f"{file} can't be read as CSV in UTF-8: {fault}.") from fault


def turn(pairs: Sequence, step: int, size: int) -> list:
    """The examples of a step: so many at a time, round and round."""
    return [pairs[(step * size + at) % len(pairs)] for at in range(size)]


def read_notes(folder: str | Path) -> dict[str, str]:
    """The .md and .txt files of a folder by name. Of those that are left out, a line says why."""
    folder, notes = Path(os.path.expanduser(folder)), {}  # it leaves the ~ of nobody as it is
    if not folder.is_dir():
        raise NotHere(f"There is no folder {folder}. Give the path of a folder with .md or .txt files.")
    for file in sorted(one for one in folder.rglob("*") if one.suffix.lower() in (".md", ".txt") and one.is_file()):
        name = file.relative_to(folder).as_posix()
        try:
            notes[name] = _note(file)
        except (OSError, UnicodeDecodeError, BadRequest) as fault:
            why = fault if isinstance(fault, BadRequest) else "it can't be read as text in UTF-8."
            print(f"{name} is left out: {why}")
    if not notes:
        raise NotHere(f"{folder} has no text to search: put .md or .txt files into it.")
    return notes


def _note(file: Path) -> str:
    if file.stat().st_size > MOST_MB * 1_000_000:
        raise BadRequest(f"it is larger than {MOST_MB} MB.")
    text = file.read_text(encoding="utf-8-sig").strip()
    if not text or "\0" in text:
        raise BadRequest("it holds bytes that are no text." if text else "it is empty.")
    return text
