"""load(name): the model, or in its place the one that runs here, with one line that says so.

plan() decides (catalog, then machine, then weights) and opened() opens an engine. Knows nothing about what engines do.
"""

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path

from slmlab import weights
from slmlab.catalog import Card, card, card_of_folder
from slmlab.engines.base import Engine
from slmlab.engines.local import SEEING
from slmlab.errors import BadRequest, NotHere, UnknownName, whole
from slmlab.machine import Machine, machine, will_it_fit

BUNDLED = "smollm2-135m"
ENGINES = {"onnx": ("q4", "int8", "int4", "fp32"), "transformers": ("fp32", "bf16")}


@dataclass(frozen=True)
class Plan:
    """What answers, and how. `device` is 'cpu', 'cuda', 'mps', or 'auto' for a GPU and, for the rest, the CPU."""

    card: Card
    folder: Path
    engine: str
    precision: str
    device: str = "cpu"
    quantization: object = None


def load(
    name: str = BUNDLED,
    *,
    engine: str | None = None,
    precision: str | None = None,
    fallback: bool = True,
    download: bool = True,
    threads: int | None = None,
    quantization=None,
) -> Engine:
    """A model ready to answer.

    With no name, the bundled one: ONNX Runtime GenAI on the CPU, with its file's own 4-bit blocks ('q4'). Any other
    name runs on a GPU that fits it, else on the CPU in its published ONNX int4, else on GPU and CPU together; else the
    bundled model (for one that sees, `tiny-vlm`) answers in its place and one line says so; `fallback=False` raises
    instead. `engine` ('onnx', 'transformers') and `precision` choose by hand; the bundled model's 'int8' and 'int4' are
    its weights rounded a second time. `download=False` uses only what is on this machine. A path to a model folder
    loads what is in it, and one to a GGUF file of SmolLM2's family computes with its blocks (Q4_0, Q4_1 or Q8_0); the
    course's own small models (`tiny-moe`, `tiny-dense`, `tiny-vlm`) come with it and run with Transformers.
    `quantization` is a configuration of Transformers' own, such as BitsAndBytesConfig(...), which it loads with.
    """
    chosen = plan(
        name, engine=engine, precision=precision, fallback=fallback, download=download, quantization=quantization
    )
    return opened(chosen, threads)


def opened(chosen: Plan, threads: int | None = None) -> Engine:
    """The engine of a plan, its weights in memory."""
    if threads is not None:
        most = 4 * (os.cpu_count() or 1)
        threads = whole("threads", threads, 1, most, f"1 to {most} here, and none for as many as help")
    given = (chosen.card, chosen.folder, chosen.precision)
    if chosen.engine == "onnx":
        from slmlab.engines import onnx

        return (onnx.OnnxVisionEngine if chosen.card.sees else onnx.OnnxEngine)(*given, threads=threads)
    from slmlab.engines import transformers

    kind = transformers.VisionEngine if chosen.card.sees else transformers.TransformersEngine
    return kind(*given, device=chosen.device, threads=threads, quantization=chosen.quantization)


def plan(
    name: str = BUNDLED,
    *,
    engine: str | None = None,
    precision: str | None = None,
    fallback: bool = True,
    download: bool = True,
    quantization=None,
) -> Plan:
    """What load() would open, its files on this machine: the model that is named, or the one that answers instead."""
    _check_choice(engine, precision)
    path, wanted = _path_or_card(name)
    its_engine, size = engine, None
    if quantization is not None:  # it decides for its engine
        its_engine, size = "transformers", _size_of(quantization, engine, precision, wanted)
    if path:
        return replace(_own(path, its_engine, precision), quantization=quantization)
    try:
        return replace(_of_catalog(wanted, its_engine, precision, download, size), quantization=quantization)
    except NotHere as fault:
        if not fallback or wanted.wheel or wanted.shipped:
            raise
        other = SEEING if wanted.sees else BUNDLED
        why = re.split(r"(?<=\.)\s", str(fault))[0]  # its first sentence
        print(f"{other} answers instead of {wanted.id}: {why} To insist: fallback=False.")
        return plan(other, engine=None if wanted.sees else engine, download=download)


