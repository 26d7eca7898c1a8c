"""Whether a model fits a machine: weights + KV cache + runtime against RAM, GPU memory and disk.

Gives a verdict before anything is downloaded. Knows nothing about models' code, and imports no runtime.
"""

import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from slmlab.architecture import PRECISIONS
from slmlab.catalog import Card, card
from slmlab.errors import BadRequest, UnknownName, nearest, quoted
from slmlab.show import html_table, in_bytes, in_count, text_table

UNLIMITED = 1 << 60  # an unlimited cgroup v1 reports about 2**63 bytes
GPU_TIMEOUT_S = 2.0


def memory(root: Path = Path("/")) -> tuple[int | None, int | None]:
    """Bytes of RAM in all, and bytes that a new program could have now; both within the container's limit."""
    total, available = _ram()
    limit, used = memory_limit(root)
    if limit is None:
        return total, available
    total = min(limit, total or limit)
    return total, max(0, min(total - used, available if available is not None else total))


def _ram() -> tuple[int | None, int | None]:
    try:
        import psutil

        now = psutil.virtual_memory()
        return now.total, now.available
    except ImportError:
        pass
    try:
        page = os.sysconf("SC_PAGE_SIZE")
        return page * os.sysconf("SC_PHYS_PAGES"), page * os.sysconf("SC_AVPHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf, macOS not this name
        return None, None


def memory_limit(root: Path = Path("/")) -> tuple[int | None, int]:
    """The tightest memory limit of the cgroups around us, and what is used of it; (None, 0) without one.

    A file cache that the kernel would give back is not counted as used.
    """
    found = []
    for folder, version in _cgroups(root, "memory"):
        limit = _number(folder / ("memory.max" if version == 2 else "memory.limit_in_bytes"))
        if limit is not None and limit < UNLIMITED:
            used = _number(folder / ("memory.current" if version == 2 else "memory.usage_in_bytes")) or 0
            found.append((limit, max(0, used - _reclaimable(folder / "memory.stat"))))
    return min(found, default=(None, 0), key=lambda pair: pair[0] - pair[1])


def core_limit(root: Path = Path("/")) -> float | None:
    """How many cores' worth of time the cgroups around us allow, such as 1.5; None without a limit."""
    found = []
    for folder, version in _cgroups(root, "cpu"):
        if version == 2:
            quota, period = (_text(folder / "cpu.max").split() + ["", ""])[:2]
        else:
            quota, period = _text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us")
        if quota.isdigit() and period.isdigit() and int(quota) and int(period):
            found.append(int(quota) / int(period))
    return min(found, default=None)


def _cgroups(root: Path, controller: str) -> list[tuple[Path, int]]:
    """The folders of a controller that hold for this process, and their version: its own cgroup and all above it.

    Inside a container the path in /proc is often the host's and not mounted; what is mounted still holds for us.
    """
    base = root / "sys/fs/cgroup"
    found = []
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, names, path = (line.split(":", 2) + ["", ""])[:3]
        if not names:
            mounts, version = [base], 2
        elif controller in names.split(","):
            mounts, version = [base / controller, base / names], 1
        else:
            continue
        for mount in mounts:
            folder = mount / path.strip("/")
            while folder.is_relative_to(mount):
                found.append((folder, version))
                folder = folder.parent
    return [(folder, version) for folder, version in dict.fromkeys(found) if folder.is_dir()]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _number(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text.isascii() and text.isdigit() else None


def _reclaimable(stat: Path) -> int:
    lines = dict(line.split(" ", 1) for line in _text(stat).splitlines() if " " in line)
    text = lines.get("total_inactive_file", lines.get("inactive_file", "0"))
    return int(text) if text.isdigit() else 0


def cores(root: Path = Path("/")) -> tuple[int, int]:
    """Physical cores of the machine, and logical cores that this process may use."""
    try:
        allowed = len(os.sched_getaffinity(0))
    except AttributeError:  # only Linux has affinity
        allowed = os.cpu_count() or 1
    quota = core_limit(root)
    if quota is not None:
        allowed = min(allowed, max(1, int(quota)))
    return _physical_cores() or os.cpu_count() or 1, max(1, allowed)


def best_threads(root: Path = Path("/")) -> int:
    """Threads for a model: one per physical core that this process may use, at least one.

    Two threads on one core share its arithmetic and wait for each other at every layer.
    """
    physical, usable = cores(root)
    return max(1, min(physical, usable, _allowed_physical() or usable))


def _physical_cores() -> int | None:
    try:
        import psutil

        return psutil.cpu_count(logical=False)
    except ImportError:
        return None


def _allowed_physical() -> int | None:
    """Physical cores among those that our affinity allows, where Linux tells which threads are siblings."""
    try:
        allowed = os.sched_getaffinity(0)
    except AttributeError:
        return None
    siblings = {_text(Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list")) for core in allowed}
    return None if "" in siblings else len(siblings)


def cpu_name() -> str:
    system = platform.system()
    if system == "Linux":
        for line in _text(Path("/proc/cpuinfo")).splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    if system == "Darwin":
        return _run(["sysctl", "-n", "machdep.cpu.brand_string"]) or platform.processor()
    return platform.processor() or platform.machine() or "unknown"


def is_apple_silicon() -> bool:
    return platform.system() == "Darwin" and platform.machine() == "arm64"


def nvidia_gpus() -> list[tuple[str, int, int]] | None:
    """Name, bytes and free bytes of each NVIDIA GPU; [] without one, None when nvidia-smi gives no sensible answer."""
    if shutil.which("nvidia-smi") is None:
        return []
    said = _run(["nvidia-smi", "--query-gpu=name,memory.total,memory.free", "--format=csv,noheader,nounits"])
    found = []
    for line in (said or "").splitlines():
        name, _, sizes = line.strip().partition(",")
        numbers = [part.strip() for part in sizes.split(",")]
        if name and len(numbers) == 2 and all(number.isascii() and number.isdigit() for number in numbers):
            found.append((name.strip(), int(numbers[0]) << 20, int(numbers[1]) << 20))
    return found or None


def _run(command: list[str]) -> str | None:
    """What a program prints, or None when it fails, hangs or isn't there."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=GPU_TIMEOUT_S, text=True, errors="replace"
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def disk_free(folder: Path) -> int | None:
    """Free bytes where a folder is, or would be made."""
    for place in (folder, *folder.parents):
        try:
            return shutil.disk_usage(place).free
        except OSError:
            continue
    return None


@dataclass(frozen=True)
class Machine:
    """A machine, real or imagined. What is unknown is None; RAM that isn't said to be taken is free."""

    ram_total_bytes: int | None = None
    ram_available_bytes: int | None = None
    vram_bytes: int | None = None
    vram_free_bytes: int | None = None
    gpu: str | None = None
    unified_memory: bool = False
    disk_free_bytes: int | None = None
    physical_cores: int = 1
    usable_cores: int = 1
    threads: int = 1
    cpu: str = "unknown"
    system: str = "unknown"
    python: str = ""
    name: str = "this machine"

    def __post_init__(self):
        for field in ("ram_total_bytes", "ram_available_bytes", "vram_bytes", "vram_free_bytes", "disk_free_bytes"):
            value = getattr(self, field)
            if value is not None and value < 0:
                raise BadRequest(f"{field}={value!r}: a size is 0 or more, and None when it isn't known.")
        for free, total in (("ram_available_bytes", "ram_total_bytes"), ("vram_free_bytes", "vram_bytes")):
            if getattr(self, free) is None:
                object.__setattr__(self, free, getattr(self, total))

    def _rows(self) -> list[tuple[str, str]]:
        gpu = self.gpu or "none: everything runs on the CPU"
        if self.vram_bytes:
            gpu += f", {in_bytes(self.vram_bytes)}, {in_bytes(self.vram_free_bytes)} free"
        if self.unified_memory:
            gpu += ", shares the RAM"
        rows = [
            ("system", f"{self.system}{f', Python {self.python}' if self.python else ''}"),
            ("CPU", f"{self.cpu}: {self.usable_cores} cores to use, {self.threads} threads for a model"),
            ("RAM", f"{in_bytes(self.ram_total_bytes)}, {in_bytes(self.ram_available_bytes)} free"),
            ("GPU", gpu),
        ]
        return rows + ([("disk", f"{in_bytes(self.disk_free_bytes)} free")] if self.disk_free_bytes is not None else [])

    def __str__(self):
        return f"{self.name}\n{text_table(('', ''), self._rows())}"

    def _repr_html_(self):
        return html_table(("", ""), self._rows(), self.name)


_GB = 10**9
# Machines to compare with. What is free on them is an assumption: a system and a browser take some 3 GB of a laptop,
# a phone of 8 GB gives one app about half of them, and no more.
PHONE = Machine(
    ram_total_bytes=4 * _GB,
    ram_available_bytes=4 * _GB,
    disk_free_bytes=16 * _GB,
    physical_cores=6,
    usable_cores=6,
    threads=6,
    name="a phone",
)
LAPTOP = Machine(
    ram_total_bytes=8 * _GB,
    ram_available_bytes=5 * _GB,
    disk_free_bytes=50 * _GB,
    physical_cores=2,
    usable_cores=2,
    threads=2,
    name="a laptop",
)
GPU_SERVER = Machine(
    ram_total_bytes=256 * _GB,
    ram_available_bytes=240 * _GB,
    vram_bytes=80 * _GB,
    gpu="a GPU of 80 GB",
    disk_free_bytes=1000 * _GB,
    physical_cores=32,
    usable_cores=64,
    threads=32,
    name="a GPU server",
)
NAMED = {"phone": PHONE, "laptop": LAPTOP, "gpu server": GPU_SERVER}


def cache_folder() -> Path:
    """Where models live: SLMLAB_CACHE, or .cache/slmlab in the home folder."""
    return Path(os.environ.get("SLMLAB_CACHE") or Path.home() / ".cache" / "slmlab").expanduser().absolute()


def machine() -> Machine:
    """This machine as it is now, within the limits of a container if there is one."""
    total, available = memory()
    physical, usable = cores()
    name, vram, free = max(nvidia_gpus() or [], key=lambda gpu: gpu[2], default=(None, None, None))
    apple = is_apple_silicon()
    cpu = cpu_name()
    return Machine(
        ram_total_bytes=total,
        ram_available_bytes=available,
        vram_bytes=vram,
        vram_free_bytes=free,
        gpu=cpu if apple else name,
        unified_memory=apple,
        disk_free_bytes=disk_free(cache_folder()),
        physical_cores=physical,
        usable_cores=usable,
        threads=best_threads(),
        cpu=cpu,
        system=platform.system(),
        python=platform.python_version(),
    )


__all__ = ["Machine", "machine", "best_threads", "Fit", "FitReport", "will_it_fit"]
__all__ += ["PHONE", "LAPTOP", "GPU_SERVER"]

# What a runtime takes beside weights and KV cache. Measured on the bundled model as resident memory less the size of
# the files: ONNX Runtime 76 MB (int8: 335 for 259), 165 MB (int4), 223 MB (fp32); Transformers 375 to 400 MB. So 400 MB
# for any of them, and a margin of a twentieth of the weights for what grows with a model.
RUNTIME_BYTES, MARGIN = 400_000_000, 0.05
EASE = 0.9  # a model that takes more than this share of what is free runs, and leaves nothing for the rest
USUAL_CONTEXT = 4096

_this_machine = machine


@dataclass(frozen=True)
class Fit:
    """One model in one precision on one machine. Sizes in bytes; None where nobody knows."""

    model: str
    precision: str
    context: int | None
    weights_bytes: int | None
    kv_bytes: int | None
    overhead_bytes: int | None
    disk_bytes: int | None
    download_bytes: int | None
    fits_ram: bool | None
    fits_vram: bool | None
    fits_disk: bool | None
    verdict: str
    sentence: str
    parameters: int | None = None
    active_parameters: int | None = None

    @property
    def flops_per_token(self) -> int | None:
        """What computing one token takes: a multiplication and an addition for each parameter that it goes through."""
        return None if self.active_parameters is None else 2 * self.active_parameters

    @property
    def total_bytes(self) -> int | None:
        """What it takes in memory while it answers."""
        return None if self.weights_bytes is None else self.weights_bytes + self.kv_bytes + self.overhead_bytes


@dataclass(frozen=True, repr=False)
class FitReport:
    """The fits of one model, a row per precision. Iterate it, or show it."""

    card: Card
    machine: Machine
    fits: tuple[Fit, ...]

    def __iter__(self) -> Iterator[Fit]:
        return iter(self.fits)

    def __len__(self):
        return len(self.fits)

    def __getitem__(self, precision: str | int) -> Fit:
        if isinstance(precision, int):
            return self.fits[precision]
        found = [fit for fit in self.fits if fit.precision == precision]
        if not found:
            raise BadRequest(f"No {precision!r} here. There is: {', '.join(fit.precision for fit in self.fits)}.")
        return found[0]

    _HEADS = ("precision", "weights", "KV cache", "runtime", "in memory", "verdict", "")

    def _rows(self) -> list[tuple[str, ...]]:
        return [
            (fit.precision, *map(in_bytes, (fit.weights_bytes, fit.kv_bytes, fit.overhead_bytes, fit.total_bytes)),
             fit.verdict, fit.sentence)
            for fit in self.fits
        ]  # fmt: skip

    def _caption(self) -> str:
        context = self.fits[0].context
        tokens = f" with {context:,} tokens of context" if context else ""
        here = f"{in_bytes(self.machine.ram_available_bytes)} of {in_bytes(self.machine.ram_total_bytes)} RAM free"
        gpu = f", GPU {in_bytes(self.machine.vram_free_bytes)} free" if self.machine.vram_bytes else ""
        return f"{self.card.name}{tokens} on {self.machine.name} ({here}{gpu})"

    def __str__(self):
        sentences = "\n".join(f"{fit.precision}: {fit.sentence}" for fit in self.fits)
        return f"{self._caption()}\n{text_table(self._HEADS[:-1], (row[:-1] for row in self._rows()))}\n{sentences}"

    __repr__ = __str__

    def _repr_html_(self):
        return html_table(self._HEADS, self._rows(), self._caption())


def will_it_fit(
    name: str | Card,
    precision: str | None = None,
    context: int | None = None,
    machine: Machine | str | None = None,
    *,
    on_disk: bool = False,
) -> FitReport:
    """Whether a model fits a machine (this one, unless 'phone' or 'laptop' is named), in one precision or in each.

    `context` is how many tokens a conversation may have: if not given, 4,096 or the model's own limit if that is less.
    `on_disk` leaves the disk out: the weights are already here.
    """
    chosen = card(name)
    if precision not in (None, *PRECISIONS):
        raise BadRequest(f"Unknown precision {precision!r}. Available: {', '.join(PRECISIONS)}.")
    if isinstance(machine, str):
        if machine not in NAMED:
            raise UnknownName(f"Unknown machine {quoted(machine)}. {nearest(machine, list(NAMED))}")
        machine = NAMED[machine]
    tokens = _context(chosen, context)
    here = machine or _this_machine()
    wanted = (precision,) if precision else PRECISIONS
    return FitReport(chosen, here, tuple(_fit(chosen, one, tokens, here, on_disk) for one in wanted))


def _context(chosen: Card, context: int | None) -> int:
    if context is None:
        return min(chosen.context or USUAL_CONTEXT, USUAL_CONTEXT)
    if not isinstance(context, int) or isinstance(context, bool) or context < 1:
        raise BadRequest(f"context={context!r}: a context is a number of tokens, 1 or more.")
    if chosen.context and context > chosen.context:
        raise BadRequest(f"{chosen.name} takes at most {chosen.context:,} tokens of context, not {context:,}.")
    return context


def _fit(chosen: Card, precision: str, tokens: int, here: Machine, on_disk: bool) -> Fit:
    size = chosen.weight_size(precision)
    if size.bytes is None:
        words = f"Nobody outside {chosen.maker} knows: the size of {chosen.name} was never published."
        return Fit(chosen.id, precision, tokens, *[None] * 8, verdict="unknown", sentence=words)
    # ONNX Runtime on a CPU keeps the cache in fp32 whatever the weights are, Transformers in the type of the weights.
    # A sliding window is not taken off: not every runtime drops what has left it.
    kv = tokens * chosen.kv_bytes_per_token("bf16" if precision == "bf16" else "fp32")
    overhead = RUNTIME_BYTES + int(size.bytes * MARGIN)
    total = size.bytes + kv + overhead
    disk, download = _on_disk(chosen, size)
    fits_disk = True if on_disk else None if here.disk_free_bytes is None else disk <= here.disk_free_bytes
    verdict, sentence = _judge(total, disk, fits_disk, here)
    if kv > size.bytes and verdict != "fits":
        sentence += f" Most of it is the KV cache of {tokens:,} tokens: a smaller context helps."
    if chosen.architecture.experts > 1:
        sentence += _sparse(chosen)
    if size.published:
        sentence += f" The size of the weights is {size.how}."
    return Fit(
        chosen.id, precision, tokens, size.bytes, kv, overhead, disk, download,
        fits_ram=None if here.ram_available_bytes is None else total <= here.ram_available_bytes,
        fits_vram=None if here.vram_free_bytes is None else total <= here.vram_free_bytes,
        fits_disk=fits_disk, verdict=verdict, sentence=sentence,
        parameters=chosen.parameters, active_parameters=chosen.active_parameters,
    )  # fmt: skip


def _sparse(chosen: Card) -> str:
    """What a mixture of experts costs: memory for all of it, computing for a part."""
    shape = chosen.architecture
    return (
        f" Memory holds all {in_count(chosen.parameters)} parameters, for the next token may want any of the "
        f"{shape.experts} experts of a layer; each token computes with {in_count(chosen.active_parameters)}, "
        "as in a dense model of that size."
    )


def _on_disk(chosen: Card, size) -> tuple[int, int | None]:
    """What the model takes on disk, and what has to come over the network for it, where that is known."""
    if chosen.wheel:  # its file is unpacked, turned into fp32 once, and that into the form that runs
        return chosen.wheel.file_bytes + chosen.weight_bytes("fp32") + size.bytes, chosen.wheel.bytes
    return size.bytes, size.bytes if size.published else None


def _judge(total: int, disk: int, fits_disk: bool | None, here: Machine) -> tuple[str, str]:
    """One word, and the sentence that gives its reason."""
    takes = f"It takes {in_bytes(total)} of memory"
    ram, all_ram, vram = here.ram_available_bytes, here.ram_total_bytes, here.vram_free_bytes
    if fits_disk is False:
        return "too big", f"Its files take {in_bytes(disk)} and the disk has {in_bytes(here.disk_free_bytes)} free."
    if ram is None and vram is None:
        return "unknown", f"{takes}; how much this machine has is not known."
    if ram is not None and total <= ram * EASE:
        return "fits", f"{takes}; {in_bytes(ram)} RAM are free."
    if vram is not None and total <= vram * EASE:
        return "fits", f"{takes}; {in_bytes(vram)} are free on the GPU."
    if ram is not None and total <= ram:
        return "tight", f"{takes}, and leaves almost nothing of {in_bytes(ram)} free RAM."
    if vram is not None and total <= vram:
        return "tight", f"{takes}, and leaves almost nothing of {in_bytes(vram)} free on the GPU."
    if all_ram is not None and total <= all_ram * EASE:
        return "tight", f"{takes}, more than the {in_bytes(ram)} free now: close other programs first."
    has = [f"{in_bytes(all_ram or ram)} RAM"] if ram is not None else []
    has += [f"a GPU with {in_bytes(here.vram_bytes)}"] if here.vram_bytes else []
    system = ", and its system needs a part of that" if total <= (all_ram or 0) else ""
    return "too big", f"{takes}; {here.name} has {' and '.join(has)}{system}."
