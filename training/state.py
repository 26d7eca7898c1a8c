"""What a training leaves on disk: a state that is whole or not there, in a folder that one program trains in."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from filelock import FileLock, Timeout

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / "training" / "work"  # not in git: downloads and states


def lock(folder: Path) -> FileLock:
    """Held by the program that trains in a folder."""
    held = FileLock(folder / "lock")
    try:
        held.acquire(timeout=0)
    except Timeout:
        raise SystemExit(f"Another program trains in {folder}. Wait for it, or stop it.") from None
    return held


def save_state(path: Path, state: dict) -> None:
    part = path.with_suffix(".part")
    try:
        torch.save(state, part)
        os.replace(part, path)
    except (OSError, RuntimeError) as fault:  # a full disk is a RuntimeError inside torch
        part.unlink(missing_ok=True)
        raise SystemExit(
            f"The state can't be written to {path.parent} ({fault}). Free some room or make it writable; the same "
            "command goes on from the last state."
        ) from fault


def read_state(path: Path) -> dict:
    """What a training left; the file holds numbers and names and no code."""
    if not path.is_file():
        raise SystemExit(f"There is no {path}: train this model first, with the command `train`.")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as fault:  # a cut or foreign file fails in any way inside torch.load
        raise SystemExit(f"{path} can't be read ({fault}). Delete it, and the training begins anew.") from fault


def refuse_other(path: Path, state: dict, **wanted) -> None:
    """Refuse a state that was made with another recipe, or another curriculum, or of other texts."""
    for what, now in wanted.items():
        if state.get(what, now) != now:
            raise SystemExit(f"The {what} of {path} and of this training differ: delete it, or train as it was made.")


@contextmanager
def model_folder(target: Path, most_bytes: int) -> Iterator[Path]:
    """A folder to write a model into; when it is whole and no larger than that, its files take their place in `target`,
    and what else is there stays."""
    new = target.with_name(target.name + ".new")
    shutil.rmtree(new, ignore_errors=True)
    try:
        yield new
        size = (new / "model.safetensors").stat().st_size
        if size > most_bytes:
            raise SystemExit(f"{target.name} has {size:,} bytes, more than the {most_bytes:,} that the course carries.")
        target.mkdir(parents=True, exist_ok=True)
        for path in new.iterdir():
            path.chmod(0o644)  # safetensors writes for its owner alone
            path.replace(target / path.name)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def write_whole(path: Path, text: str) -> None:
    """A file that is as it was, or as it should be, and never half."""
    part = path.with_name(path.name + ".part")
    try:
        part.write_text(text, encoding="utf-8")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
