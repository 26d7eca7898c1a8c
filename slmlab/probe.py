"""What the operating system says about this machine: memory, cores, GPU, and the limits of a container around us.

Gives plain numbers, None for what it doesn't say, and never raises. Knows nothing about models.
"""

import os
import platform
import shutil
import subprocess
from pathlib import Path

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
