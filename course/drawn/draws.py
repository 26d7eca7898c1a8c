"""Scenes drawn by chance from a seed: what the vision model is trained on, and what it is tested on.

The same seed gives the same scene for ever; training and test use seeds that never meet.
"""

from random import Random

from course.drawn import scenes
from course.drawn.canvas import COLOURS, Style
from course.drawn.charts import Row
from course.drawn.papers import FORMS_OF_SHAPES, Shape
from course.drawn.questions import ABSENT, Question, Scene
from slmlab.errors import UnknownName, nearest

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
QUARTERS = ("Q1", "Q2", "Q3", "Q4")
GOODS = (
    "Milk", "Bread", "Tea", "Coffee", "Rice", "Eggs", "Apple", "Butter", "Soap", "Juice", "Salt", "Cake", "Beans",
    "Cheese", "Pasta", "Honey", "Water", "Pizza", "Soup", "Banana", "Sugar", "Lemon", "Fish", "Onion", "Cocoa",
)  # fmt: skip
NAMES = (
    "Anna", "Bob", "Chen", "Dora", "Emil", "Fatma", "Gita", "Hugo", "Ines", "Jonas", "Kofi", "Lena", "Mia", "Noah",
    "Olga", "Pia", "Quin", "Rosa", "Sami", "Tara", "Umar", "Vera", "Wim", "Xena", "Yuki", "Zoe",
)  # fmt: skip
THINGS = (
    "Cats", "Dogs", "Birds", "Fish", "Cars", "Bikes", "Trains", "Buses", "Gas", "Oil", "Coal", "Sun", "Wind", "North",
    "South", "East", "West", "Red", "Web", "Shop", "Food", "Rent", "Fun", "Books", "Games", "Music", "Sport",
)  # fmt: skip
HEADS = ("Name", "Item", "City", "Team", "Day", "Who", "Part", "Room")
COLUMNS = ("Age", "Score", "Price", "Goals", "Size", "Points", "No", "Count", "Sales")
SIGNS = ("HELLO", "EXIT", "STOP", "OPEN", "CLOSED", "SALE", "Welcome", "Coffee", "PUSH", "PULL", "Library", "TAXI")
LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"  # without O and I, which look like 0 and 1
CODE = LETTERS + "0123456789"


class Chance(Random):
    """What is drawn, from a seed. The `easy` ones have names of one letter and short texts: where reading begins."""

    easy = False


def draw_scene(kind: str, seed, easy: bool = False) -> Scene:
    """The scene of a kind that a seed gives."""
    if kind not in _DRAWS:
        raise UnknownName(f"No scene of kind {kind!r}. {nearest(str(kind), list(_DRAWS))}.")
    chance = Chance(f"{kind}:{seed}")
    chance.easy = easy
    scene = _DRAWS[kind](chance)
    questions = list(scene.questions)
    absent = _absent(scene, chance)
    if absent:
        questions.append(absent)
    chance.shuffle(questions)
    return Scene(scene.kind, scene.canvases, scene.reading, tuple(questions))


def word(chance: Chance, least: int, most: int) -> str:
    """A word that no list holds, and that can be said."""
    length = chance.randint(least, most)
    sounds = ["bcdfghjklmnprstvwz", "aeiou"]
    first = chance.randrange(2)
    letters = "".join(chance.choice(sounds[(first + place) % 2]) for place in range(length))
    if chance.random() < 0.1:
        letters = "".join(chance.choice("abcdefghijkmnopqrstuvwxyz") for _ in range(length))
    return letters.upper() if chance.random() < 0.2 else letters.capitalize()


def labels(chance: Chance, number: int, most: int, pool: tuple[str, ...] = THINGS) -> list[str]:
    """So many different labels of at most so many letters: months, days, letters, a list's, or made up."""
    if chance.easy:
        return chance.sample(LETTERS, number)
    draw = chance.random()
    known = [one for one in pool if len(one) <= most]
    if draw < 0.15:
        start = chance.randrange(12)
        return [MONTHS[(start + place) % 12] for place in range(number)]
    if draw < 0.30:
        return list(DAYS[:number]) if number <= 7 else []
    if draw < 0.37 and number <= 4:
        return list(QUARTERS[:number])
    if draw < 0.57:
        return chance.sample(LETTERS, number)
    if draw < 0.85 and len(known) >= number:
        return chance.sample(known, number)
    found: list[str] = []
    while len(found) < number:
        made = word(chance, 1 if most < 3 else 2, most)
        if made.lower() not in {one.lower() for one in found}:  # a question may be typed without capitals
            found.append(made)
    return found


def _rows(chance: Chance, number: int, values: list[int], repeat: bool = True) -> list[Row]:
    most = {2: 5, 3: 5, 4: 4}.get(number, 3)
    names, palette = labels(chance, number, most), list(COLOURS)
    same = repeat and chance.random() < 0.15
    colours = [chance.choice(palette)] * number if same else chance.sample(palette, number)
    return [Row(*row) for row in zip(names, values, colours, strict=True)]


def _printed(chance: Chance, number: int) -> list[int]:
    return chance.sample(range(100, 1000) if chance.random() < 0.06 and number < 5 else range(1, 100), number)


def _style(chance: Chance) -> Style:
    return Style.drawn(chance, chance.choice((*THINGS, *GOODS)) if chance.random() < 0.15 else "")


def _bars(chance: Chance) -> Scene:
    number = chance.randint(2, 5)
    return scenes.bars(_rows(chance, number, _printed(chance, number)), _style(chance))


def _heights(chance: Chance) -> Scene:
    number = chance.randint(2, 5)
    values = chance.sample(range(5, 101, 5), number)
    return scenes.bars(_rows(chance, number, values), _style(chance), printed=False)


