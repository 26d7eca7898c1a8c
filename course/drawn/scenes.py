"""Pictures with questions whose answers are known, because the picture was drawn from them.

`bars`, `line`, `pie`, ... make a scene from what you give; `draw_scene` makes one of a kind from a seed. Every scene
carries its truth: the reading (the picture written out as text) and its questions with their answers.
"""

from collections.abc import Callable, Sequence

from course.drawn.canvas import Style
from course.drawn.charts import Row, draw_bars, draw_line, draw_pie
from course.drawn.papers import (
    FORMS_OF_SHAPES,
    PLACES,
    Shape,
    draw_lines,
    draw_receipt,
    draw_shapes,
    draw_table,
)
from course.drawn.questions import Question, Scene
from slmlab.errors import BadRequest
from slmlab.plots.style import listed


def bars(rows: Sequence[Row], style: Style | None = None, printed: bool = True) -> Scene:
    """A bar chart, with its values printed or beside an axis."""
    rows, style, kind = _labelled(rows), style or Style(), "bars" if printed else "heights"
    questions = [*_about_rows(kind, rows, _coloured), *_about_colours(kind, rows)]
    return Scene(kind, (draw_bars(rows, style, printed),), _coloured(rows), tuple(questions))


def line(rows: Sequence[Row], style: Style | None = None, printed: bool = True) -> Scene:
    """A line through points, with their values printed or beside an axis."""
    rows, style, kind = _labelled(rows), style or Style(), "line" if printed else "curve"
    values = [row.value for row in rows]
    trend = "rising" if values == sorted(values) else "falling" if values[::-1] == sorted(values) else "up and down"
    questions = _about_rows(kind, rows, _plain)
    if len(set(values)) > 1:
        questions.append(Question(f"{kind}/trend", (), trend, " ".join(map(str, values))))
    return Scene(kind, (draw_line(rows, style, printed),), _plain(rows), tuple(questions))


def pie(rows: Sequence[Row], style: Style | None = None, printed: str = "legend") -> Scene:
    """A pie over its legend, with percents in the legend, on the slices, or none."""
    rows, style, kind = _labelled(rows), style or Style(), "pie" if printed else "wedges"
    questions = [*_about_rows(kind, rows, _coloured), *_about_colours(kind, rows)]
    return Scene(kind, (draw_pie(rows, style, printed),), _coloured(rows), tuple(questions))


def receipt(items: Sequence[tuple[str, int]], style: Style | None = None) -> Scene:
    """A receipt of names and prices in cents, with its total."""
    items = _named(items, "pair of a name and its price in cents")
    lines = [(name, _price(cents)) for name, cents in items]
    prices = [cents for _, cents in items]
    total = _price(sum(prices))
    questions = [
        Question("receipt/total", (), total, f"TOTAL {total}"), Question("receipt/count", (), str(len(items))),
        *_most("receipt/dearest", max, prices, lines, lines, _listed),
        *_most("receipt/cheapest", min, prices, lines, lines, _listed),
        *(Question("receipt/price", (name,), price, _listed([(name, price)])) for name, price in lines),
    ]  # fmt: skip
    reading = _listed([*lines, ("TOTAL", total)])
    return Scene("receipt", (draw_receipt(lines, total, style or Style()),), reading, tuple(questions))


def table(heads: tuple[str, str], rows: Sequence[tuple[str, int]], style: Style | None = None) -> Scene:
    """Two columns: names and numbers, under their headings."""
    rows = _named(rows, "pair of a name and its number")
    lines = [(name, str(number)) for name, number in rows]
    numbers = [number for _, number in rows]
    questions = [
        Question("table/count", (), str(len(rows))),
        *_most("table/largest", max, numbers, lines, lines, _listed),
        *(Question("table/value", (name,), number, _listed([(name, number)])) for name, number in lines),
        *(
            Question("table/who", (line[1],), line[0], _until(line[1], line, lines, _listed))
            for line, number in zip(lines, numbers, strict=True)
            if numbers.count(number) == 1
        ),
    ]
    reading = f"{heads[0]} {heads[1]}: {_listed(lines)}"
    return Scene("table", (draw_table(heads, lines, style or Style()),), reading, tuple(questions))


def text(lines: Sequence[str], style: Style | None = None) -> Scene:
    """Plain lines: a word, a code, a number. What it says is the whole answer."""
    lines = listed(lines, "line of text")
    questions = (Question("text/read", (), " / ".join(lines)),)
    return Scene("text", (draw_lines(lines, style or Style(size=24)),), "", questions)


def shapes(these: Sequence[Shape], style: Style | None = None) -> Scene:
    """Coloured shapes on nine places."""
    these = sorted(listed(these, "Shape"), key=lambda shape: shape.place)
    forms = [shape.form for shape in these]
    alone = [shape for shape in these if forms.count(shape.form) == 1]
    questions = [Question("shapes/count", (), str(len(these)))]
    for trait, known in (("form", FORMS_OF_SHAPES), ("colour", sorted({shape.colour for shape in these}))):
        for one in known:
            some = [shape for shape in these if getattr(shape, trait) == one]
            found = f"{one}: {_shapes(some)}".rstrip()
            questions.append(Question(f"shapes/count {trait}", (one,), str(len(some)), found))
    questions += [Question("shapes/colour", (shape.form,), shape.colour, _shapes([shape])) for shape in alone]
    return Scene("shapes", (draw_shapes(these, style or Style()),), _shapes(these), tuple(questions))


