"""How records print: one table for a terminal and for a page, sizes in words, text as HTML."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True, repr=False)
class Table:
    """What a record shows. Empty heads give no first line."""

    heads: Sequence[str]
    rows: Iterable[Sequence]
    caption: str = ""
    note: str = ""
    wrap: int | None = None  # folds the last column so that the table is this wide in a terminal
    source: str = ""  # shown on a page alone

    def __str__(self):
        heads, rows, widths = self.heads, self._cells(), None
        if self.wrap and rows:
            columns = list(zip(heads, *rows, strict=True))
            others = sum(max(map(len, "\n".join(column).split("\n"))) + 2 for column in columns[:-1])
            widths = [None] * (len(heads) - 1) + [max(30, self.wrap - others)]
        lines = _tabulated(heads, rows, "plain", 1, widths).split("\n")
        body = "\n".join(line.rstrip() for line in lines)
        return "\n".join(filter(None, (self.caption, body, self.note)))

    __repr__ = __str__

    def _repr_html_(self):
        rows = [[cell.replace("\n", "\0") for cell in row] for row in self._cells()]
        table = _tabulated(self.heads, rows, "html", 0.5).replace("\0", "<br>")  # a page takes a line end for a space
        note = self.note or self.source
        above = f"<p><strong>{escape(self.caption)}</strong></p>" if self.caption else ""
        below = f"<p>{escape(note)}</p>".replace("\n", "<br>") if note else ""
        left = ' style="text-align: left;"'  # else JupyterLab puts every cell to the right
        table = table.replace("<td>", f"<td{left}>").replace("<th>", f"<th{left}>")
        return above + table.replace("<table>", '<table cellpadding="6">') + below

    def _cells(self) -> list[list[str]]:
        return [list(map(str, row)) for row in self.rows]


class Shown:
    """A record that prints as a table: give `_table() -> Table`."""

    def __str__(self):
        return str(self._table())

    __repr__ = __str__

    def _repr_html_(self):
        return self._table()._repr_html_()


def table(rows: Iterable[Mapping[str, object]]) -> Table:
    """Rows, each a dict of column and value, as a table; a float is shown with three digits."""
    rows = list(rows)
    heads = tuple(rows[0]) if rows else ()
    return Table(heads, [[_figure(row[head]) for head in heads] for row in rows])


def _figure(cell):
    return (f"{cell:,.0f}" if abs(cell) >= 999.5 else f"{cell:.3g}") if isinstance(cell, float) else cell


def _tabulated(heads: Sequence[str], rows: list[list[str]], form: str, share: float, widths=None) -> str:
    """The table; a column in which this share of the cells begins with a digit stands to the right."""
    from tabulate import tabulate

    figures = [sum(row[i][:1].isdigit() for row in rows) for i in range(len(heads))]
    sides = ["right" if count and count >= share * len(rows) else "left" for count in figures]
    options = {"disable_numparse": True, "colalign": sides, "maxcolwidths": widths, "break_on_hyphens": False}
    first = "firstrow" if form == "html" and any(heads) else ()  # in a terminal tabulate would widen its column
    return tabulate([heads, *rows] if any(heads) else rows, first, form, **options)


def in_bytes(size: float | None) -> str:
    """A size in GB or MB, as disks and downloads are sold: 1 GB is 1,000,000,000 bytes."""
    units = {1e18: "EB", 1e15: "PB", 1e12: "TB", 1e9: "GB", 1e6: "MB", 1e3: "kB"}
    return "unknown" if size is None else _scaled(size, units, " bytes")


def in_count(number: float | None) -> str:
    units = {1e12: "trillion", 1e9: "billion", 1e6: "million"}
    return "undisclosed" if number is None else _scaled(number, units, "")


def _scaled(number: float, units: dict[float, str], plain: str) -> str:
    for unit, name in units.items():
        if number >= unit * 0.9995:
            return f"{number / unit:#.3g}".rstrip(".") + f" {name}"
    return f"{number:,.0f}{plain}"
