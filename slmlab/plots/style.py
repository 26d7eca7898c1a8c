"""What every plot shares: the canvas, the palette, labels that any font can draw, and the figure that shows itself.

Knows nothing about models. Importing it imports no matplotlib; drawing the first plot does.
"""

import base64
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape
from io import BytesIO
from textwrap import shorten

from slmlab.errors import BadRequest

TEXT, MONO = "DejaVu Sans", "DejaVu Sans Mono"  # of matplotlib, so every machine draws the same picture
GREY, INK = "#595959", "#222222"
# Okabe and Ito's colours for every kind of colour vision, without the yellow that white paper swallows
BLUE, ORANGE, GREEN, PURPLE, AMBER, SKY, BLACK = "#0072B2 #D55E00 #009E73 #CC79A7 #E69F00 #56B4E9 #000000".split()
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, AMBER, SKY, BLACK)
BESIDE = {"textcoords": "offset points", "va": "center"}  # a label so many points from its place
SHAPES = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
WIDTH_IN, MOST_IN, DPI = 8, 4.2, 100  # a figure is seen whole
# Drawn dark on white. A page in a dark theme turns it round: .933 makes white the ground of JupyterLab's
_DARK = ':is([data-jp-theme-light="false"], .vscode-dark, [data-theme=dark], html[theme=dark]) .slmlab-plot'
_CSS = f"<style>{_DARK} {{filter: invert(.933) hue-rotate(180deg); mix-blend-mode: lighten}}</style>"


class Figure:
    """A plot that shows itself, its caption as text under it. A dark theme leaves `pictures` in it alone."""

    def __init__(self, ax, caption: str, alt: str, pictures: bool = False):
        self.ax, self.caption, self.alt, self.pictures = ax, caption, alt, pictures
        self.sharp = 1.5 if pictures else 2  # dots drawn for each one shown: a photograph takes many bytes

    def png(self) -> bytes:
        """In few colours, so that a lesson full of figures stays small, and without the name of what drew it."""
        from PIL import Image

        drawn, file = BytesIO(), BytesIO()
        self.ax.figure.savefig(drawn, dpi=DPI * self.sharp, bbox_inches="tight", pad_inches=0.06, facecolor="white")
        Image.open(drawn).convert("RGB").quantize(128, dither=Image.Dither.NONE).save(file, "png", optimize=True)
        return file.getvalue()

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        png = self.png()
        wide, high = (int.from_bytes(png[at : at + 4], "big") / self.sharp for at in (16, 20))
        shown = wide * min(1, max(0.7, MOST_IN * DPI / high))  # a long text's is higher, so that it can be read
        look = f"width: {shown:.0f}px; max-width: 100%; border-radius: 6px"
        kind, source = "pictures" if self.pictures else "plot", base64.b64encode(png).decode()
        html = f'{_CSS}<figure style="margin: 0"><img class="slmlab-{kind}" alt="{escape(self.alt)}" style="{look}"'
        html += f' src="data:image/png;base64,{source}"><figcaption style="max-width: {WIDTH_IN * DPI}px">'
        return {"text/html": f"{html}{escape(self.caption)}</figcaption></figure>", "text/plain": self.caption}

    def __repr__(self):
        return self.caption


@contextmanager
def canvas(height_in: float, legend_rows: int = 0, rows: Sequence[str] = ()) -> Iterator:
    """The axes of a new figure, this high inside, in the house's style; many rows stand closer, none is cut."""
    from matplotlib import figure, rc_context

    from slmlab.catalog import DATA

    with rc_context(fname=DATA / "plots.mplstyle"):
        ax = figure.Figure(figsize=(WIDTH_IN, 6), dpi=DPI).subplots()
        ax.slmlab_room_in = height_in + 0.27 * legend_rows
        ax.spines[["top", "right", "left"]].set_visible(False)
        ax.tick_params(axis="y", length=0)
        if rows:  # from the top down
            size = 13 if len(rows) < 14 else 11
            ax.set_yticks(range(len(rows)), [drawable(name, most=44) for name in rows], fontsize=size)
            ax.set_ylim(len(rows) - 0.45, -0.55)
        yield ax


def finish(ax, sentence: str, *, pictures: bool = False) -> Figure:
    """The figure with this sentence as its caption, as high as what is in it."""
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    drop_in = 0.65 if ax.get_xlabel() else 0.35 if ax.axison and ax.xaxis.get_visible() else 0.05
    height_in = ax.slmlab_room_in + drop_in + 0.12
    ax.figure.set_figheight(min(height_in, MOST_IN) if ax.axison else height_in)
    ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.06).execute(ax.figure)  # once: a second drawing would move it a little
    rows = [label.get_text() for label in ax.get_yticklabels() if ax.axison]
    parts = {"Rows": rows, "Across": [ax.get_xlabel()], "Written in it": [one.get_text() for one in ax.texts]}
    more = [f"{name}: {', '.join(filter(None, words))}." for name, words in parts.items() if any(words)]
    whole = sentence.encode("utf-8", "backslashreplace").decode()  # half a character can't go into a page
    return Figure(ax, whole, shorten(" ".join([whole, *more]), 400, placeholder=" …"), pictures)


def legend(ax, handles: list | None = None, columns: int = 3, **options) -> None:
    ax.legend(handles=handles, ncols=columns, loc="lower left", bbox_to_anchor=(0, 1.0), **options)


def drawable(text: str, family: str = TEXT, most: int = 1000) -> str:
    """The text with every character that the font lacks written as its code, so that none is lost as an empty box."""
    from matplotlib.font_manager import findfont, get_font

    font = get_font(findfont(family))
    drawn = {one for one in text if font.get_char_index(ord(one)) and one.isprintable()}
    whole = "".join(one if one in drawn else one.encode("unicode_escape").decode() for one in text)
    return whole if len(whole) <= most else whole[: most - 1] + "…"


def visible(text: str) -> str:
    """A token's text with its spaces and line ends to be seen: ' a\\n' is ␣a⏎."""
    return (text or "(empty)").translate(str.maketrans(" \n\t", "␣⏎⇥"))


def listed(items, what: str) -> list:
    """The items as a list; an empty one is refused with what should have been there."""
    items = list(items)
    if not items:
        raise BadRequest(f"There is nothing to draw: hand over at least one {what}.")
    return items


def count(number: float) -> str:
    """3_821_000_000 is 3.8B, as model names say it."""
    for size, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K")):
        if number >= size * 0.9995:
            return f"{number / size:.3g}{letter}"
    return f"{number:.0f}"


def seconds(duration_s: float) -> str:
    if duration_s < 0.0995:
        return f"{duration_s * 1000:.2g} ms"
    return f"{duration_s:.2f} s" if duration_s < 9.995 else f"{duration_s:.0f} s"


def percent(share: float) -> str:
    if share == 0:
        return "cut"
    return "< 0.1%" if share < 0.001 else f"{share:.1%}" if share < 0.0995 else f"{share:.0%}"
