"""A picture whose truth is known, what can be asked of it, and how a model's reply comes apart.

Knows nothing about drawing: scenes.py makes them.
"""

from dataclasses import dataclass

from course.drawn.canvas import Canvas

_VALUE = ("What is the value of {}?", "How much is {}?", "Which number belongs to {}?", "{}?")
_LARGEST = (
    "Which one is the largest?", "What has the highest value?", "Which is the biggest?", "Where is the maximum?",
)  # fmt: skip
_SMALLEST = ("Which one is the smallest?", "What has the lowest value?", "Which is the least?", "Where is the minimum?")
_TREND = ("Is it rising or falling?", "What is the trend?", "Does it go up or down?")
_FRAMES = ("How many frames are there?", "How many pictures are there?", "Count the frames.")


def _chart(kind: str, thing: str, colours: bool = True) -> dict[str, tuple[str, ...]]:
    """The wordings of a chart's forms; the first one of each is the one that a plot or a lesson shows."""
    wordings = {
        "count": (f"How many {thing}s are there?", f"How many {thing}s?", f"Count the {thing}s."),
        "value": _VALUE, "largest": _LARGEST, "smallest": _SMALLEST,
        "compare": ("Is {} larger than {}?", "Is {} more than {}?", "Is {} bigger than {}?"),
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

ARROW = " => "  # between what a model reads, what it finds in that, and what it answers
ABSENT = "not there"


@dataclass(frozen=True)
class Question:
    """A question of a form, 'bars/value', its values filled in, its answer, and what a model should write of the
    reading before it answers: the row that is meant, or the rows up to it; '' where nothing is looked up."""

    form: str
    values: tuple[str, ...]
    answer: str
    found: str = ""

    @property
    def text(self) -> str:
        return WORDINGS[self.form][0].format(*self.values)

    @property
    def wordings(self) -> tuple[str, ...]:
        return tuple(wording.format(*self.values) for wording in WORDINGS[self.form])

    @property
    def reply(self) -> str:
        """What a model should write that has the reading before it: what it finds there, then the answer."""
        return f"{self.found}{ARROW}{self.answer}" if self.found else self.answer


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


def answer_of(reply: str) -> str:
    """The answer at the end of what a model wrote, without its way there."""
    return _parts(reply)[-1]


def reading_of(reply: str) -> str:
    """What a model wrote down of the picture first; '' if it answered at once."""
    parts = _parts(reply)
    return parts[0] if len(parts) > 1 else ""


def found_of(reply: str) -> str:
    """What a model picked out of its reading before it answered; '' if it answered at once from the whole."""
    return ARROW.join(_parts(reply)[1:-1])


def _parts(reply: str) -> list[str]:
    return [part.strip() for part in reply.split(ARROW.strip())]
