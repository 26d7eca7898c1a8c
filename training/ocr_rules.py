"""The opponent that only reads: RapidOCR finds the text of a picture, and a rule for each form of question answers.

The rules are as good as its author could make them from text and places alone; None is "it can't be answered so".
"""

import re

from course.drawn.canvas import SIDE
from course.drawn.questions import ABSENT, Question, Scene
from course.ocr import Line, Page, read_text

NUMBER = re.compile(r"^\d+(\.\d+)?%?$")


def answer(pages: list[Page], question: Question) -> str | None:
    """What the rules answer, from the text of each picture."""
    if not has_rule(question):
        return None
    kind, form = question.form.split("/")
    if kind == "text":
        return " / ".join(" ".join(line.text for line in row) for row in pages[0].rows)
    if kind == "counter":
        return _about_counter(form, [_numbers(page) for page in pages])
    if kind == "pair":
        return _about_pair(form, [dict(_columns(page)) for page in pages], question.values)
    if kind in ("receipt", "table"):
        return _about_rows(form, _by_rows(pages[0], heads=kind == "table"), question.values)
    if kind in ("bars", "line"):
        return _about_values(form, _columns(pages[0]), question.values)
    if kind == "pie":
        return _about_pie(form, pages[0], question.values)
    if kind in ("heights", "curve", "wedges"):
        return _about_names(form, _names(pages[0], kind), question.values)
    return str(len(pages))  # frames; of shapes and movement there is no text


def has_rule(question: Question) -> bool:
    """Whether text and places can tell the answer: not what is a colour, a height, a shape or a movement."""
    kind, form = question.form.split("/")
    if kind in ("heights", "curve", "wedges"):
        return form == "count" or (form == "value" and question.answer == ABSENT)
    return kind != "shapes" and form not in ("colour", "which") and (kind != "moving" or form == "frames")


def pages_of(scene: Scene) -> list[Page]:
    return [read_text(picture) for picture in scene.pictures]


def _numbers(page: Page) -> list[str]:
    return [line.text for line in page if NUMBER.match(line.text)]


def _split(page: Page) -> list[Line]:
    """The lines with those that hold several words, as the labels under bars, taken apart by their share of the box."""
    found = []
    for line in page:
        words, whole, at = line.text.split(), max(1, len(line.text)), 0
        for word in words:
            begin = line.text.index(word, at)
            at = begin + len(word)
            wide = (line.right - line.left) / whole
            box = (line.left + begin * wide, line.top, line.left + at * wide, line.bottom)
            found.append(Line(word, *box, line.score))
    return found


def _columns(page: Page) -> list[tuple[str, str]]:
    """Label and value of each bar or point: the lowest row of words, and the number nearest above each."""
    lines = _split(page)
    labels = sorted(_lowest(_words(lines)), key=lambda line: line.left)
    numbers = [line for line in lines if NUMBER.match(line.text)]
    pairs = []
    for label in labels:
        nearest = min(numbers, key=lambda line: abs(line.middle[0] - label.middle[0]), default=None)
        if nearest:
            pairs.append((label.text, nearest.text))
    return pairs


def _names(page: Page, kind: str) -> list[str]:
    """The labels of a chart: the lowest row of words, or what stands in a pie's legend."""
    words = _words(_split(page))
    if kind in ("pie", "wedges"):
        return [line.text for line in words if line.middle[0] < SIDE * 0.75 and line.middle[1] > SIDE / 2]
    return [line.text for line in _lowest(words)]


def _words(lines: list[Line]) -> list[Line]:
    return [line for line in lines if not NUMBER.match(line.text)]


def _lowest(words: list[Line]) -> list[Line]:
    """Those of the lowest row."""
    floor = max((line.middle[1] for line in words), default=0)
    return [line for line in words if line.middle[1] > floor - 8]


def _about_names(form: str, names: list[str], values: tuple[str, ...]) -> str | None:
    """A count, or that something isn't there: all that labels alone can tell."""
    if form == "count":
        return str(len(names))
    return ABSENT if form == "value" and values[0] not in names else None


def _about_pie(form: str, page: Page, values: tuple[str, ...]) -> str | None:
    """From the legend; where it has names alone, and the percents are on the slices, text can't bring them together."""
    names = _names(page, "pie")
    pairs = [(name, number) for name, number in _by_rows(page, heads=False) if name in names]
    if form == "count" or not pairs:
        return _about_names(form, names, values)
    return _about_values(form, pairs, values)


def _by_rows(page: Page, heads: bool) -> list[tuple[str, str]]:
    """First and last piece of each row that has both."""
    rows = [row for row in page.rows if len(row) > 1][1 if heads else 0 :]
    return [(row[0].text, row[-1].text.rstrip("%")) for row in rows]


def _value(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _about_values(form: str, pairs: list[tuple[str, str]], values: tuple[str, ...]) -> str | None:
    known = {label: number.rstrip("%") for label, number in pairs}
    if form == "count":
        return str(len(known))
    if form == "value":
        return known.get(values[0], ABSENT)
    if not known:
        return None
    ordered = sorted(known, key=lambda label: _value(known[label]))
    if form in ("largest", "smallest"):
        return ordered[-1 if form == "largest" else 0]
    if form == "compare":
        first, second = (known.get(value) for value in values)
        return None if first is None or second is None else "yes" if _value(first) > _value(second) else "no"
    numbers = [_value(number) for number in known.values()]
    return "rising" if numbers == sorted(numbers) else "falling" if numbers[::-1] == sorted(numbers) else "up and down"


def _about_rows(form: str, pairs: list[tuple[str, str]], values: tuple[str, ...]) -> str | None:
    total = next((number for name, number in pairs if name.upper() == "TOTAL"), None)
    items = {name: number for name, number in pairs if name.upper() != "TOTAL"}
    if form == "total":
        return total
    if form == "count":
        return str(len(items))
    if form in ("price", "value"):
        return items.get(values[0], ABSENT)
    if form == "who":
        return next((name for name, number in items.items() if number == values[0]), None)
    ordered = sorted(items, key=lambda name: _value(items[name]))
    return (ordered[0 if form == "cheapest" else -1]) if ordered else None


def _about_pair(form: str, pictures: list[dict[str, str]], values: tuple[str, ...]) -> str | None:
    if form == "value":
        return pictures[int(values[1]) - 1].get(values[0], ABSENT)
    first, second = (_value(picture.get(values[0], "")) for picture in pictures)
    return "1" if first > second else "2"


def _about_counter(form: str, frames: list[list[str]]) -> str | None:
    numbers = [frame[0] for frame in frames if frame]
    if form == "frames":
        return str(len(frames))
    if not numbers:
        return None
    if form in ("first", "last"):
        return numbers[0 if form == "first" else -1]
    return "rising" if _value(numbers[-1]) > _value(numbers[0]) else "falling"
