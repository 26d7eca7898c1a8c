"""Rows to a table: aligned text for a terminal, HTML that reads well without any style, sizes in words.

Pure: knows nothing about what the rows are about.
"""

import re
from collections.abc import Iterable, Sequence

DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def text_table(heads: Sequence[str], rows: Iterable[Sequence], wrap: int | None = None) -> str:
    """Columns lined up, those of figures to the right. Empty heads give no first line; `wrap` folds the last column."""
    lines = [[str(cell) for cell in row] for row in rows]
    columns = range(len(heads))
    right = [bool(lines) and all(line[i][:1].isdigit() for line in lines) for i in columns]
    shown = ([list(heads)] if any(heads) else []) + lines
    widths = [max((len(line[i]) for line in shown), default=0) for i in columns]
    if wrap:
        shown = _folded(shown, max(30, wrap - sum(widths[:-1]) - 2 * len(widths[:-1])))
    sides = ["rjust" if on_right else "ljust" for on_right in right]
    return "\n".join("  ".join(getattr(line[i], sides[i])(widths[i]) for i in columns).rstrip() for line in shown)


def _folded(lines: list[list[str]], width: int) -> list[list[str]]:
    """The last cell of each line in lines of `width` characters, under each other."""
    from textwrap import wrap

    return [
        [*(line[:-1] if number == 0 else [""] * (len(line) - 1)), piece]
        for line in lines
        for number, piece in enumerate(wrap(line[-1], width, break_on_hyphens=False) or [""])
    ]


def html_table(heads: Sequence[str], rows: Iterable[Sequence], caption: str = "", note: str = "") -> str:
    """A plain table with a caption above and a note below; every cell is escaped."""
    from html import escape

    rows = [[str(cell) for cell in row] for row in rows]
    sides = ["right" if any(_is_figure(row[i]) for row in rows) else "left" for i in range(len(heads))]
    styles = [f'style="text-align: {side}; padding: 4px 10px"' for side in sides]
    head = "".join(f"<th {style}>{escape(str(one))}</th>" for one, style in zip(heads, styles, strict=True))
    head = f"<thead><tr>{head}</tr></thead>" if any(heads) else ""
    body = "".join("<tr>" + "".join(_html_cell(escape(str(cell))) for cell in row) + "</tr>" for row in rows)
    above = f"<p><strong>{escape(caption)}</strong></p>" if caption else ""
    below = f"<p>{escape(note)}</p>" if note else ""
    return f"{above}<table>{head}<tbody>{body}</tbody></table>{below}"


def _is_figure(text: str) -> bool:
    """Whether a cell belongs to the right, where digits stand under digits; a date belongs to the left."""
    return text[:1].isdigit() and not DATE.match(text)


def _html_cell(text: str) -> str:
    side = "right" if _is_figure(text) else "left"
    return f'<td style="text-align: {side}; padding: 4px 10px">{text}</td>'


def marked(text: str) -> str:
    """Text as HTML, in which `code` between backticks is shown as code."""
    from html import escape

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
