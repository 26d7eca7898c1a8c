"""What this machine has, and whether a model fits it: weights, KV cache and runtime against memory and disk.

Gives a verdict before anything is downloaded. Imports torch only to ask it about a GPU.
"""

import os
import platform
import shutil
import sys
import tomllib
from contextlib import suppress
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path

from slmlab.architecture import PRECISIONS
from slmlab.catalog import DATA, Card, card
from slmlab.errors import BadRequest, UnknownName, in_range, nearest, quoted
from slmlab.show import Shown, Table, in_bytes, in_count


@dataclass(frozen=True)
class Machine:
    """A machine, real or imagined. What it lacks, or nobody has said, is None."""

    ram_total_bytes: int
    ram_available_bytes: int
    vram_bytes: int | None = None
    vram_free_bytes: int | None = None
    gpu: str | None = None
    unified_memory: bool = False
    disk_free_bytes: int | None = None
    name: str = "this machine"


_FACTS = tomllib.loads((DATA / "machines.toml").read_text(encoding="utf-8"))
NAMED = {name: Machine(**facts) for name, facts in _FACTS.items()}  # to compare with


def machine() -> Machine:
    """This machine as it is now, within the limits of a container if there is one."""
    apple = platform.system() == "Darwin" and platform.machine() == "arm64"
    gpu, vram, free = "Apple silicon" if apple else None, None, None
    # Torch may be a CPU build, or the card hidden from it. Importing it takes seconds, so only where a driver is.
    if "torch" in sys.modules or (shutil.which("nvidia-smi") and PathFinder.find_spec("torch")):
        import torch

        with suppress(RuntimeError):  # the card is there, and taken or out of order
            if torch.cuda.is_available():
                free, vram = torch.cuda.mem_get_info(0)  # .to("cuda") is card 0
                gpu = torch.cuda.get_device_name(0)
    cache = cache_folder()
    home = next(place for place in (cache, *cache.parents) if os.path.isdir(place))
    return Machine(*memory(), vram, free, gpu, apple, shutil.disk_usage(home).free)


_this_machine = machine  # will_it_fit has an argument of that name


def cache_folder() -> Path:
    """Where models live: SLMLAB_CACHE, or .cache/slmlab in the home folder."""
    return Path(os.path.expanduser(os.environ.get("SLMLAB_CACHE") or "~/.cache/slmlab")).absolute()


def memory(root: Path = Path("/")) -> tuple[int, int]:
    """Bytes of RAM in all, and bytes that a new program could have now; both within the container's limit."""
    import psutil

    now = psutil.virtual_memory()
    limit = _cgroup(root, "memory.max") or ["max"]
    if limit == ["max"]:
        return now.total, now.available
    words = _cgroup(root, "memory.stat")
    stat = dict(zip(words[::2], words[1::2], strict=False))
    # The kernel gives a file cache back: a container that has just read a model is full of one, and not short.
    used = int(_cgroup(root, "memory.current")[0]) - int(stat.get("inactive_file", 0))
    total = min(int(limit[0]), now.total)
    return total, max(0, min(total - used, now.available))


