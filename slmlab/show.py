"""How records print: one table for a terminal and for a page, sizes in words, text as HTML.

Pure: knows nothing about what the rows are about.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True)
class Table:
    """What a record shows. Empty heads give no first line; `wrap` folds the last column at this width in a terminal,
    `source` is shown on a page alone."""

    heads: Sequence[str]
    rows: Iterable[Sequence]
    caption: str = ""
    note: str = ""
    wrap: int | None = None
    source: str = ""


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
        return html_table(table.heads, table.rows, table.caption, table.note or table.source)


def text_table(heads: Sequence[str], rows: Iterable[Sequence], wrap: int | None = None) -> str:
    """Columns lined up, those of figures to the right; `wrap` folds the last one so that the table is this wide."""
    rows = [list(map(str, row)) for row in rows]
    shown = [list(heads), *rows] if any(heads) else rows
    widths = None
    if wrap and shown:
        others = sum(max(len(row[i]) for row in shown) + 2 for i in range(len(heads) - 1))
        widths = [None] * (len(heads) - 1) + [max(30, wrap - others)]
    lines = _tabulated(shown, (), "plain", _sides(heads, rows, all), widths).split("\n")
    return "\n".join(line.rstrip() for line in lines)


def html_table(heads: Sequence[str], rows: Iterable[Sequence], caption: str = "", note: str = "") -> str:
    """A plain table with its caption above and its note below; every cell is escaped."""
    rows = [list(map(str, row)) for row in rows]
    table = _tabulated(rows, heads if any(heads) else (), "html", _sides(heads, rows, any))
    above = f"<p><strong>{escape(caption)}</strong></p>" if caption else ""
    below = f"<p>{escape(note)}</p>" if note else ""
    return above + table.replace("<table>", '<table cellpadding="6">') + below


def _sides(heads: Sequence[str], rows: list[list[str]], which: Callable) -> list[str]:
    figures = [which(row[i][:1].isdigit() for row in rows) for i in range(len(heads))]
    return ["right" if rows and figure else "left" for figure in figures]


def _tabulated(rows: list, heads: Sequence[str], form: str, sides: list[str], widths: list | None = None) -> str:
    from tabulate import tabulate

    options = {"disable_numparse": True, "colalign": sides, "maxcolwidths": widths, "break_on_hyphens": False}
    return str(tabulate(rows, heads, form, **options))


def in_bytes(size: float | None) -> str:
    """A size in GB or MB, as disks and downloads are sold: 1 GB is 1,000,000,000 bytes."""
    if size is None:
        return "unknown"
    return _scaled(size, {1e12: "TB", 1e9: "GB", 1e6: "MB", 1e3: "kB"}, " bytes")


def in_count(number: float | None) -> str:
    """A number of parameters: 135 million, 3.82 billion."""
    if number is None:
        return "undisclosed"
    return _scaled(number, {1e12: "trillion", 1e9: "billion", 1e6: "million"}, "")


def _scaled(number: float, units: dict[float, str], plain: str) -> str:
    for unit, name in units.items():
        if number >= unit * 0.9995:
            value = number / unit
            digits = 2 if value < 9.995 else 1 if value < 99.95 else 0
            return f"{value:,.{digits}f} {name}"
    return f"{number:,.0f}{plain}"
