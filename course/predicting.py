"""predict(): a learner's own guess as buttons, locked once chosen and kept; predict.answer() says how it came out.

Without a kernel it reads as a question with its options. Knows nothing about what is asked.
"""

from collections.abc import Sequence
from numbers import Real

from course import record
from course.live import Live, ipywidgets, marked
from slmlab.errors import BadRequest

_asked: dict[str, "PredictBox"] = {}  # those of this kernel, by id


class PredictBox(Live):
    """One question on the page. `.choose(option)` does by code what a reader does by hand; `.chosen` is the option."""

    def __init__(self, guess_id: str, question: str, options: Sequence[str | float]):
        if not 2 <= len(set(map(str, options))) == len(options) <= 5:
            raise BadRequest(f"predict({guess_id!r}, ...) takes 2 to 5 different options.")
        w = ipywidgets()
        self.id, self.question, self.options = guess_id, question, list(options)
        kept = record.read()[0]["guesses"].get(guess_id, {}).get("said")
        self.chosen = next((option for option in options if str(option) == kept), None)
        self.asked = w.HTML()
        plain = question.replace("`", "")
        self.buttons = [w.Button(description=_words(one), tooltip=f"Your guess: {plain}") for one in options]
        for button, option in zip(self.buttons, options, strict=True):
            button.on_click(lambda _, option=option: self.choose(option))
        options = w.HBox(self.buttons, layout={"flex_flow": "row wrap"}).add_class("slmlab-options")
        self.lay_out(self.asked, options, questions=1, max_width="860px")
        self.box.add_class("slmlab-predict")
        self._show()

    def choose(self, option: str | float) -> None:
        """Lock this option and keep it; a second choice changes nothing."""
        if self.chosen is None:
            self.chosen = option
            self._show(record.note_guess(self.id, str(option), [*map(str, self.options)]))

    def _show(self, note: str = "") -> None:
        told = "Choose one before you run on. It is locked then."
        if self.chosen is not None:
            for button, option in zip(self.buttons, self.options, strict=True):
                mine = option == self.chosen
                button.disabled, button.button_style = not mine, "primary" if mine else ""
                button.description = _words(option) + " (your guess)" * mine
            told = f"Locked: you said {_quoted(self.chosen)}. Now run on. {note}".strip()
        locked = " slmlab-locked" if self.chosen is not None else ""
        ask = f'<div class="slmlab-asked{locked}" style="font-size: 16px"><b>{marked(self.question)}</b></div>'
        self.asked.value = ask
        self.say(told)

    def said(self, value: str | float, shown: str = "") -> tuple[str, bool | None]:
        """The line that answers the guess, and whether it was right; None where nothing was chosen."""
        truth = _sentence(value, shown)
        if self.chosen is None:
            return truth, None
        right = str(self.chosen) == str(value)
        if isinstance(value, Real) and isinstance(self.chosen, Real):
            away = {option: abs(option - value) for option in self.options if isinstance(option, Real)}
            right = away[self.chosen] == min(away.values())
        return f"You said {_quoted(self.chosen)}" + (": right." if right else f". {truth}"), right

    def static_text(self) -> str:
        lines = [f"Predict: {self.question} (run the notebook to choose)"]
        return "\n".join([*lines, *(f"   - {_words(option)}" for option in self.options)])

    def static_html(self) -> str:
        options = "".join(f"<li>{marked(_words(option))}</li>" for option in self.options)
        return f"<p><b>{marked(self.question)}</b> (run the notebook to choose)</p><ul>{options}</ul>"


def predict(guess_id: str, question: str, options: Sequence[str | float]) -> PredictBox:
    """Buttons for a guess, such as predict("tokens-thai", "How many times more tokens?", [1, 2, 4, 8])."""
    _asked[guess_id] = PredictBox(guess_id, question, options)
    return _asked[guess_id]


def answer(guess_id: str, value: str | float | None, *, shown: str = "") -> None:
    """Print how the guess came out. Of numbers the nearest option is right.

    `shown` is a sentence that says what is true, where "It is 4.2." doesn't.
    """
    if value is None:  # such as tokens per second, of an answer of one token
        return print("This run gave no number to compare with, so your guess stays open. Run the cell above again.")
    line, right = _sentence(value, shown), None
    if guess_id in _asked:
        line, right = _asked[guess_id].said(value, shown)
    if right is not None:
        record.note_outcome(guess_id, right)
    print(line)


predict.answer = answer


def _sentence(value: str | float, shown: str) -> str:
    """What is true, a number rounded: 51,234 and 4.2, never 4.1818."""
    if isinstance(value, Real):
        value = f"{value:,.0f}" if abs(value) >= 10 or float(value).is_integer() else f"{value:.2g}"
    text = shown or f"It is {value}"
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _words(option: str | float) -> str:
    """An option as it is read."""
    return f"{option:,}" if isinstance(option, Real) else option.replace("`", "")


def _quoted(option: str | float) -> str:
    """An option within a sentence."""
    return f'"{_words(option)}"' if " " in str(option) else _words(option)