def _check_choice(engine: str | None, precision: str | None) -> None:
    if engine is not None and engine not in ENGINES:
        raise BadRequest(f"Unknown engine {engine!r}. Available: {', '.join(ENGINES)}.")
    known = ENGINES[engine] if engine else sorted({one for each in ENGINES.values() for one in each})
    if precision is not None and precision not in known:
        asked = f"Unknown precision {precision!r} for {engine or 'any engine'}."
        raise BadRequest(f"{asked} Available: {', '.join(known)}.")


def _size_of(quantization, engine: str | None, precision: str | None, wanted: Card | None) -> str:
    """The precision whose size comes nearest to what a quantization of Transformers' own takes."""
    from slmlab.engines.transformers import as_dict, in_memory_as, refuse_skipped_experts

    found = as_dict(quantization)
    if engine == "onnx" or precision not in (None, *ENGINES["transformers"]):
        raise BadRequest("quantization is for engine='transformers', in place of precision='int8' or 'int4'.")
    if wanted and wanted.kind == "moe":
        refuse_skipped_experts(found, wanted.architecture)
    return in_memory_as(quantization)


def _path_or_card(name: str | Path) -> tuple[Path | None, Card | None]:
    """What a name is: a path, or a card. A name of the catalog wins over a folder of that name."""
    path = isinstance(name, Path) or isinstance(name, str) and (name.startswith((".", "/", "~")) or "\\" in name)
    if path or str(name).endswith(".gguf"):
        return Path(name).expanduser(), None
    try:
        return None, card(name)
    except UnknownName:
        if os.path.isdir(name):
            return Path(name), None
        raise


def _asked(engine: str | None, precision: str | None) -> str:
    return " ".join(filter(None, (engine, precision)))


def _own(path: Path, engine: str | None, precision: str | None) -> Plan:
    """A GGUF file that the reader has, or a model folder, whose files say which engine it is for."""
    if path.suffix.lower() == ".gguf":
        if engine not in (None, "onnx") or precision not in (None, "q4"):
            asked = _asked(engine, precision)
            raise BadRequest(f"{path.name} runs with its own blocks, as onnx q4, not as {asked}. Leave the choice out.")
        folder = weights.of_gguf(path)
        return Plan(replace(card_of_folder(folder), id=path.stem, name=path.stem), folder, "onnx", "q4")
    if not path.is_dir():
        wanted = "Give a folder that holds config.json or genai_config.json, or a .gguf file."
        raise NotHere(f"There is no folder {path}. {wanted}")
    engine = engine or ("onnx" if (path / "genai_config.json").is_file() else "transformers")
    precision = precision or ("int4" if engine == "onnx" else "fp32")
    return Plan(card_of_folder(path), path, engine, precision)


def _of_catalog(wanted: Card, engine: str | None, precision: str | None, download: bool, size: str | None) -> Plan:
    """How a model of the catalog runs here, its files fetched or converted where they are missing."""
    device, published = "cpu", not (wanted.wheel or wanted.shipped)
    if published:
        engine, precision, device = _best_way(wanted, engine, precision, size)
    elif wanted.wheel:
        engine = engine or ("transformers" if precision == "bf16" else "onnx")
    elif engine == "onnx" or precision not in (None, *ENGINES["transformers"]):
        asked = _asked(engine, precision)
        raise BadRequest(f"{wanted.name} comes as Transformers in fp32 or bf16, not as {asked}. Leave the choice out.")
    engine = engine or "transformers"
    precision = precision or ENGINES[engine][0]
    form = "transformers" if engine == "transformers" else f"onnx-{precision}"
    if published and not download and not weights.is_ready(wanted, form):
        raise NotHere(f"it isn't on this machine (to get it: python -m slmlab fetch {wanted.id}).")
    folder = weights.folder(wanted, form, download=download)
    if device == "auto":
        print(f"{wanted.id} is larger than the GPU's free memory: the rest of it runs on the CPU, which is slower.")
    return Plan(wanted, folder, engine, precision, device)


