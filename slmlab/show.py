"""How records print: one table for a terminal and for a page, sizes in words, text as HTML.

Pure: knows nothing about what the rows are about.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True)
class Table:
    """What a record shows. Empty heads give no first line; `wrap` folds the last column at this width in a terminal."""

    heads: Sequence[str]
    rows: Iterable[Sequence]
    caption: str = ""
    note: str = ""
    wrap: int | None = None


class Shown:
    """A record that prints as a table, lined up in a terminal and as HTML in a notebook: give `_table() -> Table`.
    Where a terminal should see less than a page, give `_text() -> Table` as well."""

    def _text(self) -> Table:
        return self._table()

    def __str__(self):
        table = self._text()
        lines = (table.caption, text_table(table.heads, table.rows, table.wrap), table.note)
        return "\n".join(line for line in lines if line)

    __repr__ = __str__

    def _repr_html_(self):
        table = self._table()
        return html_table(table.heads, table.rows, table.caption, table.note)


def text_table(heads: Sequence[str], rows: Iterable[Sequence], wrap: int | None = None) -> str:
    """Columns lined up, those of figures to the right; `wrap` folds the last one so that the table is this wide."""
    from tabulate import tabulate

    rows = [[str(cell) for cell in row] for row in rows]
    sides = ["right" if rows and all(row[i][:1].isdigit() for row in rows) else "left" for i in range(len(heads))]
    shown = [[str(head) for head in heads], *rows] if any(heads) else rows
    widths = None
    if wrap and shown:
        others = sum(max(len(row[i]) for row in shown) + 2 for i in range(len(heads) - 1))
        widths = [None] * (len(heads) - 1) + [max(30, wrap - others)]
    text = tabulate(
        shown, (), "plain", disable_numparse=True, colalign=sides, maxcolwidths=widths, break_on_hyphens=False
    )
    return "\n".join(line.rstrip() for line in text.split("\n"))


def html_table(heads: Sequence[str], rows: Iterable[Sequence], caption: str = "", note: str = "") -> str:
    """A plain table with its caption above and its note below; every cell is escaped."""
    rows = [[str(cell) for cell in row] for row in rows]
    head = ""
    if any(heads):
        figures = [any(_is_figure(row[i]) for row in rows) for i in range(len(heads))]
        cells = (_html_cell("th", str(one), figure) for one, figure in zip(heads, figures, strict=True))
        head = f"<thead><tr>{''.join(cells)}</tr></thead>"
    lines = ("".join(_html_cell("td", cell, _is_figure(cell)) for cell in row) for row in rows)
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    above = f"<p><strong>{escape(caption)}</strong></p>" if caption else ""
    below = f"<p>{escape(note)}</p>" if note else ""
    return f"{above}<table>{head}<tbody>{body}</tbody></table>{below}"


def _is_figure(text: str) -> bool:
    """Whether a cell belongs to the right, where digits stand under digits; a date belongs to the left."""
    return text[:1].isdigit() and not re.match(r"\d{4}-\d{2}-\d{2}", text)


def _html_cell(tag: str, text: str, figure: bool) -> str:
    side = "right" if figure else "left"
    return f'<{tag} style="text-align: {side}; padding: 4px 10px">{escape(text)}</{tag}>'


def marked(text: str) -> str:
    """Text as HTML, in which `code` between backticks is shown as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def in_bytes(size: float | None) -> str:
    """A size in GB or MB, as disks and downloads are sold: 1 GB is 1,000,000,000 bytes."""
    if size is None:
        return "unknown"
    for unit, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if abs(size) >= unit * 0.9995:
            return f"{size / unit:,.{_digits(size / unit)}f} {name}"
    return f"{size:,.0f} bytes"


def in_count(number: float | None) -> str:
    """A number of parameters: 135 million, 3.82 billion."""
    if number is None:
        return "undisclosed"
    for unit, name in ((1e12, "trillion"), (1e9, "billion"), (1e6, "million")):
        if number >= unit * 0.9995:
            return f"{number / unit:,.{_digits(number / unit)}f} {name}"
    return f"{number:,.0f}"


def _digits(value: float) -> int:
    return 2 if value < 9.995 else 1 if value < 99.95 else 0
