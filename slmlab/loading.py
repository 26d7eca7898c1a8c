"""load(name): the model, or in its place the one that runs here, with one line that says so.

The top of the road: catalog, then hardware, then weights, then an engine.
"""

import os
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from endpoint.batch.model import can_batch
from slmlab import weights
from slmlab.catalog import Card, card, card_of_folder
from slmlab.engines.base import Engine
from slmlab.engines.local import SEEING
from slmlab.engines.transformers import as_dict, in_memory_as, refuse_skipped_experts
from slmlab.errors import BadRequest, NotHere, SlmLabError, UnknownName
from slmlab.machine import Machine, machine, will_it_fit

BUNDLED = "smollm2-135m"
MOST_SEATS = 64
ENGINES = {"onnx": ("q4", "int8", "int4", "fp32"), "transformers": ("fp32", "bf16")}


def load(
    name: str = BUNDLED,
    *,
    engine: str | None = None,
    precision: str | None = None,
    fallback: bool = True,
    download: bool = True,
    threads: int | None = None,
    seats: int = 1,
    quantization=None,
) -> Engine:
    """A model ready to answer.

    With no name, the bundled one: ONNX Runtime GenAI on the CPU, with its file's own 4-bit blocks ('q4'). Any other
    name runs on a GPU that fits it, else on the CPU in its published ONNX int4, else the bundled model (for one that
    sees, `tiny-vlm`) answers in its place and one line says so; `fallback=False` raises instead. `engine` ('onnx',
    'transformers') and `precision` choose by hand; the bundled model's 'int8' and 'int4' are its weights rounded a
    second time. `download=False` uses only what is on this machine. A path to a model folder loads what is in it, and
    one to a GGUF file of SmolLM2's family computes with its blocks (Q4_0, Q4_1 or Q8_0); the course's own small models
    (`tiny-moe`, `tiny-dense`, `tiny-vlm`) come with it and run with Transformers. With `seats` above 1, that many
    threads may ask at the same time and share each reading of the weights, where the form allows it.
    `quantization` is a configuration of Transformers' own, such as BitsAndBytesConfig(...), which it loads with.
    """
    _check_choice(engine, precision, threads, seats)
    how = Manner(_engine_for(engine, precision, quantization), precision, download, threads, seats, quantization)
    if _is_path(name):
        return _open_own(Path(name).expanduser(), how)
    wanted = card(name)
    if quantization is not None and wanted.kind == "moe":
        refuse_skipped_experts(as_dict(quantization), wanted.architecture)
    if wanted.wheel:
        return _open_bundled(wanted, how)
    if wanted.shipped:
        return _open_shipped(wanted, how)
    try:
        return _open_published(wanted, how)
    except NotHere as fault:
        if not fallback:
            raise
        other = SEEING if wanted.sees else BUNDLED
        print(f"{other} answers instead of {wanted.id}: {_first_sentence(fault)} To insist: fallback=False.")
        if other == SEEING:
            return _open_shipped(card(other), replace(how, engine=None, precision=None, quantization=None))
        return _open_bundled(card(other), replace(how, engine=engine, precision=None, quantization=None))


@dataclass(frozen=True)
class Manner:
    """What a reader chose by hand, beside the model."""

    engine: str | None
    precision: str | None
    download: bool
    threads: int | None
    seats: int
    quantization: object = None


def _engine_for(engine: str | None, precision: str | None, quantization) -> str | None:
    """A quantization of Transformers' own decides for its engine."""
    if quantization is None:
        return engine
    as_dict(quantization)
    if engine == "onnx" or precision not in (None, *ENGINES["transformers"]):
        raise BadRequest("quantization is for engine='transformers', in place of precision='int8' or 'int4'.")
    return "transformers"


