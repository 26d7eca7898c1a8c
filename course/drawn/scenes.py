"""Pictures with questions whose answers are known, because the picture was drawn from them.

`bars`, `line`, `pie`, ... make a scene from what you give; `draw` makes one of a kind from a seed. Every scene carries
its truth: the reading (the picture written out as text) and its questions with their answers.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from course.drawn import pictures
from course.drawn.canvas import Canvas, Style
from course.drawn.pictures import FORMS_OF_SHAPES, PLACES, Row, Shape
from course.drawn.questions import Question, Scene
from slmlab.errors import BadRequest

PLAIN, LARGE, HUGE = Style(), Style(size=24), Style(size=40)


class Entry(NamedTuple):
    """A row of a chart or a paper, and how its reading says it: ("Milk", 120, "1.20", "Milk 1.20")."""

    name: str
    value: int
    printed: str
    reading: str


def bars(rows: Sequence[Row], style: Style = PLAIN, printed: bool = True) -> Scene:
    """A bar chart, with its values printed or beside an axis."""
    return _coloured("bars" if printed else "heights", rows, pictures.draw_bars(rows, style, printed))


def pie(rows: Sequence[Row], style: Style = PLAIN, printed: str = "legend") -> Scene:
    """A pie over its legend, with percents in the legend, on the slices, or none."""
    return _coloured("pie" if printed else "wedges", rows, pictures.draw_pie(rows, style, printed))


def line(rows: Sequence[Row], style: Style = PLAIN, printed: bool = True) -> Scene:
    """A line through points, with their values printed or beside an axis."""
    kind, entries, values = "line" if printed else "curve", _plain(rows), [row.value for row in rows]
    trend = "rising" if values == sorted(values) else "falling" if values[::-1] == sorted(values) else "up and down"
    questions = _about_entries(kind, entries)
    if len(set(values)) > 1:
        questions.append(Question(f"{kind}/trend", (), trend, " ".join(map(str, values))))
    canvas = pictures.draw_line(rows, style, printed)
    return Scene(kind, (canvas,), _reading(entries), tuple(questions))


def receipt(items: Sequence[tuple[str, int]], style: Style = PLAIN) -> Scene:
    """A receipt of names and prices in cents, with its total."""
    entries = _once([Entry(name, cents, _price(cents), f"{name} {_price(cents)}") for name, cents in items])
    total = _price(sum(cents for _, cents in items))
    questions = (
        Question("receipt/total", (), total, f"TOTAL {total}"),
        Question("receipt/count", (), str(len(items))),
        *_extreme("receipt/dearest", max, entries),
        *_extreme("receipt/cheapest", min, entries),
        *(Question("receipt/price", (entry.name,), entry.printed, entry.reading) for entry in entries),
    )
    canvas = pictures.draw_receipt([(entry.name, entry.printed) for entry in entries], total, style)
    return Scene("receipt", (canvas,), f"{_reading(entries)}, TOTAL {total}", questions)


def table(heads: tuple[str, str], rows: Sequence[tuple[str, int]], style: Style = PLAIN) -> Scene:
    """Two columns: names and numbers, under their headings."""
    entries = _once([Entry(name, number, str(number), f"{name} {number}") for name, number in rows])
    numbers = [number for _, number in rows]
    questions = [Question("table/count", (), str(len(rows))), *_extreme("table/largest", max, entries)]
    questions += [Question("table/value", (entry.name,), entry.printed, entry.reading) for entry in entries]
    for at, entry in enumerate(entries):
        if numbers.count(entry.value) == 1:
            found = _up_to(entry.printed, entries, at)
            questions.append(Question("table/who", (entry.printed,), entry.name, found))
    canvas = pictures.draw_table(heads, [(entry.name, entry.printed) for entry in entries], style)
    return Scene("table", (canvas,), f"{heads[0]} {heads[1]}: {_reading(entries)}", tuple(questions))


def text(lines: Sequence[str], style: Style = LARGE) -> Scene:
    """Plain lines: a word, a code, a number. What it says is the whole answer."""
    questions = (Question("text/read", (), " / ".join(lines)),)
    return Scene("text", (pictures.draw_lines(lines, style),), "", questions)


def shapes(these: Sequence[Shape], style: Style = PLAIN) -> Scene:
    """Coloured shapes on nine places."""
    these = sorted(these, key=lambda shape: shape.place)
    forms = [shape.form for shape in these]
    questions = [Question("shapes/count", (), str(len(these)))]
    for trait, values in (("form", FORMS_OF_SHAPES), ("colour", sorted({shape.colour for shape in these}))):
        for value in values:
            some = [shape for shape in these if getattr(shape, trait) == value]
            found = f"{value}: {_shapes(some)}".rstrip()
            questions.append(Question(f"shapes/count {trait}", (value,), str(len(some)), found))
    for shape in these:
        if forms.count(shape.form) == 1:
            questions.append(Question("shapes/colour", (shape.form,), shape.colour, _shapes([shape])))
    return Scene("shapes", (pictures.draw_shapes(these, style),), _shapes(these), tuple(questions))


def pair(first: Sequence[Row], second: Sequence[Row], style: Style = PLAIN) -> Scene:
    """Two bar charts with the same labels, to be compared."""
    if [row.label for row in first] != [row.label for row in second]:
        raise BadRequest("Two charts are compared label by label: give both the same labels in the same order.")
    earlier, later, questions = _plain(first), _plain(second), []
    for before, after in zip(earlier, later, strict=True):
        found = (f"1: {before.reading}", f"2: {after.reading}")
        if before.value != after.value:
            larger = "1" if before.value > after.value else "2"
            questions.append(Question("pair/larger", (before.name,), larger, "; ".join(found)))
        for at, entry, reading in zip("12", (before, after), found, strict=True):
            questions.append(Question("pair/value", (entry.name, at), entry.printed, reading))
    canvases = tuple(pictures.draw_bars(rows, style) for rows in (first, second))
    return Scene("pair", canvases, f"1: {_reading(earlier)}; 2: {_reading(later)}", tuple(questions))


def counter(numbers: Sequence[int], style: Style = HUGE) -> Scene:
    """Frames of a display that shows one number after the other."""
    first, last, questions = numbers[0], numbers[-1], []
    if first != last:
        questions.append(Question("counter/trend", (), "rising" if last > first else "falling", f"{first}; {last}"))
    questions.append(Question("counter/frames", (), str(len(numbers))))
    questions += [Question("counter/last", (), str(last)), Question("counter/first", (), str(first))]
    canvases = tuple(pictures.draw_lines([str(number)], style) for number in numbers)
    return Scene("counter", canvases, "; ".join(map(str, numbers)), tuple(questions))


def moving(shape: Shape, places: Sequence[int], style: Style = PLAIN) -> Scene:
    """Frames in which one shape goes from place to place, along a row or a column."""
    first, last = places[0], places[-1]
    ways = ("left", "right") if first // 3 == last // 3 else ("up", "down")
    way = "nowhere" if first == last else ways[last > first]
    questions = (
        Question("moving/way", (), way, f"{PLACES[first]}; {PLACES[last]}"),
        Question("moving/colour", (), shape.colour),
        Question("moving/last", (), PLACES[last]),
        Question("moving/frames", (), str(len(places))),
    )
    canvases = tuple(pictures.draw_shapes([Shape(shape.form, shape.colour, place)], style) for place in places)
    reading = f"{shape.colour} {shape.form}: " + "; ".join(PLACES[place] for place in places)
    return Scene("moving", canvases, reading, questions)


def _plain(rows: Sequence[Row]) -> list[Entry]:
    return _once([Entry(row.label, row.value, str(row.value), f"{row.label} {row.value}") for row in rows])


def _once(entries: list[Entry]) -> list[Entry]:
    """The entries; with a name that stands twice a question about it would have two answers."""
    names = [entry.name for entry in entries]
    if len(set(names)) < len(names):
        raise BadRequest(f"Each row wants a name of its own, not {', '.join(names)}.")
    return entries


def _coloured(kind: str, rows: Sequence[Row], canvas: Canvas) -> Scene:
    """A chart in which each row has a colour of its own that can be asked for."""
    entries = [Entry(row.label, row.value, str(row.value), f"{row.label} {row.colour} {row.value}") for row in rows]
    colours = [row.colour for row in rows]
    questions = _about_entries(kind, _once(entries))
    for entry, colour in zip(entries, colours, strict=True):
        questions.append(Question(f"{kind}/colour", (entry.name,), colour, entry.reading))
    for at, colour in enumerate(colours):
        if colours.count(colour) == 1:
            found = _up_to(colour, entries, at)
            questions.append(Question(f"{kind}/which", (colour,), entries[at].name, found))
    return Scene(kind, (canvas,), _reading(entries), tuple(questions))


def _about_entries(kind: str, entries: Sequence[Entry]) -> list[Question]:
    """The questions that every chart of labels and values answers."""
    questions = [
        Question(f"{kind}/count", (), str(len(entries))),
        *_extreme(f"{kind}/largest", max, entries),
        *_extreme(f"{kind}/smallest", min, entries),
        *(Question(f"{kind}/value", (entry.name,), entry.printed, entry.reading) for entry in entries),
    ]
    for one, other in zip(entries, [*entries[1:], entries[0]], strict=True):
        if one.value != other.value:
            answer = "yes" if one.value > other.value else "no"
            questions.append(Question(f"{kind}/compare", (one.name, other.name), answer, _reading([one, other])))
    return questions


def _extreme(form: str, pick: Callable, entries: Sequence[Entry]) -> list[Question]:
    """Which entry has the largest or smallest value; no question where several have it."""
    values = [entry.value for entry in entries]
    at = values.index(pick(values))
    if values.count(values[at]) > 1:
        return []
    return [Question(form, (), entries[at].name, _up_to(entries[at].printed, entries, at))]


def _up_to(wanted: str, entries: Sequence[Entry], at: int) -> str:
    """What is looked for, and the entries up to the one that has it: how one finds the name of a value."""
    return f"{wanted}: {_reading(entries[: at + 1])}"


def _reading(entries: Sequence[Entry]) -> str:
    return ", ".join(entry.reading for entry in entries)


def _shapes(these: Sequence[Shape]) -> str:
    return ", ".join(f"{shape.colour} {shape.form}" for shape in these)


def _price(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d}"
