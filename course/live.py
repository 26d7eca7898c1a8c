"""Controls that are live in a running notebook and read well as text on a page that runs nothing.

Knows nothing about models. ipywidgets is imported when the first control is made.
"""

import re
from collections.abc import Iterable
from html import escape

from slmlab.catalog import DATA
from slmlab.errors import SlmLabError

FULL = {"width": "98%"}
_LOOK = (DATA / "live.css").read_text(encoding="utf-8")
_KEYS = (DATA / "live.js").read_text(encoding="utf-8")  # what ipywidgets can't say by itself
GOOD, BAD, OPEN = "#009E73", "#D55E00", "#808080"  # stripes that stand out in both themes, for colour-blind eyes too


class Live:
    """A control: `.box` is its widget, `.status` its last line; without a kernel a page has `static_html` and
    `static_text` in their place."""

    def lay_out(self, *rows, questions: int = 0, **layout) -> None:
        """Rows below each other; with questions, each `.slmlab-asked` names the next `.slmlab-options`."""
        w = ipywidgets()
        keys = escape(_KEYS.replace("QUESTIONS", str(questions)))
        style = w.HTML(f'<style onload="{keys}">{_LOOK}</style>', layout={"display": "none"})
        self.status = w.HTML()
        self.box = w.VBox([*rows, style, self.status], layout=layout)
        self.box.add_class("slmlab-live")

    def say(self, text: str) -> None:
        """Show a text as the status; a screen reader says it."""
        self.status.value = paragraph(text, role="status")

    def on_enter(self, text_box, act) -> None:
        """Call `act` at Enter, not when the box merely loses the cursor; a refusal is said and changes nothing."""

        def pressed(_, message, __):
            try:
                if message.get("event") == "submit":
                    act()
            except SlmLabError as fault:
                self.say(str(fault))

        text_box.on_msg(pressed)

    def static_html(self) -> str:
        return f"<p>{escape(self.static_text())}</p>"

    def _repr_mimebundle_(self, include=None, exclude=None):
        live = self.box._repr_mimebundle_(include=include, exclude=exclude) or {}
        return {**live, "text/html": self.static_html(), "text/plain": self.static_text()}

    def __repr__(self):
        return self.static_text()


def ipywidgets():
    import ipywidgets

    return ipywidgets


def wide(label_px: int, width_px: int) -> dict:
    return {"style": {"description_width": f"{label_px}px"}, "layout": {"width": f"{width_px}px"}}


def paragraph(text: str, *, role: str = "") -> str:
    """Plain text as HTML that any theme can show; with role='status' a screen reader says it when it changes."""
    if not text:
        return ""
    live = f' role="{role}"' if role else ""
    return f'<div{live} style="font-size: 15px; line-height: 1.5; white-space: pre-wrap">{marked(text)}</div>'


def striped(word: str, text: str, colour: str) -> str:
    """A verdict as HTML: its word and its reason beside a coloured stripe, for eyes that see the colour or don't."""
    look = f"border-left: 6px solid {colour}; background: {colour}1a; padding: 4px 12px; margin: 2px 0"
    return f'<div style="{look}; font-size: 15px; line-height: 1.5"><b>{escape(word)}</b> {marked(text)}</div>'


def marked(text: str) -> str:
    """Text as HTML, in which `code` between backticks is shown as code; more of them enclose code that holds some."""
    return re.sub(r"(`+)( ?)(.+?)\2(?<!`)\1(?!`)", r"<code>\3</code>", escape(text))


def bar_table(rows: Iterable[tuple[str, str, str]]) -> str:
    """A row for each name, its bars and what they say, all three as HTML."""
    cell = 'style="text-align: left; padding: 2px 12px 2px 0; white-space: nowrap; font-weight: normal'
    lines = (
        f'<tr><th scope="row" {cell}">{name}</th>'
        f'<td {cell}; width: 390px" aria-hidden="true">{bars}</td><td {cell}">{words}</td></tr>'
        for name, bars, words in rows
    )
    return f'<table style="font-size: 15px; border-collapse: collapse">{"".join(lines)}</table>'


def in_place(place, html: str, text: str):
    """Show a moment of long work in the place of the last one, and give the place; in a terminal, print a line."""
    from IPython import get_ipython
    from IPython.display import display

    drawn = {"text/html": html, "text/plain": text}
    if get_ipython() is None:
        print(text)
    elif place is None:
        place = display(drawn, raw=True, display_id=True)
    else:
        place.update(drawn, raw=True)
    return place