def pair(first: Sequence[Row], second: Sequence[Row], style: Style | None = None) -> Scene:
    """Two bar charts with the same labels, to be compared."""
    first, second, style, questions = _labelled(first), _labelled(second), style or Style(), []
    if [row.label for row in first] != [row.label for row in second]:
        raise BadRequest("Two charts are compared label by label: give both the same labels in the same order.")
    for before, after in zip(first, second, strict=True):
        label, told = before.label, (f"1: {_plain([before])}", f"2: {_plain([after])}")
        if before.value != after.value:
            larger = "1" if before.value > after.value else "2"
            questions.append(Question("pair/larger", (label,), larger, "; ".join(told)))
        for at, row, said in zip("12", (before, after), told, strict=True):
            questions.append(Question("pair/value", (label, at), str(row.value), said))
    canvases = (draw_bars(first, style), draw_bars(second, style))
    return Scene("pair", canvases, f"1: {_plain(first)}; 2: {_plain(second)}", tuple(questions))


def counter(numbers: Sequence[int], style: Style | None = None) -> Scene:
    """Frames of a display that shows one number after the other."""
    numbers = listed(numbers, "number")
    trend = "rising" if numbers[-1] > numbers[0] else "falling"
    trends = [Question("counter/trend", (), trend, f"{numbers[0]}; {numbers[-1]}")]
    questions = (
        *(trends if numbers[0] != numbers[-1] else []), Question("counter/frames", (), str(len(numbers))),
        Question("counter/last", (), str(numbers[-1])), Question("counter/first", (), str(numbers[0])),
    )  # fmt: skip
    canvases = tuple(draw_lines([str(number)], style or Style(size=40)) for number in numbers)
    return Scene("counter", canvases, "; ".join(map(str, numbers)), questions)


def moving(shape: Shape, places: Sequence[int], style: Style | None = None) -> Scene:
    """Frames in which one shape goes from place to place, along a row or a column."""
    places = listed(places, "place")
    begin, end = places[0], places[-1]
    ways = ("left", "right") if begin // 3 == end // 3 else ("up", "down")
    way = "nowhere" if begin == end else ways[end > begin]
    questions = (
        Question("moving/way", (), way, f"{PLACES[begin]}; {PLACES[end]}"), Question("moving/colour", (), shape.colour),
        Question("moving/last", (), PLACES[end]), Question("moving/frames", (), str(len(places))),
    )  # fmt: skip
    canvases = tuple(draw_shapes([Shape(shape.form, shape.colour, place)], style or Style()) for place in places)
    reading = f"{shape.colour} {shape.form}: " + "; ".join(PLACES[place] for place in places)
    return Scene("moving", canvases, reading, questions)


def _labelled(rows: Sequence[Row]) -> list[Row]:
    rows = listed(rows, "Row")
    _each_once([row.label for row in rows])
    return rows


def _named(lines: Sequence[tuple[str, int]], what: str) -> list[tuple[str, int]]:
    lines = listed(lines, what)
    _each_once([name for name, _ in lines])
    return lines


def _each_once(names: list[str]) -> None:
    """Refuses a name that comes twice: nobody could ask about one of them."""
    if len(set(names)) < len(names):
        raise BadRequest(f"A name comes twice: {', '.join(names)}.")


def _about_rows(kind: str, rows: Sequence[Row], told: Callable) -> list[Question]:
    """The questions that every chart of labels and values answers; `told` is how its reading says some rows."""
    values, lines = [row.value for row in rows], _lines(rows)
    questions = [
        Question(f"{kind}/count", (), str(len(rows))),
        *_most(f"{kind}/largest", max, values, lines, rows, told),
        *_most(f"{kind}/smallest", min, values, lines, rows, told),
        *(Question(f"{kind}/value", (row.label,), str(row.value), told([row])) for row in rows),
    ]
    for one, other in zip(rows, [*rows[1:], rows[0]], strict=True):
        if one.value != other.value:
            answer = "yes" if one.value > other.value else "no"
            questions.append(Question(f"{kind}/compare", (one.label, other.label), answer, told([one, other])))
    return questions


def _about_colours(kind: str, rows: Sequence[Row]) -> list[Question]:
    colours = [row.colour for row in rows]
    alone = [row for row in rows if colours.count(row.colour) == 1]
    return [
        *(Question(f"{kind}/colour", (row.label,), row.colour, _coloured([row])) for row in rows),
        *(
            Question(f"{kind}/which", (row.colour,), row.label, _until(row.colour, row, rows, _coloured))
            for row in alone
        ),
    ]


def _most(form: str, pick: Callable, values: Sequence[int], lines: Sequence[tuple], rows: Sequence, told: Callable):
    """Which of the lines, names and what is printed of their values, has the largest or smallest value, looked for in
    the rows as `told` says them; no question where several have."""
    value = pick(values)
    if values.count(value) > 1:
        return []
    at = values.index(value)
    name, printed = lines[at]
    return [Question(form, (), name, _until(printed, rows[at], rows, told))]


def _until(wanted: object, row, rows: Sequence, told: Callable) -> str:
    """What is looked for, and the rows up to the one that has it: how one finds the name before a colour or a value."""
    return f"{wanted}: {told(rows[: rows.index(row) + 1])}"


def _listed(lines: Sequence[tuple]) -> str:
    return ", ".join(f"{name} {number}" for name, number in lines)


def _coloured(rows: Sequence[Row]) -> str:
    return ", ".join(f"{row.label} {row.colour} {row.value}" for row in rows)


def _plain(rows: Sequence[Row]) -> str:
    return _listed(_lines(rows))


def _lines(rows: Sequence[Row]) -> list[tuple[str, int]]:
    return [(row.label, row.value) for row in rows]


def _shapes(these: Sequence[Shape]) -> str:
    return ", ".join(f"{shape.colour} {shape.form}" for shape in these)


def _price(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d}"