def _check_choice(engine: str | None, precision: str | None, threads: int | None, seats: int) -> None:
    most = 4 * (os.cpu_count() or 1)
    if type(seats) is not int or not 1 <= seats <= MOST_SEATS:
        raise BadRequest(f"seats={seats!r} is out of range: 1 to {MOST_SEATS} threads that ask at the same time.")
    if threads is not None and (type(threads) is not int or not 1 <= threads <= most):
        raise BadRequest(f"threads={threads!r} is out of range: 1 to {most} here, and none for as many as help.")
    if engine is not None and engine not in list(ENGINES):
        raise BadRequest(f"Unknown engine {engine!r}. Available: {', '.join(ENGINES)}.")
    known = ENGINES[engine] if engine else sorted({one for each in ENGINES.values() for one in each})
    if precision is not None and precision not in known:
        raise BadRequest(
            f"Unknown precision {precision!r} for {engine or 'any engine'}. Available: {', '.join(known)}."
        )


def _open_bundled(chosen: Card, how: Manner) -> Engine:
    engine = how.engine or ("transformers" if how.precision == "bf16" else "onnx")
    precision = how.precision or ENGINES[engine][0]
    form = "transformers" if engine == "transformers" else f"onnx-{precision}"
    return _open(chosen, weights.folder(chosen, form, download=how.download), engine, precision, "cpu", how)


def _open_shipped(chosen: Card, how: Manner) -> Engine:
    """One of the course's own small models: Transformers, on the CPU, from data/."""
    if how.engine == "onnx" or how.precision not in (None, *ENGINES["transformers"]):
        asked = " ".join(filter(None, (how.engine, how.precision)))
        raise BadRequest(f"{chosen.name} comes as Transformers in fp32 or bf16, not as {asked}. Leave the choice out.")
    folder = weights.folder(chosen, "transformers")
    return _open(chosen, folder, "transformers", how.precision or "fp32", "cpu", how)


def _open_published(wanted: Card, how: Manner) -> Engine:
    """A model of the hub: on a GPU in bf16 where it fits, else on the CPU in its published ONNX form."""
    here = machine()
    plan = _plan(wanted, here, how)
    if plan is None:
        raise NotHere(_why_not(wanted, here, how))
    engine, precision, device = plan
    form = "transformers" if engine == "transformers" else f"onnx-{precision}"
    if not weights.is_ready(wanted, form) and not how.download:
        raise NotHere(f"it isn't on this machine (to get it: python -m slmlab fetch {wanted.id}).")
    return _open(wanted, weights.folder(wanted, form, download=how.download), engine, precision, device, how)


def _plan(wanted: Card, here: Machine, how: Manner) -> tuple[str, str, str] | None:
    """Engine, precision and device for a published model on this machine, or None."""
    for way in _ways(wanted, here, how):
        slow_detour = way[0] == "transformers" and way[2] == "cpu" and not (how.engine or how.precision)
        size = in_memory_as(how.quantization) if how.quantization else way[1]
        if not slow_detour and _fits(wanted, size, way[2], here):
            return way
    return None


def _ways(wanted: Card, here: Machine, how: Manner) -> list[tuple[str, str, str]]:
    """The published forms of a model that load runs, the best first, as far as the reader's choice allows."""
    if wanted.kind == "closed":
        return []
    gpu = "mps" if here.unified_memory else "cuda"
    cpu = [("transformers", "bf16", "cpu"), ("transformers", "fp32", "cpu")]
    ways = [("transformers", "bf16", gpu), *cpu] if wanted.native else []
    ways += [("onnx", "int4", "cpu")] if wanted.onnx else []
    return [way for way in ways if how.engine in (None, way[0]) and how.precision in (None, way[1])]


def _fits(wanted: Card, precision: str, device: str, here: Machine) -> bool:
    fit = next(iter(will_it_fit(wanted, precision, machine=here)))
    return bool(fit.fits_vram if device == "cuda" else fit.fits_ram)


