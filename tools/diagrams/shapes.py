"""The shapes that every diagram of the lessons is made of, in one style. Knows nothing about models.

A shape is a piece of SVG, or a list of shapes. The panel is light on purpose: no page's theme reaches into a picture.
"""

import re
from html import escape

from slmlab.plots.style import BLUE, GREEN, GREY, INK, ORANGE

WIDTH = 760
PAPER, LINE, WHITE = "#f6f8fa", "#c3cad3", "#ffffff"
TINT = {BLUE: "#e0eef8", ORANGE: "#fde8db", GREEN: "#dbf3ea", GREY: "#eaeef2", LINE: WHITE}
HEAD, BODY, SMALL = 16, 15, 14  # no text is smaller than the last
STYLE = f"""text{{font-family:sans-serif;font-size:{BODY}px;fill:{INK};text-anchor:middle}}
.h{{font-size:{HEAD}px;font-weight:bold}}.s{{font-size:{SMALL}px;fill:{GREY}}}\
.m{{font-family:monospace;font-size:{SMALL}px}}
.l{{text-anchor:start}}.r{{text-anchor:end}}.w{{fill:{WHITE}}}.o{{fill:#b34a00}}
path,rect,circle{{stroke-width:1.5}}path{{fill:none;stroke-linejoin:round;stroke-linecap:round}}"""


def picture(title: str, desc: str, height: int, *shapes) -> str:
    """A whole SVG: the panel, and the shapes on it; shapes may be nested in lists."""
    named = f'role="img" aria-labelledby="t d"><title id="t">{escape(title)}</title><desc id="d">{escape(desc)}</desc>'
    size = f'width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
    panel = rect(1, 1, WIDTH - 2, height - 2, LINE, PAPER, 14)
    body = "\n".join([f"<style>{STYLE}</style>", panel, *_flat(shapes)])
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {named}\n{body}\n</svg>\n'


def _flat(shapes):
    for one in shapes:
        if isinstance(one, str):
            yield one
        else:
            yield from _flat(one)


def text(x, y, words, look=""):
    """Words on their base line; look: h(ead), s(mall, grey), m(ono), l(eft), r(ight), w(hite), o(range)."""
    inside = re.sub(r"&lt;\|\w+\|&gt;", r'<tspan class="o">\g<0></tspan>', escape(str(words), quote=False))
    return f'<text x="{x:g}" y="{y:g}"' + (f' class="{look}"' if look else "") + f">{inside}</text>"


def rect(x, y, w, h, edge=LINE, fill=None, round=8, more=""):
    shape = f'<rect x="{x:.4g}" y="{y:.4g}" width="{w:.4g}" height="{h:.4g}" rx="{min(round, w / 2, h / 2):.3g}"'
    return f'{shape} stroke="{edge}" fill="{fill or TINT[edge]}"{more}/>'


def box(x, y, w, h, *lines, edge=BLUE, head="h", small="s"):
    """A rounded box; its first line is the name, those below say more."""
    top = y + h / 2 + 6 - 10 * (len(lines) - 1)
    looks = [head] + [small] * len(lines)
    words = [text(x + w / 2, top + 20 * row, line, looks[row]) for row, line in enumerate(lines)]
    return [rect(x, y, w, h, edge), words]


def token(x, y, word, w=None, edge=LINE, h=30):
    return [
        rect(x, y, w or token_width(word), h, edge, round=6),
        text(x + (w or token_width(word)) / 2, y + h / 2 + 5, word, "m"),
    ]


def token_width(word):
    return max(8.6 * len(word) + 14, 34)


def arrow(*points, edge=GREY, width=2):
    """A line through the points, with a head at the last one and round corners at the others."""
    path, (x, y) = f"M{points[0][0]:g} {points[0][1]:g}", points[-1]
    for (a, b), (c, d), (e, f) in zip(points, points[1:], points[2:], strict=False):
        back, on = _toward((c, d), (a, b), 10), _toward((c, d), (e, f), 10)
        path += f"L{back[0]:g} {back[1]:g}Q{c:g} {d:g} {on[0]:g} {on[1]:g}"
    from_x, from_y = _toward((x, y), points[-2], 9)
    dx, dy = (x - from_x) / 9 * 5, (y - from_y) / 9 * 5
    head = f"M{x:g} {y:g}L{from_x - dy:.4g} {from_y + dx:.4g}L{from_x + dy:.4g} {from_y - dx:.4g}Z"
    line = f'<path d="{path}L{from_x:.4g} {from_y:.4g}" stroke="{edge}" style="stroke-width:{width}"/>'
    return [line, f'<path d="{head}" style="fill:{edge}"/>']


def _toward(start, end, far):
    length = ((end[0] - start[0]) ** 2 + (end[1] - start[1]) ** 2) ** 0.5
    return tuple(a + (b - a) * far / length for a, b in zip(start, end, strict=True))


def curve(path, edge=LINE, width=1.5, more=""):
    return f'<path d="{path}" stroke="{edge}" style="stroke-width:{width:.3g}"{more}/>'


def share(value):
    return "under 1%" if value < 0.01 else f"{value:.0%}"