def _best_way(wanted: Card, engine: str | None, precision: str | None, size: str | None) -> tuple[str, str, str]:
    """Engine, precision and device of a published model: the first that fits this machine and the reader's choice.

    `size` is the precision that it has in memory, where that is not the one of its files."""
    here, insisted = machine(), bool(engine or precision)
    ways = [one for one in _ways(wanted, here) if engine in (None, one[0]) and precision in (None, one[1])]
    for way in ways:
        if _fits(wanted, size or way[1], way[2], here, insisted) and not (size and way[2] == "auto"):
            return way
    if not ways:
        raise NotHere(_not_published(wanted, engine, precision))
    size = precision or size or ("int4" if wanted.onnx else "bf16")
    fit = will_it_fit(wanted, size, machine=here)[0]
    if fit.fits_ram and not here.unified_memory:
        raise NotHere(
            f"{wanted.name} is published for a GPU, and none here has room for it. In {size} this CPU has the room, "
            "and would take long for each word: precision='bf16' insists."
        )
    raise NotHere(f"{fit.sentence} See slmlab.will_it_fit({wanted.id!r}).")


def _ways(wanted: Card, here: Machine) -> list[tuple[str, str, str]]:
    """The published forms of a model that run here, the best first."""
    gpu = "cuda" if here.vram_bytes else None
    if here.unified_memory:  # machine() has asked torch about CUDA; about Apple's GPU it is asked now
        import torch

        gpu = "mps" if torch.backends.mps.is_available() else None
    alone = [("transformers", "bf16", gpu)] if wanted.native and gpu else []
    published = [("onnx", "int4", "cpu")] if wanted.onnx else []
    # What is not on the card crosses the bus for every token: int4 on the CPU is a third of that to read.
    shared = [("transformers", "bf16", "auto")] if wanted.native and gpu == "cuda" else []
    slow = [("transformers", "bf16", "cpu"), ("transformers", "fp32", "cpu")] if wanted.native else []
    return alone + published + shared + slow


def _fits(wanted: Card, size: str, device: str, here: Machine, insisted: bool) -> bool:
    fit = will_it_fit(wanted, size, machine=here)[0]
    if device == "cuda":
        return fit.fits_vram
    if device == "auto":  # unless the reader insists, at least half of it on the card
        both = here.vram_free_bytes + here.ram_available_bytes
        return fit.total_bytes <= (both if insisted else min(both, 2 * here.vram_free_bytes))
    slow = size in ENGINES["transformers"] and device == "cpu"
    return fit.fits_ram and (insisted or not slow)


def _not_published(wanted: Card, engine: str | None, precision: str | None) -> str:
    asked = _asked(engine, precision)
    if not wanted.hub:
        return f"{wanted.name} has no weights to download: it is a service, not a file."
    if not wanted.native and not wanted.onnx:
        return f"{wanted.name} runs only with code of its own from the hub, which this course never executes."
    if engine == "transformers" and not wanted.native and wanted.sees:
        return (
            f"{wanted.name} runs under Transformers only with code of its own, which needs an environment apart: see "
            "data/environments/phi-3.5-vision.txt. engine='onnx' runs it without."
        )
    if wanted.kind == "moe" and precision in ("int8", "int4"):
        return (
            f"{wanted.name} is not published for {asked}, and to quantize it in loading its experts must be named "
            "(slmlab.load(..., quantization=...); most methods would pass over them without a word)."
        )
    return f"{wanted.name} is not published for {asked}. Leave the choice to load()."
