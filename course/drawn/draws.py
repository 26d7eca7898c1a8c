"""Scenes drawn by chance from a seed: what the vision model is trained on, and what it is tested on.

The same seed gives the same scene for ever, so the order of the draws here never changes: the bundled model was trained
and scored on these pictures. Training and test use seeds that never meet.
"""

import tomllib
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from random import Random

from course.drawn import scenes
from course.drawn.canvas import COLOURS, Style
from course.drawn.pictures import FORMS_OF_SHAPES, Row, Shape
from course.drawn.questions import ABSENT, Question, Scene
from slmlab.catalog import DATA
from slmlab.errors import UnknownName, nearest

WORDS = tomllib.loads((DATA / "drawn.toml").read_text(encoding="utf-8"))["words"]
LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"  # without O and I, which look like 0 and 1
CODE = LETTERS + "0123456789"
AXIS = range(5, 101, 5)  # what can be told from an axis


class Chance(Random):
    """What is drawn, from a seed. The `easy` ones have names of one letter and short texts: where reading begins."""

    easy = False


def draw(kind: str, seed, easy: bool = False) -> Scene:
    """The scene of a kind that a seed gives."""
    if kind not in _DRAWS:
        raise UnknownName(f"No scene of kind {kind!r}. {nearest(str(kind), list(_DRAWS))}.")
    rng = Chance(f"{kind}:{seed}")
    rng.easy = easy
    scene = _DRAWS[kind](rng)
    questions = [*scene.questions, *_absent(scene, rng)]
    rng.shuffle(questions)
    return replace(scene, questions=tuple(questions))


def word(rng: Chance, least: int, most: int) -> str:
    """A word that no list holds, and that can be said."""
    length = rng.randint(least, most)
    sounds = ["bcdfghjklmnprstvwz", "aeiou"]
    first = rng.randrange(2)
    letters = "".join(rng.choice(sounds[(first + at) % 2]) for at in range(length))
    if rng.random() < 0.1:
        letters = "".join(rng.choice("abcdefghijkmnopqrstuvwxyz") for _ in range(length))
    return letters.upper() if rng.random() < 0.2 else letters.capitalize()


def labels(rng: Chance, number: int, most: int, pool: Sequence[str] = WORDS["things"]) -> list[str]:
    """So many different labels of at most so many letters: months, days, letters, a list's, or made up."""
    if rng.easy:
        return rng.sample(LETTERS, number)
    share = rng.random()
    known = [one for one in pool if len(one) <= most]
    if share < 0.15:
        start = rng.randrange(12)
        return [WORDS["months"][(start + at) % 12] for at in range(number)]
    if share < 0.30:
        return list(WORDS["days"][:number])
    if share < 0.37 and number <= 4:
        return list(WORDS["quarters"][:number])
    if share < 0.57:
        return rng.sample(LETTERS, number)
    if share < 0.85 and len(known) >= number:
        return rng.sample(known, number)
    found: dict[str, str] = {}
    while len(found) < number:
        made = word(rng, 1 if most < 3 else 2, most)
        found.setdefault(made.lower(), made)  # a question may be typed without capitals
    return list(found.values())


def _names(rng: Chance, number: int, pool: Sequence[str]) -> list[str]:
    return rng.sample(pool, number) if not rng.easy and rng.random() < 0.5 else labels(rng, number, 6, pool)


def _rows(rng: Chance, values: Sequence[int], repeat: bool = True) -> list[Row]:
    number = len(values)
    names, palette = labels(rng, number, {2: 5, 3: 5, 4: 4}.get(number, 3)), list(COLOURS)
    same = repeat and rng.random() < 0.15
    colours = [rng.choice(palette)] * number if same else rng.sample(palette, number)
    return [Row(*row) for row in zip(names, values, colours, strict=True)]


def _values(rng: Chance, number: int, printed: bool) -> list[int]:
    if not printed:
        return rng.sample(AXIS, number)
    return rng.sample(range(100, 1000) if rng.random() < 0.06 and number < 5 else range(1, 100), number)


def _style(rng: Chance) -> Style:
    return Style.random(rng, rng.choice(WORDS["things"] + WORDS["goods"]) if rng.random() < 0.15 else "")


def _bars(rng: Chance, printed: bool = True) -> Scene:
    values = _values(rng, rng.randint(2, 5), printed)
    return scenes.bars(_rows(rng, values), _style(rng), printed)


def _line(rng: Chance, printed: bool = True) -> Scene:
    values = _values(rng, rng.randint(3, 5), printed)
    way = rng.randrange(3)
    if way < 2:
        values.sort(reverse=way == 1)
    return scenes.line(_rows(rng, values), _style(rng), printed)


