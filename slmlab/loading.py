"""load(name): the model, or in its place the one that runs here, with one line that says so.

plan() decides (catalog, then machine, then weights) and opened() opens an engine. Knows nothing about what engines do.
"""

import json
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path

from slmlab import weights
from slmlab.catalog import Card, card, card_of_folder
from slmlab.connecting import connect, known_card, placed
from slmlab.engines import onnx, transformers
from slmlab.engines.base import Engine
from slmlab.engines.local import SEEING
from slmlab.errors import BadRequest, NotHere, SlmLabError, UnknownName, in_range
from slmlab.machine import Machine, machine, will_it_fit

BUNDLED = "smollm2-135m"
ADAPTED = "adapter_config.json"  # in a folder of peft's
SHARED = "SLMLAB_ENDPOINT"  # the variable by which a hub gives a class its one endpoint
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
    adapters: tuple[Path, ...] = ()  # merged into the folder's weights in memory


def load(
    name: str = BUNDLED, *, engine: str | None = None, precision: str | None = None, fallback: bool = True,
    download: bool = True, threads: int | None = None, quantization=None,
) -> Engine:  # fmt: skip
    """A model ready to answer.

    With no name, the bundled one: ONNX Runtime GenAI on the CPU, with its file's own 4-bit blocks ('q4'). Any other
    name runs on a GPU that fits it, else on the CPU in its published ONNX int4, else on GPU and CPU together; else the
    bundled model (for one that sees, `tiny-vlm`) answers in its place and one line says so. A path to a GGUF file
    of SmolLM2's family (Q4_0, Q4_1 or Q8_0) or to a model folder loads what is there; a folder of Transformers with
    precision='int8' is converted to ONNX first. A path to an adapter of peft's loads its base, which is found by the
    name or path in adapter_config.json, and merges the adapter into it in memory.

    engine: 'onnx' or 'transformers'.
    precision: 'q4', 'int8', 'int4', 'fp32' or 'bf16'. The bundled model's 'int8' and 'int4' are rounded a second time.
    fallback: False raises where another model would answer. download: False uses only what is on this machine.
    quantization: a configuration of Transformers' own, such as BitsAndBytesConfig(...), which it loads with.
    Where SLMLAB_ENDPOINT names a class's endpoint, it answers for what it serves, unless you say how to run it.
    """
    anyhow = (engine, precision, quantization, threads) == (None, None, None, None)
    if anyhow and (shared := _shared(name, os.environ.get(SHARED), download)):
        return shared
    choice = {"engine": engine, "precision": precision, "fallback": fallback, "download": download}
    return opened(plan(name, **choice, quantization=quantization), threads)


def opened(chosen: Plan, threads: int | None = None) -> Engine:
    """The engine of a plan, its weights in memory."""
    if threads is not None:
        most = 4 * (os.cpu_count() or 1)
        threads = in_range("threads", threads, 1, most, f"1 to {most} here, and none for as many as help")
    given = (chosen.card, chosen.folder, chosen.precision)
    if chosen.engine == "onnx":
        return onnx.OnnxEngine(*given, threads=threads)
    kind = transformers.VisionEngine if chosen.card.sees else transformers.TransformersEngine
    options = {"device": chosen.device, "quantization": chosen.quantization, "adapters": chosen.adapters}
    return kind(*given, threads=threads, **options)


def _shared(name, url: str | None, download: bool) -> Engine | None:
    """A model that the endpoint of a class answers for, or None: it doesn't serve this one, or doesn't answer."""
    wanted = known_card(name) if url and isinstance(name, str) else None
    try:  # asked once: an endpoint that hangs costs ten seconds
        if not wanted or f'"{wanted.id}"' not in placed(url).read("/models"):
            return None
        remote = connect(url, wanted.id)
    except SlmLabError as fault:
        print(f"The class's endpoint ({SHARED}) can't be asked, so {wanted.id} is loaded here. {fault}")
        return None
    try:
        found = plan(wanted.id, fallback=False, download=download and wanted.wheel is not None)
    except NotHere:
        found = None
    if found and wanted.kind != "text":  # its lessons look inside from the first cell on
        return None
    print(f"{wanted.id} answers from the class's endpoint, {url}: no weights are loaded here.")
    remote.always = ("max_tokens", "temperature", "top_p")  # what a learner alone gets; vLLM has defaults of its own
    from slmlab.engines.shared import SharedEngine  # here: the openai package costs a lesson's first cell half a second

    return SharedEngine(found, remote, lambda: opened(found)) if found else remote


