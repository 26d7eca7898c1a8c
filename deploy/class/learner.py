"""What runs before a learner's server, as the learner: a copy of the course, models, a limit, then the server itself.

python learner.py [--memory-gb N] COMMAND ...      COMMAND is jupyterhub-singleuser with its options

It runs under the learner's account, so a link that a learner made can't lead it to a place closed to the learner.
"""

import argparse
import hashlib
import json
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("README.md", "notebooks", "data")  # lessons open ../data
LEFT = ("models", "environments", "__pycache__", ".ipynb_checkpoints")  # the package itself knows where its models are
NOTE = ".given.json"  # the hash of each file as it was given


def digest(file: Path) -> str | None:
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else None


def renew(course: Path, own: Path) -> list[str]:
    """Bring a learner's copy up to date. A file that the learner changed is kept, and the new one is put beside it."""
    note = own / NOTE
    try:
        given = json.loads(note.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # the first time; or the learner changed it
        given = {}
    beside = []
    for file in sorted(one for part in PARTS for one in (course / part, *(course / part).rglob("*")) if one.is_file()):
        if set(file.relative_to(course).parts) & set(LEFT):
            continue
        name, new = file.relative_to(course).as_posix(), file.read_bytes()
        known = hashlib.sha256(new).hexdigest()
        if given.get(name) == known and (own / name).exists():
            continue
        target = own / name
        while digest(target) not in (None, known, given.get(target.relative_to(own).as_posix())):  # the learner's work
            target = target.with_stem(target.stem + ".new")
        if digest(target) != known:
            put(target, new)
            beside += [target.relative_to(own).as_posix()] if target != own / name else []
        given |= {name: known, target.relative_to(own).as_posix(): known}
    put(note, json.dumps(given).encode())
    return beside


def put(target: Path, content: bytes) -> None:
    """All of it or nothing: half a lesson would look like the learner's work."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    try:
        part.write_bytes(content)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def share_models(shared: Path, own: Path) -> None:
    """Let a learner's own cache show the shared models. What a lesson makes or trains goes into their own."""
    own.mkdir(parents=True, exist_ok=True)
    for model in (one for one in shared.glob("*") if one.is_dir()):
        mine = own / model.name
        if not mine.exists():
            mine.unlink(missing_ok=True)  # it led to a place that is no more
            mine.symlink_to(model)


def limit(gigabytes: float) -> None:
    """No process of this learner gets more: Python raises MemoryError there. Linux counts; macOS takes no notice."""
    import resource

    size = int(gigabytes * 1e9)
    resource.setrlimit(resource.RLIMIT_DATA, (size, size))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--memory-gb", type=float, help="the most that each process of this learner may hold")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    own = Path.home() / "slm-lab"
    own.mkdir(parents=True, exist_ok=True)
    try:
        for name in renew(ROOT, own):
            print(f"{own / name} is new in the course. Your own file is kept beside it.", flush=True)
    except OSError as fault:  # a full disk: the learner comes in, and can delete something
        print(f"The course's files were not all renewed: {fault}", flush=True)
    if shared := os.environ.pop("SLMLAB_CACHE", None):  # from here on the learner's own is in the usual place
        share_models(Path(shared) / "models", Path.home() / ".cache/slmlab/models")
    if options.memory_gb:
        limit(options.memory_gb)
    os.chdir(own)
    os.execvp(options.command[0], options.command)


if __name__ == "__main__":
    sys.exit(main())