def _pie(rng: Chance, printed: bool = True) -> Scene:
    values = _shares(rng, rng.randint(2, 4))
    rows, style = _rows(rng, values, repeat=False), _style(rng)
    return scenes.pie(rows, style, rng.choice(("legend", "slices")) if printed else "")


def _shares(rng: Chance, number: int) -> list[int]:
    """Different percents in steps of 5, each large enough to be seen."""
    while True:
        cuts = sorted(rng.sample(range(2, 19), number - 1))
        parts = [5 * (end - begin) for begin, end in zip([0, *cuts], [*cuts, 20], strict=True)]
        if len(set(parts)) == number and min(parts) >= 10:
            return parts


def _receipt(rng: Chance) -> Scene:
    names = _names(rng, rng.randint(2, 4), WORDS["goods"])
    prices = rng.sample(range(25, 1000, 5), len(names))
    return scenes.receipt(list(zip(names, prices, strict=True)), _style(rng))


def _table(rng: Chance) -> Scene:
    names = _names(rng, rng.randint(2, 5), WORDS["names"])
    heads, style = (rng.choice(WORDS["heads"]), rng.choice(WORDS["columns"])), Style.random(rng)
    return scenes.table(heads, list(zip(names, rng.sample(range(1, 100), len(names)), strict=True)), style)


def _text(rng: Chance) -> Scene:
    if rng.easy:
        return scenes.text([_code(rng, 1, 3)], Style.random(rng, sizes=(22, 40)))
    lines = [_line_of_text(rng) for _ in range(rng.choice((1, 1, 2)))]
    return scenes.text(lines, Style.random(rng, sizes=(18, 34)))


def _line_of_text(rng: Chance) -> str:
    share = rng.random()
    if share < 0.3:
        return _code(rng, 3, 5)
    if share < 0.5:
        return str(rng.randint(0, 10 ** rng.randint(1, 5) - 1))
    known = [one for name in ("signs", "goods", "names", "things") for one in WORDS[name]]
    return rng.choice(known) if share < 0.65 else word(rng, 2, 6)


def _code(rng: Chance, least: int, most: int) -> str:
    return "".join(rng.choice(CODE) for _ in range(rng.randint(least, most)))


def _shapes(rng: Chance) -> Scene:
    places = rng.sample(range(9), rng.randint(1, 6))
    palette = rng.sample(list(COLOURS), 3)
    these = [Shape(rng.choice(FORMS_OF_SHAPES), rng.choice(palette), place) for place in places]
    return scenes.shapes(these, Style.random(rng))


def _pair(rng: Chance) -> Scene:
    first, second = _rows(rng, rng.sample(range(1, 100), rng.randint(2, 3))), []
    for row in first:
        value = rng.randint(1, 99)
        second.append(replace(row, value=value if value != row.value else value % 99 + 1))
    return scenes.pair(first, second, Style.random(rng))


def _counter(rng: Chance) -> Scene:
    numbers = rng.sample(range(0, 10 ** rng.randint(1, 3)), rng.randint(2, 4))
    numbers.sort(reverse=rng.random() < 0.5)
    return scenes.counter(numbers, Style.random(rng, sizes=(24, 44)))


def _moving(rng: Chance) -> Scene:
    shape = Shape(rng.choice(FORMS_OF_SHAPES), rng.choice(list(COLOURS)), 0)
    number, at = rng.randint(2, 3), rng.randrange(3)
    stops = [3 * at + stop for stop in range(3)] if rng.random() < 0.5 else [at + 3 * stop for stop in range(3)]
    stops = stops if number == 3 else rng.choice((stops[:2], stops[1:], [stops[0], stops[2]]))
    places = stops[::-1] if rng.random() < 0.5 else stops
    return scenes.moving(shape, [places[0]] * number if rng.random() < 0.1 else places, Style.random(rng))


def _absent(scene: Scene, rng: Chance) -> list[Question]:
    """Sometimes a question about what isn't in the picture; its answer says so."""
    asked = [one for one in scene.questions if one.form.split("/")[1] in ("value", "colour", "price")]
    if not asked or scene.kind in ("pair", "shapes", "moving") or rng.random() > 0.3:
        return []
    form, known = rng.choice(asked).form, {value for one in asked for value in one.values}
    other = rng.choice(labels(rng, 3, 6))
    return [] if other in known else [Question(form, (other,), ABSENT)]


_DRAWS = {
    "bars": _bars, "heights": partial(_bars, printed=False), "line": _line, "curve": partial(_line, printed=False),
    "pie": _pie, "wedges": partial(_pie, printed=False), "receipt": _receipt, "table": _table, "text": _text,
    "shapes": _shapes, "pair": _pair, "counter": _counter, "moving": _moving,
}  # fmt: skip
KINDS = tuple(_DRAWS)