def plan(name=BUNDLED, *, engine=None, precision=None, fallback=True, download=True, quantization=None) -> Plan:
    """What load() would open, its files on this machine: the model that is named, or the one that answers instead."""
    if quantization is not None:
        if engine == "onnx":
            raise BadRequest("quantization is for engine='transformers'.")
        engine = "transformers"
    if not any(engine in (None, one) and precision in (None, *forms) for one, forms in ENGINES.items()):
        known = "; ".join(f"{one} in {', '.join(forms)}" for one, forms in ENGINES.items())
        raise BadRequest(f"There is no engine={engine!r} with precision={precision!r}. Available: {known}.")
    try:  # a name of the catalog wins over a folder of that name
        wanted = None if isinstance(name, Path) else card(name)
    except UnknownName:
        if not (os.path.exists(os.path.expanduser(name)) or name.lower().endswith(".gguf")):
            raise
        wanted = None
    if wanted is None:
        return _own(Path(name).expanduser(), engine, precision, download, quantization)
    try:
        return _of_catalog(wanted, engine, precision, download, quantization)
    except NotHere as fault:
        if not fallback or wanted.wheel or wanted.shipped:
            raise
        other = SEEING if wanted.sees else BUNDLED
        why = re.split(r"(?<=\.)\s", str(fault))[0]  # its first sentence
        print(f"{other} answers instead of {wanted.id}: {why} To insist: fallback=False.")
        return plan(other, engine=None if wanted.sees else engine, download=download)


def _own(path: Path, engine: str | None, precision: str | None, download: bool, quantization) -> Plan:
    """A GGUF file that the reader has, an adapter, or a model folder, whose files say which engine it is for."""
    if path.suffix.lower() == ".gguf":
        if engine == "transformers" or precision not in (None, "q4"):
            raise BadRequest(f"{path.name} runs with its own blocks, as onnx q4. Leave engine and precision out.")
        folder = weights.of_own(path, "onnx-q4")
        return Plan(replace(card_of_folder(folder), id=path.stem, name=path.stem), folder, "onnx", "q4")
    if not path.is_dir():
        raise NotHere(f"There is no folder {path}. It should hold config.json or genai_config.json.")
    if (path / ADAPTED).is_file():
        return _adapted(path, engine, precision, download=download, quantization=quantization)
    made = (path / "genai_config.json").is_file()
    engine = engine or ("onnx" if made or precision not in (None, *ENGINES["transformers"]) else "transformers")
    precision = precision or ("fp32" if engine == "transformers" else "int4" if made else "int8")
    if precision == "q4" and not made:
        raise BadRequest(f"q4 is a GGUF file's own blocks, and {path.name} is a folder: precision='int8', or 'int4'.")
    folder = path if made or engine == "transformers" else weights.of_own(path, f"onnx-{precision}")
    return Plan(card_of_folder(path), folder, engine, precision, quantization=quantization)


def _adapted(path: Path, engine: str | None, precision: str | None, **choice) -> Plan:
    """The plan of an adapter's base, with the adapter to be merged into it."""
    if engine == "onnx" or precision not in (None, *ENGINES["transformers"]):
        merge = "save it merged, with its tokenizer: model.merge_and_unload().save_pretrained('merged')"
        raise BadRequest(f"{path.name} is an adapter. For ONNX, {merge}; then load('merged', precision='int8').")
    try:
        base = json.loads((path / ADAPTED).read_bytes()).get("base_model_name_or_path") or ""
        found = plan(base, engine="transformers", precision=precision, fallback=False, **choice)
    except (ValueError, UnknownName) as fault:
        raise NotHere(f"{path / ADAPTED} names no base that is here: write one's folder or name. {fault}") from fault
    print(f"{path.name} is an adapter: it is merged into {'/'.join(found.folder.parts[-2:])} in memory.")
    return replace(found, card=replace(found.card, id=path.name, name=path.name), adapters=(*found.adapters, path))


