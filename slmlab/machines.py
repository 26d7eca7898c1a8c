"""A machine as a record: this one as it is now, and a few to compare with.

Knows nothing about models.
"""

import os
import platform
from dataclasses import dataclass
from pathlib import Path

from slmlab import probe
from slmlab.errors import BadRequest
from slmlab.show import html_table, in_bytes, text_table


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
    total, available = probe.memory()
    physical, usable = probe.cores()
    name, vram, free = max(probe.nvidia_gpus() or [], key=lambda gpu: gpu[2], default=(None, None, None))
    apple = probe.is_apple_silicon()
    cpu = probe.cpu_name()
    return Machine(
        ram_total_bytes=total,
        ram_available_bytes=available,
        vram_bytes=vram,
        vram_free_bytes=free,
        gpu=cpu if apple else name,
        unified_memory=apple,
        disk_free_bytes=probe.disk_free(cache_folder()),
        physical_cores=physical,
        usable_cores=usable,
        threads=probe.best_threads(),
        cpu=cpu,
        system=platform.system(),
        python=platform.python_version(),
    )