def _in_a_line(chance: Chance, values: list[int]) -> list[int]:
    way = chance.randrange(3)
    return values if way == 2 else sorted(values, reverse=bool(way))


def _line(chance: Chance) -> Scene:
    number = chance.randint(3, 5)
    return scenes.line(_rows(chance, number, _in_a_line(chance, _printed(chance, number))), _style(chance))


def _curve(chance: Chance) -> Scene:
    number = chance.randint(3, 5)
    values = _in_a_line(chance, chance.sample(range(5, 101, 5), number))
    return scenes.line(_rows(chance, number, values), _style(chance), printed=False)


def _shares(chance: Chance, number: int) -> list[int]:
    """Different percents in steps of 5, each large enough to be seen."""
    while True:
        cuts = sorted(chance.sample(range(2, 19), number - 1))
        parts = [5 * (end - begin) for begin, end in zip([0, *cuts], [*cuts, 20], strict=True)]
        if len(set(parts)) == number and min(parts) >= 10:
            return parts


def _pie(chance: Chance) -> Scene:
    values = _shares(chance, chance.randint(2, 4))
    rows, style = _rows(chance, len(values), values, repeat=False), _style(chance)
    return scenes.pie(rows, style, chance.choice(("legend", "slices")))


def _wedges(chance: Chance) -> Scene:
    values = _shares(chance, chance.randint(2, 4))
    return scenes.pie(_rows(chance, len(values), values, repeat=False), _style(chance), "")


def _receipt(chance: Chance) -> Scene:
    number = chance.randint(2, 4)
    names = (
        chance.sample(GOODS, number) if not chance.easy and chance.random() < 0.5 else labels(chance, number, 6, GOODS)
    )
    prices = chance.sample([5 * step for step in range(5, 200)], number)
    return scenes.receipt(list(zip(names, prices, strict=True)), _style(chance))


def _table(chance: Chance) -> Scene:
    number = chance.randint(2, 5)
    names = (
        chance.sample(NAMES, number) if not chance.easy and chance.random() < 0.5 else labels(chance, number, 6, NAMES)
    )
    heads = (chance.choice(HEADS), chance.choice(COLUMNS))
    style = Style.drawn(chance)
    return scenes.table(heads, list(zip(names, chance.sample(range(1, 100), number), strict=True)), style)


def _text(chance: Chance) -> Scene:
    if chance.easy:
        short = "".join(chance.choice(CODE) for _ in range(chance.randint(1, 3)))
        return scenes.text([short], Style.drawn(chance, sizes=(22, 40)))

    def one() -> str:
        draw = chance.random()
        if draw < 0.3:
            return "".join(chance.choice(CODE) for _ in range(chance.randint(3, 5)))
        if draw < 0.5:
            return str(chance.randint(0, 10 ** chance.randint(1, 5) - 1))
        if draw < 0.65:
            return chance.choice((*SIGNS, *GOODS, *NAMES, *THINGS))
        return word(chance, 2, 6)

    return scenes.text([one() for _ in range(chance.choice((1, 1, 2)))], Style.drawn(chance, sizes=(18, 34)))


def _shapes(chance: Chance) -> Scene:
    places = chance.sample(range(9), chance.randint(1, 6))
    palette = chance.sample(list(COLOURS), 3)
    these = [Shape(chance.choice(FORMS_OF_SHAPES), chance.choice(palette), place) for place in places]
    return scenes.shapes(these, Style.drawn(chance))


def _pair(chance: Chance) -> Scene:
    number = chance.randint(2, 3)
    first = _rows(chance, number, chance.sample(range(1, 100), number))
    second = []
    for row in first:
        value = chance.randint(1, 99)
        second.append(Row(row.label, value if value != row.value else value % 99 + 1, row.colour))
    return scenes.pair(first, second, Style.drawn(chance))


def _counter(chance: Chance) -> Scene:
    numbers = chance.sample(range(0, 10 ** chance.randint(1, 3)), chance.randint(2, 4))
    numbers.sort(reverse=chance.random() < 0.5)
    return scenes.counter(numbers, Style.drawn(chance, sizes=(24, 44)))


def _moving(chance: Chance) -> Scene:
    shape = Shape(chance.choice(FORMS_OF_SHAPES), chance.choice(list(COLOURS)), 0)
    number, at = chance.randint(2, 3), chance.randrange(3)
    stops = [3 * at + stop for stop in range(3)] if chance.random() < 0.5 else [at + 3 * stop for stop in range(3)]
    stops = stops if number == 3 else chance.choice((stops[:2], stops[1:], [stops[0], stops[2]]))
    places = stops[::-1] if chance.random() < 0.5 else stops
    return scenes.moving(shape, [places[0]] * number if chance.random() < 0.1 else places, Style.drawn(chance))


def _absent(scene: Scene, chance: Chance) -> Question | None:
    """Sometimes a question about what isn't in the picture; its answer says so."""
    asked = [one for one in scene.questions if one.form.split("/")[1] in ("value", "colour", "price")]
    if not asked or scene.kind in ("pair", "shapes", "moving") or chance.random() > 0.3:
        return None
    model, known = chance.choice(asked), {value for one in asked for value in one.values}
    other = chance.choice(labels(chance, 3, 6))
    return None if other in known else Question(model.form, (other,), ABSENT)


_DRAWS = {
    "bars": _bars, "heights": _heights, "line": _line, "curve": _curve, "pie": _pie, "wedges": _wedges,
    "receipt": _receipt, "table": _table, "text": _text, "shapes": _shapes, "pair": _pair, "counter": _counter,
    "moving": _moving,
}  # fmt: skip
KINDS = tuple(_DRAWS)