def _why_not(wanted: Card, here: Machine, how: Manner) -> str:
    if not wanted.hub:
        return f"{wanted.name} has no weights to download: it is a service, not a file."
    if not wanted.native and not wanted.onnx:
        return f"{wanted.name} runs only with code of its own from the hub, which this course never executes."
    if how.engine == "transformers" and not wanted.native and wanted.sees:
        return (
            f"{wanted.name} runs under Transformers only with code of its own, which needs an environment apart: see "
            "data/environments/phi-3.5-vision.txt. engine='onnx' runs it without."
        )
    if not _ways(wanted, here, how):
        asked = " ".join(filter(None, (how.engine, how.precision)))
        if wanted.kind == "moe" and how.precision in ("int8", "int4"):
            return (
                f"{wanted.name} is not published for {asked}, and to quantize it in loading its experts must be named "
                "(slmlab.load(..., quantization=...); most methods would pass over them without a word)."
            )
        return f"{wanted.name} is not published for {asked}. Leave the choice to load()."
    quantized = in_memory_as(how.quantization) if how.quantization else None
    size = how.precision or quantized or ("int4" if wanted.onnx else "bf16")
    fit = next(iter(will_it_fit(wanted, size, machine=here)))
    if fit.fits_ram and not here.unified_memory:
        return (
            f"{wanted.name} is published for a GPU, and none here has room for it. In {size} this CPU has the room, "
            "and would take long for each word: precision='bf16' insists."
        )
    return f"{fit.sentence} See slmlab.will_it_fit({wanted.id!r})."


def _open(chosen: Card, folder: Path, engine: str, precision: str, device: str, how: Manner) -> Engine:
    if engine == "onnx" and how.seats > 1 and can_batch(folder):
        from endpoint.batch.engine import BatchedEngine

        return BatchedEngine(chosen, folder, precision, seats=how.seats, threads=how.threads)
    if engine == "onnx":
        if chosen.sees:
            from slmlab.engines.onnx import OnnxVisionEngine as Engine
        else:
            from slmlab.engines.onnx import OnnxEngine as Engine

        return Engine(chosen, folder, precision, threads=how.threads)
    if chosen.sees:
        from slmlab.engines.transformers import VisionEngine as Engine
    else:
        from slmlab.engines.transformers import TransformersEngine as Engine

    return Engine(chosen, folder, precision, device=device, threads=how.threads, quantization=how.quantization)


def _is_path(name: str) -> bool:
    if not isinstance(name, str | Path) or not str(name):
        raise BadRequest(f"A model's name is text, such as {BUNDLED!r}, not {name!r}.")
    if isinstance(name, Path) or name.startswith((".", "/", "~")) or "\\" in name or name.endswith(".gguf"):
        return True
    try:
        card(name)
    except UnknownName:  # a name of the catalog wins over a folder of that name
        with suppress(OSError, ValueError):
            return Path(name).is_dir()
    return False


def _open_own(path: Path, how: Manner) -> Engine:
    """A GGUF file that the reader has, or a model folder, whose files say which engine it is for."""
    return _open_gguf(path, how) if path.suffix.lower() == ".gguf" else _open_folder(path, how)


def _open_gguf(file: Path, how: Manner) -> Engine:
    if how.engine not in (None, "onnx") or how.precision not in (None, "q4"):
        asked = " ".join(filter(None, (how.engine, how.precision)))
        raise BadRequest(f"{file.name} runs with its own blocks, as onnx q4, not as {asked}. Leave the choice out.")
    folder = weights.of_gguf(file)
    chosen = replace(card_of_folder(folder), id=file.stem, name=file.stem)
    return _open(chosen, folder, "onnx", "q4", "cpu", how)


def _open_folder(folder: Path, how: Manner) -> Engine:
    if not folder.is_dir():
        raise NotHere(
            f"There is no folder {folder}. Give a folder that holds config.json or genai_config.json, or a .gguf file."
        )
    is_onnx = (folder / "genai_config.json").is_file()
    engine = how.engine or ("onnx" if is_onnx else "transformers")
    precision = how.precision or ("int4" if engine == "onnx" else "fp32")
    return _open(card_of_folder(folder), folder, engine, precision, "cpu", how)


def _first_sentence(fault: SlmLabError) -> str:
    return re.split(r"(?<=\.)\s", str(fault))[0]
