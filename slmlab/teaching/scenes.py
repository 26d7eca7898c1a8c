"""Pictures with questions whose answers are known, because the picture was drawn from them.

`bars`, `line`, `pie`, ... make a scene from what you give; `draw_scene` makes one of a kind from a seed. Every scene
carries its truth: the reading (the picture written out as text) and its questions with their answers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from slmlab.teaching.canvas import Canvas, Style
from slmlab.teaching.chart_pictures import Row, draw_bars, draw_line, draw_pie
from slmlab.teaching.paper_pictures import PLACES, Shape, draw_lines, draw_receipt, draw_shapes, draw_table

ARROW = " => "  # between what a model reads and what it answers
ABSENT = "not there"


@dataclass(frozen=True)
class Question:
    """A question of a form, 'bars/value', its values filled in, and its answer."""

    form: str
    values: tuple[str, ...]
    answer: str

    @property
    def text(self) -> str:
        return WORDINGS[self.form][0].format(*self.values)

    @property
    def wordings(self) -> tuple[str, ...]:
        return tuple(wording.format(*self.values) for wording in WORDINGS[self.form])


@dataclass(frozen=True, eq=False)
class Scene:
    """One picture or several, what they say, and what can be asked."""

    kind: str
    canvases: tuple[Canvas, ...]
    reading: str
    questions: tuple[Question, ...]

    @property
    def pictures(self) -> list:
        return [canvas.image for canvas in self.canvases]

    def reply_to(self, question: Question) -> str:
        """What a model should write: the reading, then the answer; the answer alone where it is the reading."""
        return f"{self.reading}{ARROW}{question.answer}" if self.reading else question.answer


def answer_of(reply: str) -> str:
    """The answer at the end of what a model wrote, without its reading."""
    return reply.rsplit(ARROW.strip(), 1)[-1].strip()


def reading_of(reply: str) -> str:
    """What a model wrote down of the picture before it answered; '' if it answered at once."""
    return reply.rsplit(ARROW.strip(), 1)[0].strip() if ARROW.strip() in reply else ""


def bars(rows: Sequence[Row], style: Style | None = None, printed: bool = True) -> Scene:
    """A bar chart, with its values printed or beside an axis."""
    style, kind = style or Style(), "bars" if printed else "heights"
    questions = [*_about_rows(kind, rows), *_about_colours(kind, rows)]
    return Scene(kind, (draw_bars(rows, style, printed),), _coloured(rows), tuple(questions))


def line(rows: Sequence[Row], style: Style | None = None, printed: bool = True) -> Scene:
    """A line through points, with their values printed or beside an axis."""
    style, kind = style or Style(), "line" if printed else "curve"
    values = [row.value for row in rows]
    trend = "rising" if values == sorted(values) else "falling" if values[::-1] == sorted(values) else "up and down"
    questions = [*_about_rows(kind, rows), Question(f"{kind}/trend", (), trend)]
    return Scene(kind, (draw_line(rows, style, printed),), _plain(rows), tuple(questions))


def pie(rows: Sequence[Row], style: Style | None = None, printed: str = "legend") -> Scene:
    """A pie over its legend, with percents in the legend, on the slices, or none."""
    style, kind = style or Style(), "pie" if printed else "wedges"
    questions = [*_about_rows(kind, rows), *_about_colours(kind, rows)]
    return Scene(kind, (draw_pie(rows, style, printed),), _coloured(rows), tuple(questions))


def receipt(items: Sequence[tuple[str, int]], style: Style | None = None) -> Scene:
    """A receipt of names and prices in cents, with its total."""
    lines = [(name, _price(cents)) for name, cents in items]
    total = _price(sum(cents for _, cents in items))
    dearest, cheapest = max(items, key=lambda item: item[1])[0], min(items, key=lambda item: item[1])[0]
    questions = [
        Question("receipt/total", (), total), Question("receipt/count", (), str(len(items))),
        Question("receipt/dearest", (), dearest), Question("receipt/cheapest", (), cheapest),
        *(Question("receipt/price", (name,), price) for name, price in lines),
    ]  # fmt: skip
    reading = ", ".join(f"{name} {price}" for name, price in [*lines, ("TOTAL", total)])
    return Scene("receipt", (draw_receipt(lines, total, style or Style()),), reading, tuple(questions))


def table(heads: tuple[str, str], rows: Sequence[tuple[str, int]], style: Style | None = None) -> Scene:
    """Two columns: names and numbers, under their headings."""
    lines = [(name, str(number)) for name, number in rows]
    questions = [
        Question("table/count", (), str(len(rows))),
        Question("table/largest", (), max(rows, key=lambda row: row[1])[0]),
        *(Question("table/value", (name,), number) for name, number in lines),
        *(Question("table/who", (number,), name) for name, number in lines),
    ]
    reading = f"{heads[0]} {heads[1]}: " + ", ".join(f"{name} {number}" for name, number in lines)
    return Scene("table", (draw_table(heads, lines, style or Style()),), reading, tuple(questions))


def text(lines: Sequence[str], style: Style | None = None) -> Scene:
    """Plain lines: a word, a code, a number. What it says is the whole answer."""
    questions = (Question("text/read", (), " / ".join(lines)),)
    return Scene("text", (draw_lines(lines, style or Style(size=24)),), "", questions)


def shapes(these: Sequence[Shape], style: Style | None = None) -> Scene:
    """Coloured shapes on nine places."""
    these = sorted(these, key=lambda shape: shape.place)
    forms, colours = [shape.form for shape in these], [shape.colour for shape in these]
    questions = [Question("shapes/count", (), str(len(these)))]
    questions += [Question("shapes/count form", (form,), str(forms.count(form))) for form in FORMS_OF_SHAPES]
    questions += [Question("shapes/count colour", (one,), str(colours.count(one))) for one in sorted(set(colours))]
    alone = [form for form in FORMS_OF_SHAPES if forms.count(form) == 1]
    questions += [Question("shapes/colour", (form,), colours[forms.index(form)]) for form in alone]
    reading = ", ".join(f"{shape.colour} {shape.form}" for shape in these)
    return Scene("shapes", (draw_shapes(these, style or Style()),), reading, tuple(questions))


def pair(first: Sequence[Row], second: Sequence[Row], style: Style | None = None) -> Scene:
    """Two bar charts with the same labels, to be compared."""
    style = style or Style()
    questions = []
    for before, after in zip(first, second, strict=True):
        questions.append(Question("pair/larger", (before.label,), "1" if before.value > after.value else "2"))
        for at, row in (("1", before), ("2", after)):
            questions.append(Question("pair/value", (row.label, at), str(row.value)))
    canvases = (draw_bars(first, style), draw_bars(second, style))
    return Scene("pair", canvases, f"1: {_plain(first)}; 2: {_plain(second)}", tuple(questions))


def counter(numbers: Sequence[int], style: Style | None = None) -> Scene:
    """Frames of a display that shows one number after the other."""
    trend = "rising" if numbers[-1] > numbers[0] else "falling"
    questions = (
        Question("counter/trend", (), trend), Question("counter/frames", (), str(len(numbers))),
        Question("counter/last", (), str(numbers[-1])), Question("counter/first", (), str(numbers[0])),
    )  # fmt: skip
    canvases = tuple(draw_lines([str(number)], style or Style(size=40)) for number in numbers)
    return Scene("counter", canvases, "; ".join(map(str, numbers)), questions)


def moving(shape: Shape, places: Sequence[int], style: Style | None = None) -> Scene:
    """Frames in which one shape goes from place to place, along a row or a column."""
    begin, end = places[0], places[-1]
    ways = ("left", "right") if begin // 3 == end // 3 else ("up", "down")
    way = "nowhere" if begin == end else ways[end > begin]
    questions = (
        Question("moving/way", (), way), Question("moving/colour", (), shape.colour),
        Question("moving/last", (), PLACES[end]), Question("moving/frames", (), str(len(places))),
    )  # fmt: skip
    canvases = tuple(draw_shapes([Shape(shape.form, shape.colour, place)], style or Style()) for place in places)
    reading = f"{shape.colour} {shape.form}: " + "; ".join(PLACES[place] for place in places)
    return Scene("moving", canvases, reading, questions)


def _about_rows(kind: str, rows: Sequence[Row]) -> list[Question]:
    """The questions that every chart of labels and values answers."""
    ordered = sorted(rows, key=lambda row: row.value)
    questions = [
        Question(f"{kind}/count", (), str(len(rows))),
        Question(f"{kind}/largest", (), ordered[-1].label), Question(f"{kind}/smallest", (), ordered[0].label),
        *(Question(f"{kind}/value", (row.label,), str(row.value)) for row in rows),
    ]  # fmt: skip
    for one, other in zip(rows, [*rows[1:], rows[0]], strict=True):
        answer = "yes" if one.value > other.value else "no"
        questions.append(Question(f"{kind}/compare", (one.label, other.label), answer))
    return questions


def _about_colours(kind: str, rows: Sequence[Row]) -> list[Question]:
    colours = [row.colour for row in rows]
    return [
        *(Question(f"{kind}/colour", (row.label,), row.colour) for row in rows),
        *(Question(f"{kind}/which", (row.colour,), row.label) for row in rows if colours.count(row.colour) == 1),
    ]


def _coloured(rows: Sequence[Row]) -> str:
    return ", ".join(f"{row.label} {row.colour} {row.value}" for row in rows)


def _plain(rows: Sequence[Row]) -> str:
    return ", ".join(f"{row.label} {row.value}" for row in rows)


def _price(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d}"


FORMS_OF_SHAPES = ("circle", "square", "triangle")
_VALUE = ("What is the value of {}?", "How much is {}?", "Which number belongs to {}?", "{}?")
_LARGEST = (
    "Which one is the largest?",
    "What has the highest value?",
    "Which is the biggest?",
    "Where is the maximum?",
)
_SMALLEST = ("Which one is the smallest?", "What has the lowest value?", "Which is the least?", "Where is the minimum?")
_COMPARE = ("Is {} larger than {}?", "Is {} more than {}?", "Is {} bigger than {}?")
_TREND = ("Is it rising or falling?", "What is the trend?", "Does it go up or down?")
_FRAMES = ("How many frames are there?", "How many pictures are there?", "Count the frames.")


def _chart(kind: str, thing: str, colours: bool = True) -> dict[str, tuple[str, ...]]:
    wordings = {
        "count": (f"How many {thing}s are there?", f"How many {thing}s?", f"Count the {thing}s."),
        "value": _VALUE, "largest": _LARGEST, "smallest": _SMALLEST, "compare": _COMPARE,
    }  # fmt: skip
    if colours:
        wordings["colour"] = ("What colour is {}?", f"Which colour has the {thing} {{}}?", "What is the color of {}?")
        wordings["which"] = (f"Which {thing} is {{}}?", "What is {}?", f"What is the label of the {{}} {thing}?")
    else:
        wordings["trend"] = _TREND
    return {f"{kind}/{form}": texts for form, texts in wordings.items()}


WORDINGS: dict[str, tuple[str, ...]] = {
    **_chart("bars", "bar"), **_chart("heights", "bar"), **_chart("line", "point", False),
    **_chart("curve", "point", False), **_chart("pie", "slice"), **_chart("wedges", "slice"),
    "receipt/total": ("What is the total?", "How much is it in all?", "What do I pay?"),
    "receipt/count": ("How many items are there?", "How many things were bought?", "Count the items."),
    "receipt/dearest": ("What is the most expensive item?", "Which item costs most?", "What is the dearest?"),
    "receipt/cheapest": ("What is the cheapest item?", "Which item costs least?", "What is the cheapest?"),
    "receipt/price": ("What is the price of {}?", "How much is {}?", "What does {} cost?"),
    "table/count": ("How many rows are there?", "How many rows?", "Count the rows."),
    "table/largest": _LARGEST, "table/value": _VALUE,
    "table/who": ("Who has {}?", "Which row has {}?", "Which name goes with {}?"),
    "text/read": ("What does it say?", "Read the text.", "What is written here?"),
    "shapes/count": ("How many shapes are there?", "How many shapes?", "Count the shapes."),
    "shapes/count form": ("How many {}s are there?", "How many {}s?", "Count the {}s."),
    "shapes/count colour": ("How many shapes are {}?", "How many {} shapes are there?", "Count the {} shapes."),
    "shapes/colour": ("What colour is the {}?", "Which colour has the {}?", "What is the color of the {}?"),
    "pair/larger": ("In which picture is {} larger?", "Which picture has more {}?", "Where is {} higher?"),
    "pair/value": ("What is the value of {} in picture {}?", "How much is {} in picture {}?"),
    "counter/trend": _TREND, "counter/frames": _FRAMES,
    "counter/last": ("What is the last number?", "Which number comes last?"),
    "counter/first": ("What is the first number?", "Which number comes first?"),
    "moving/way": ("Which way does it move?", "Where does it go?", "In which direction does it move?"),
    "moving/colour": ("What colour is it?", "Which colour has it?", "What is its color?"),
    "moving/last": ("Where is it at the end?", "Where does it end?"), "moving/frames": _FRAMES,
}  # fmt: skip