def cores(root: Path = Path("/")) -> tuple[int, int]:
    """Physical cores of the machine, and logical cores that this process may use."""
    import psutil

    every = os.cpu_count() or 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else every
    quota, period = _cgroup(root, "cpu.max") or ("max", "")
    if quota != "max":  # half a core is still one thread
        usable = min(usable, max(1, int(quota) // int(period)))
    return psutil.cpu_count(logical=False) or every, usable


def _cgroup(root: Path, name: str) -> list[str]:
    """The words of a file in the container's own cgroup, as in JupyterHub's; none outside a container."""
    file = root / "sys/fs/cgroup" / name
    return file.read_text(encoding="utf-8").split() if file.exists() else []


def best_threads(root: Path = Path("/")) -> int:
    """One per physical core: two threads on one core share its arithmetic and wait for each other at every layer."""
    return min(cores(root))


# What a runtime takes beside weights and KV cache. Measured on the bundled model as resident memory less the size of
# the files: ONNX Runtime 76 MB (int8: 335 for 259), 165 MB (int4), 223 MB (fp32); Transformers 375 to 400 MB. So 400 MB
# for any of them, and a margin of a twentieth of the weights for what grows with a model.
RUNTIME_BYTES, MARGIN = 400_000_000, 0.05
EASE = 0.9  # a model that takes more than this share of what is free runs, and leaves nothing for the rest


@dataclass(frozen=True)
class Fit:
    """One model in one precision on one machine. Sizes in bytes; None where nobody knows."""

    model: str
    precision: str
    parameters: int | None
    active_parameters: int | None  # those that a token goes through
    verdict: str
    sentence: str
    weights_bytes: int | None = None
    kv_bytes: int | None = None
    overhead_bytes: int | None = None
    total_bytes: int | None = None  # in memory, while it answers


@dataclass(frozen=True, repr=False)
class FitReport(Shown):
    """The fits of one model, a row per precision: report[0], report["int4"], or iterate it."""

    card: Card
    context: int
    machine: Machine
    fits: tuple[Fit, ...]

    def __getitem__(self, which: str | int) -> Fit:
        return {fit.precision: fit for fit in self.fits}[which] if isinstance(which, str) else self.fits[which]

    def _table(self) -> Table:
        here, rows = self.machine, []
        for fit in self.fits:
            sizes = map(in_bytes, (fit.weights_bytes, fit.kv_bytes, fit.overhead_bytes, fit.total_bytes))
            rows.append((fit.precision, *sizes, fit.verdict, fit.sentence))
        free = f"{in_bytes(here.ram_available_bytes)} of {in_bytes(here.ram_total_bytes)} RAM free"
        gpu = f", GPU {in_bytes(here.vram_free_bytes)} free" if here.vram_bytes else ""
        caption = f"{self.card.name} with {self.context:,} tokens of context on {here.name} ({free}{gpu})"
        heads = ("precision", "weights", "KV cache", "runtime", "in memory", "verdict", "")
        return Table(heads, rows, caption, wrap=100)


def will_it_fit(name: str | Card, precision: str | None = None, context: int | None = None, machine=None) -> FitReport:
    """Whether a model fits a machine (this one, unless 'phone' or 'laptop' is named), in one precision or in each, with
    a conversation of `context` tokens: 4,096, or the model's own limit, if not given."""
    chosen = card(name)
    known = ("q4", *PRECISIONS) if chosen.wheel else PRECISIONS  # the blocks of a wheel's file, as they are
    if precision not in (None, *known):
        raise BadRequest(f"Unknown precision {precision!r}. Available: {', '.join(known)}.")
    if isinstance(machine, str) and machine not in NAMED:
        raise UnknownName(f"Unknown machine {quoted(machine)}. {nearest(machine, list(NAMED))}")
    here, most = NAMED.get(machine, machine) or _this_machine(), chosen.context or 10**9
    tokens = min(most, 4096) if context is None else context
    tokens = in_range("context", tokens, 1, most, f"{chosen.name} takes 1 to {most:,} tokens")
    wanted = [precision] if precision else PRECISIONS
    return FitReport(chosen, tokens, here, tuple(_fit(chosen, one, tokens, here) for one in wanted))


def _fit(chosen: Card, precision: str, tokens: int, here: Machine) -> Fit:
    every, active = chosen.parameters, chosen.active_parameters
    known = (chosen.id, precision, every, active)
    size = chosen.weight_bytes(precision)
    if size is None:
        return Fit(*known, "unknown", f"{chosen.maker} never published the size of {chosen.name}.")
    # ONNX Runtime on a CPU keeps the cache in fp32 whatever the weights are, Transformers in the type of the weights.
    # A sliding window is not taken off: not every runtime drops what has left it.
    kv = tokens * chosen.kv_bytes_per_token("bf16" if precision == "bf16" else "fp32")
    overhead = RUNTIME_BYTES + int(size * MARGIN)
    total = size + kv + overhead
    verdict, sentence = _judged(total, size, here)
    if kv > size and verdict != "fits":
        sentence += f" Most of it is the KV cache of {tokens:,} tokens: a smaller context helps."
    if chosen.architecture.experts > 1:
        why = f"for the next token may want any of the {chosen.architecture.experts} experts of a layer"
        work = f"each token computes with {in_count(active)}, as in a dense model of that size"
        sentence += f" Memory holds all {in_count(every)} parameters, {why}; {work}."
    return Fit(*known, verdict, sentence, size, kv, overhead, total)


def _judged(total: int, disk: int, here: Machine) -> tuple[str, str]:
    if here.disk_free_bytes is not None and disk > here.disk_free_bytes:
        return "too big", f"Its files take {in_bytes(disk)} and the disk has {in_bytes(here.disk_free_bytes)} free."
    ram, all_ram, vram = here.ram_available_bytes, here.ram_total_bytes, here.vram_free_bytes
    takes = f"It takes {in_bytes(total)} of memory"
    for free, share, verdict, reason in (
        (ram, EASE, "fits", f"; {in_bytes(ram)} RAM are free."),
        (vram, EASE, "fits", f"; {in_bytes(vram)} are free on the GPU."),
        (ram, 1, "tight", f", and leaves almost nothing of {in_bytes(ram)} free RAM."),
        (vram, 1, "tight", f", and leaves almost nothing of {in_bytes(vram)} free on the GPU."),
        (all_ram, EASE, "tight", f", more than the {in_bytes(ram)} free now: close other programs first."),
    ):
        if free and total <= free * share:
            return verdict, takes + reason
    gpu = f" and a GPU with {in_bytes(here.vram_bytes)}" if here.vram_bytes else ""
    system = ", and its system needs a part of that" if total <= all_ram else ""
    return "too big", f"{takes}; {here.name} has {in_bytes(all_ram)} RAM{gpu}{system}."
