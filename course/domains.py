"""Texts of five domains that differ for the eye: English, Python, Spanish, arithmetic, JSON; all made by this project.

A story told in two languages, programs of this course, frozen, and sums and records made from a seed. No model of
data/models was trained on the story or the programs. Knows nothing about models.
"""

import json
import random
from collections.abc import Callable
from functools import partial

from slmlab.catalog import DATA

DOMAINS = ("English", "Python", "Spanish", "arithmetic", "JSON")


def domain_texts(size: int = 3300) -> dict[str, str]:
    """A text of each domain, cut to this many characters. The stories end after 3,300 and the programs after 40,000;
    sums and records go on."""
    files = {name: DATA / "texts" / f"{name.lower()}.txt" for name in DOMAINS[:3]}
    texts = {name: file.read_text(encoding="utf-8") for name, file in files.items()}
    made = {"arithmetic": arithmetic(size, seed=7), "JSON": json_records(size, seed=7)}
    return {name: text[:size] for name, text in (texts | made).items()}


def samples(text: str, size_bytes: int = 256) -> list[str]:
    """A text in pieces of at most this many bytes, cut between characters; a last, shorter piece is dropped."""
    coded, pieces, start = text.encode(), [], 0
    while start + size_bytes <= len(coded):
        pieces.append(coded[start : start + size_bytes].decode(errors="ignore"))  # but for half a character at its end
        start += len(pieces[-1].encode())
    return pieces or [text]


def _made(line: Callable, size: int, seed: int) -> str:
    """Lines by chance, until there are enough characters."""
    chance, lines, length = random.Random(seed), [], 0
    while length < size:
        lines.append(line(chance))
        length += len(lines[-1]) + 1
    return "\n".join(lines)


def _sum(chance: random.Random) -> str:
    a, b = chance.randint(0, 10 ** chance.randint(1, 4)), chance.randint(0, 10 ** chance.randint(1, 3))
    kind = chance.choice("+-*/(")
    if kind == "+":
        return f"{a} + {b} = {a + b}"
    if kind == "-":
        return f"{a + b} - {b} = {a}"
    small, tiny = chance.randint(1, 99), chance.randint(0, 99)
    if kind == "*":
        return f"{a} * {small} = {a * small}"
    if kind == "/":
        return f"{a * small} / {small} = {a}"
    return f"({tiny} + {small}) * {b % 100} = {(tiny + small) * (b % 100)}"


_KEYS = (
    "red blue green apple tree stone river cloud house chair lamp paper glass silver gold north south east west"
    " small large quick slow bright dark round flat open closed first last early late"
).split()
_NAMES = "Anna Ben Clara David Emma Felix Grace Hugo Ida Jonas Lena Marco Nina Oscar Paula Rosa Tim Vera".split()


def _record(chance: random.Random) -> str:
    """A record with a few fields of every kind, on one line or several."""
    fields = {chance.choice(_KEYS): _value(chance, 0) for _ in range(chance.randint(1, 5))}
    record = {"id": chance.randint(1, 99_999), "name": chance.choice(_NAMES), **fields}
    return json.dumps(record, indent=2 if chance.random() < 0.3 else None)


def _value(chance: random.Random, depth: int):
    kind = chance.random()
    if depth < 2 and kind < 0.2:
        return {chance.choice(_KEYS): _value(chance, depth + 1) for _ in range(chance.randint(1, 4))}
    if depth < 2 and kind < 0.35:
        return [_value(chance, 2) for _ in range(chance.randint(0, 4))]
    if kind < 0.6:
        return chance.choice(_KEYS + _NAMES)
    if kind < 0.8:
        return chance.randint(0, 9999)
    if kind < 0.9:
        return round(chance.uniform(0, 100), 2)
    return chance.choice([True, False, None])


arithmetic, json_records = partial(_made, _sum), partial(_made, _record)