def _of_catalog(wanted: Card, engine: str | None, precision: str | None, download: bool, quantization) -> Plan:
    """How a model of the catalog runs here, its files fetched or converted where they are missing."""
    device, published = "cpu", not (wanted.wheel or wanted.shipped)
    if quantization is not None and wanted.kind == "moe":
        transformers.refuse_skipped_experts(quantization, wanted.architecture)
    if published:
        engine, precision, device = _best_way(wanted, engine, precision, quantization)
    elif wanted.wheel:
        engine = engine or ("transformers" if precision == "bf16" else "onnx")
    elif engine == "onnx" or precision not in (None, *ENGINES["transformers"]):
        raise BadRequest(f"{wanted.name} comes as Transformers in fp32 or bf16. Leave engine and precision out.")
    engine = engine or "transformers"
    precision = precision or ENGINES[engine][0]
    form = "transformers" if engine == "transformers" else f"onnx-{precision}"
    if published and not download and weights.fault_of(weights.place(wanted, form)):
        raise NotHere(f"it isn't on this machine (to get it: python -m slmlab fetch {wanted.id}).")
    return Plan(wanted, weights.folder(wanted, form, download=download), engine, precision, device, quantization)


def _best_way(wanted: Card, engine: str | None, precision: str | None, quantization) -> tuple[str, str, str]:
    """Engine, precision and device of a published model: the first that fits this machine and the reader's choice."""
    here = machine()
    size = None if quantization is None else "int4"  # in memory it takes as much, or more: that shows in loading it
    ways = _ways(wanted, here, engine, precision)
    for runner, bits, device, room in ways:
        fits = will_it_fit(wanted, size or bits, machine=here)[0].total_bytes <= room
        if fits and not (size and device == "auto"):
            return runner, bits, device
    if not ways:
        why = "is not published in a form that runs here with this choice: leave engine and precision out."
        if not wanted.ids.hub:
            why = "has no weights to download: it is a service, not a file."
        elif not wanted.native:
            why = "runs under Transformers only with code of its own, which this course never executes."
            why += " engine='onnx' runs it without." if wanted.onnx else ""
        raise NotHere(f"{wanted.name} {why}")
    fit = will_it_fit(wanted, size or precision or ("int4" if wanted.onnx else "bf16"), machine=here)[0]
    if fit.total_bytes <= here.ram_available_bytes and not here.unified_memory:
        slow = "precision='bf16' insists on this CPU, where each word takes long."
        raise NotHere(f"{wanted.name} is published for a GPU, and none here has room for it. {slow}")
    raise NotHere(f"{fit.sentence} See slmlab.will_it_fit({wanted.id!r}).")


def _ways(wanted: Card, here: Machine, engine: str | None, precision: str | None) -> list[tuple[str, str, str, int]]:
    """What is published and was asked for, the best first: engine, precision, device, and the bytes of room there."""
    ram, gpu = here.ram_available_bytes, here.vram_free_bytes or 0
    slow, shared = ram, gpu + ram
    if not (engine or precision):  # what takes long for each word, unless the reader insists
        slow, shared = 0, min(shared, 2 * gpu)  # at least half of it on the card
    ways = [
        ("transformers", "bf16", "cuda", gpu),
        ("transformers", "bf16", "mps", ram if here.unified_memory else 0),
        ("onnx", "int4", "cpu", ram),
        # What is not on the card crosses the bus for every token: int4 on the CPU is a third of that to read.
        ("transformers", "bf16", "auto", shared if gpu else 0),
        ("transformers", "bf16", "cpu", slow),
        ("transformers", "fp32", "cpu", slow),
    ]
    ways = [one for one in ways if (wanted.onnx if one[0] == "onnx" else wanted.native)]
    return [one for one in ways if engine in (None, one[0]) and precision in (None, one[1])]
