"""hand_in(), collect() and certificate(): what a learner has done, as files that the learner gives by hand.

Nothing is sent. The hash tells of an accident or a careless edit: who can run this course can also sign another record.
"""

import csv
import hashlib
import hmac
import json
import re
import unicodedata
from datetime import UTC, date, datetime
from html import escape
from importlib.metadata import version
from pathlib import Path

from course import record
from course.checking import Standing, standings
from slmlab.errors import BadRequest
from slmlab.plots.style import BLUE, GREY, INK
from slmlab.show import Table

PARTS = ("name", "date", "course", "word", "record")  # what is signed
FORMULA = tuple("=+-@＝＋－＠")  # a spreadsheet calculates what begins so
HASH = "A hash shows an accident or a careless edit. It is no proof against a learner who signs another record."
FINISHED = "A lesson is finished when each of its exercises is right, and two thirds of its quiz."


def hand_in(name: str, word: str = "", into: str | Path = ".") -> tuple[Path, dict]:
    """Write the record with a name, the date, the course's version and a hash. `word`: one that the class was told."""
    if not (name := _clean(name)):
        raise BadRequest('Give your name, such as: python -m course hand-in "Ann Lee"')
    kept, note = record.read()
    if note:
        raise BadRequest(note)
    body = {"name": name, "date": datetime.now(UTC).isoformat(timespec="seconds"), "course": version("slmlab")}
    body |= {"word": bool(word), "record": kept}
    body["sha256"] = _seal(body, word)
    words = "-".join(["progress", *re.findall(r"\w+", name)])[:50]
    path = Path(into).expanduser() / f"{words}-{body['sha256'][:8]}.json"  # of two with one name, both are kept
    try:
        path.write_text(json.dumps(body, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError:  # a full disk: no half file that a learner gives away
        path.unlink(missing_ok=True)
        raise
    return path, body


def _seal(body: dict, word: str) -> str:
    """SHA-256 over the canonical JSON; keyed where the class has a word."""
    text = json.dumps({part: body[part] for part in PARTS}, sort_keys=True, separators=(",", ":")).encode()
    return hmac.new(word.encode(), text, "sha256").hexdigest() if word else hashlib.sha256(text).hexdigest()


def _clean(name: str) -> str:
    """One line, no character that steers a terminal, and each letter written in one way."""
    kept = "".join(" " if unicodedata.category(one) in ("Cc", "Cs") else one for one in name)
    return unicodedata.normalize("NFC", " ".join(kept.split()))


def collect(folder: str | Path, word: str = "", into: str | Path | None = None) -> Table:
    """The .json files of a folder and of those in it, checked, as a table. `into`: a CSV file to write as well."""
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise BadRequest(f"There is no folder {folder}. Give the one that holds what learners handed in.")
    found, told, others = {}, [], []
    for path in sorted(folder.rglob("*.json")):
        file = _clean(path.relative_to(folder).as_posix())
        try:
            row = (*_checked(path, word), file)
        except LookupError:
            others.append(file)
        except OSError as fault:
            told.append(f"{file} can't be read: {fault.strerror}.")
        except BadRequest as fault:
            told.append(f"{file} {fault}")
        else:
            *earlier, later = sorted(filter(None, (found.get(row[0].casefold()), row)), key=lambda one: one[-2:])
            found[row[0].casefold()] = later
            told += [f"{row[0]} is there twice: {later[-1]} counts, {one[-1]} is earlier." for one in earlier]
    if others:
        told.append(f"Files that `hand-in` did not write: {len(others):,}, such as {others[0]}.")
    every = standings({"exercises": {}, "quizzes": {}})
    exercises, asked = sum(one.exercises for one in every), sum(one.questions for one in every)
    heads = ("name", f"exercises of {exercises}", f"quiz answers of {asked}", "guesses", "guesses right",
             f"lessons of {len(every)}", "handed in", "file")  # fmt: skip
    rows = [found[name] for name in sorted(found)]
    if into:
        _write(Path(into).expanduser(), heads, *rows)
    return Table(heads, rows, note="\n".join([*told, FINISHED, HASH]))


def _checked(path: Path, word: str) -> tuple:
    """What a file says: name, exercises, quiz answers, guesses, right ones, lessons, date. Or why it doesn't count."""
    try:
        body = json.loads(path.read_bytes())
        name, lessons, guesses = _clean(body["name"]), standings(body["record"]), body["record"]["guesses"].values()
        right, handed = sum(one.get("right") is True for one in guesses), _clean(body["date"])
        same = hmac.compare_digest(_seal(body, word if body["word"] else ""), body["sha256"])
    except (ValueError, OverflowError, RecursionError) as fault:
        raise BadRequest("is damaged: ask for it again.") from fault
    except (KeyError, TypeError, AttributeError) as fault:
        raise LookupError("nothing that `hand-in` wrote") from fault
    if bool(word) != body["word"]:
        how = "without the class's word" if word else "with a word: give it by --word"
        raise BadRequest(f"({name}) doesn't count: it was made {how}.")
    if not same:
        raise BadRequest(f"({name}) doesn't count: it was changed" + (", or made with another word." if word else "."))
    done, best = sum(one.done for one in lessons), sum(one.best or 0 for one in lessons)
    return name, done, best, len(guesses), right, sum(one.finished for one in lessons), handed


def _write(path: Path, *rows: tuple) -> None:
    """A CSV file that spreadsheets open with every letter right, and in which no name is a formula."""
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_NONNUMERIC)  # quoted: a name with a semicolon stays one cell
        for row in rows:
            writer.writerow(f"'{cell}" if str(cell).startswith(FORMULA) else cell for cell in row)


def certificate(name: str, out: str | Path = "certificate.svg", word: str = "") -> tuple[Path, Path]:
    """Draw the finished lessons with their scores as an SVG; beside it, the signed record that its hash belongs to."""
    lessons, out = standings(record.read()[0]), Path(out).expanduser()
    if not any(one.finished for one in lessons):
        raise BadRequest(f"No lesson is finished yet, so no certificate was made. {FINISHED}")
    beside, body = hand_in(name, word, out.parent)
    out.write_text(_drawn(body, lessons), encoding="utf-8")
    return out, beside


def _drawn(body: dict, lessons: list[Standing]) -> str:
    """A sheet of A4 across, on a ground of its own: it reads on a dark page and on paper."""
    name, day, done = body["name"], date.fromisoformat(body["date"][:10]), [one for one in lessons if one.finished]
    wide = sum({"W": 1, "F": 1}.get(unicodedata.east_asian_width(one), 1.05 if one in "MWmw@" else 0.7) for one in name)
    rows = [(112, 24, BLUE, "SLM Lab: a course on small language models"), (180, 50, INK, "Certificate"),
            (268, min(58, 960 / wide), INK, name), (316, 22, GREY, f"finished {len(done)} of {len(lessons)} lessons"),
            (706, 15, GREY, FINISHED), (728, 15, GREY, HASH),
            (752, 15, GREY, f"{day:%d %B %Y} · version {body['course']} of the course · made on the learner's machine"),
            (776, 13, GREY, f"SHA-256 {body['sha256']}")]  # fmt: skip
    drawn = [f'<text x="594" y="{y}" font-size="{size:.1f}" fill="{ink}" text-anchor="middle">{escape(words)}</text>'
             for y, size, ink, words in rows]  # fmt: skip
    drawn += [f'<rect x="{594 - 13 * len(lessons) + 26 * at}" y="340" width="20" height="20" rx="4" stroke="{BLUE}" '
              f'fill="{BLUE if one.finished else "none"}"/>' for at, one in enumerate(lessons)]  # fmt: skip
    high = -(-len(done) // 2) if len(done) > 8 else len(done)  # in two columns
    for at, one in enumerate(done):
        x, y = (110 + at // high * 508 if len(done) > 8 else 364), 412 + at % high * 31
        score = f"{one.exercises} exercises · quiz {one.best} of {one.questions}"
        drawn.append(
            f'<text x="{x}" y="{y}" font-size="17" fill="{INK}">{one.lesson[:2]} · {escape(one.title)}</text>'
            f'<text x="{x + 460}" y="{y}" font-size="14" fill="{GREY}" text-anchor="end">{score}</text>'
        )
    drawn += [f'<rect x="{at}" y="{at}" width="{1188 - 2 * at}" height="{840 - 2 * at}" fill="none" stroke="{BLUE}" '
              f'stroke-width="{line}"/>' for at, line in ((24, 5), (36, 1))]  # fmt: skip
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" width="297mm" height="210mm" viewBox="0 0 1188 840" '
        f"font-family=\"Georgia, 'Noto Serif', 'DejaVu Serif', serif\"><title>Certificate: {escape(name)}</title>\n"
        '<rect width="1188" height="840" fill="white"/>' + "\n".join(["", *drawn, "</svg>", ""])
    )
