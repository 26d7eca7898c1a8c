"""Controls that are live in a running notebook and read well as text on a page that runs nothing.

Knows nothing about models. ipywidgets is imported when the first control is made.
"""

from html import escape

from slmlab.errors import NotHere
from slmlab.show import marked


class Live:
    """A control: `.box` is its widget; a page without a kernel gets `static_html` and `static_text` in its place."""

    box = None

    def static_text(self) -> str:
        raise NotImplementedError

    def static_html(self) -> str:
        return f"<p>{escape(self.static_text())}</p>"

    def _repr_mimebundle_(self, include=None, exclude=None):
        live = self.box._repr_mimebundle_(include=include, exclude=exclude) or {}
        return {**live, "text/html": self.static_html(), "text/plain": self.static_text()}

    def __repr__(self):
        return self.static_text()

    def close(self) -> None:
        """Take the control off the page."""
        self.box.close()


def ipywidgets():
    try:
        import ipywidgets
    except ModuleNotFoundError as fault:
        raise NotHere("Live controls need ipywidgets: pip install ipywidgets") from fault
    return ipywidgets


def paragraph(text: str, *, role: str = "") -> str:
    """Plain text as HTML that any theme can show; with role='status' a screen reader says it when it changes."""
    if not text:
        return ""
    live = f' role="{role}"' if role else ""
    return f'<div{live} style="font-size: 15px; line-height: 1.5; white-space: pre-wrap">{marked(text)}</div>'


def on_enter(text_box, act) -> None:
    """Call `act` when the reader presses Enter in a text box (and not when the box merely loses the cursor)."""
    text_box.on_msg(lambda _, message, __: act() if message.get("event") == "submit" else None)
