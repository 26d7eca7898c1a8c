"""probe: real files and programs: cgroup trees in a folder, a small nvidia-smi on the path."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from slmlab import machine as probe

MB = 1 << 20
needs_scripts = pytest.mark.skipif(os.name == "nt", reason="the fake nvidia-smi is a shell script")


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.fixture
def fake_smi(tmp_path, monkeypatch):
    """Puts a script named nvidia-smi first on the path."""

    def put(body: str) -> None:
        script = tmp_path / "nvidia-smi"
        script.write_text(f"#!/bin/sh\n{body}\n")
        script.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    return put


def test_this_machine_has_memory_cores_and_a_name():
    total, available = probe.memory()
    physical, usable = probe.cores()
    assert total > available > 0
    assert physical >= 1 and usable >= probe.best_threads() >= 1
    assert probe.cpu_name()


def test_without_cgroups_nothing_is_limited(tmp_path):
    assert probe.memory_limit(tmp_path) == (None, 0)
    assert probe.core_limit(tmp_path) is None
    assert probe.memory(tmp_path)[0] == probe._ram()[0]


def test_version_2_limits_hold_from_any_level_above(tmp_path):
    root = write(
        tmp_path,
        {
            "proc/self/cgroup": "0::/box/task\n",
            "sys/fs/cgroup/box/memory.max": f"{512 * MB}\n",
            "sys/fs/cgroup/box/memory.current": f"{300 * MB}\n",
            "sys/fs/cgroup/box/memory.stat": f"anon {100 * MB}\ninactive_file {200 * MB}\n",
            "sys/fs/cgroup/box/cpu.max": "150000 100000\n",
            "sys/fs/cgroup/box/task/memory.max": "max\n",
            "sys/fs/cgroup/box/task/cpu.max": "max 100000\n",
        },
    )
    assert probe.memory_limit(root) == (512 * MB, 100 * MB), "a file cache that can be given back isn't used"
    assert probe.memory(root) == (512 * MB, 412 * MB)
    assert probe.core_limit(root) == 1.5


def test_version_1_limits_are_read_where_the_container_mounts_them(tmp_path):
    root = write(
        tmp_path,
        {
            "proc/self/cgroup": "9:memory:/docker/0af3\n4:cpu,cpuacct:/docker/0af3\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{256 * MB}",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": f"{56 * MB}",
            "sys/fs/cgroup/memory/memory.stat": f"total_inactive_file {6 * MB}",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "200000",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000",
        },
    )
    assert probe.memory(root) == (256 * MB, 206 * MB)
    assert probe.core_limit(root) == 2.0


def test_an_unlimited_version_1_is_no_limit(tmp_path):
    root = write(
        tmp_path,
        {
            "proc/self/cgroup": "9:memory:/\n3:cpu:/\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
        },
    )
    assert probe.memory_limit(root) == (None, 0)
    assert probe.core_limit(root) is None


def test_a_container_that_used_more_than_its_limit_has_nothing_left(tmp_path):
    files = {"memory.max": f"{100 * MB}", "memory.current": f"{130 * MB}"}
    root = write(tmp_path, {"proc/self/cgroup": "0::/", **{f"sys/fs/cgroup/{k}": v for k, v in files.items()}})
    assert probe.memory(root) == (100 * MB, 0)


def test_half_a_core_is_still_one_thread(tmp_path):
    root = write(tmp_path, {"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "50000 100000"})
    assert probe.core_limit(root) == 0.5
    assert probe.cores(root)[1] == probe.best_threads(root) == 1


@pytest.mark.parametrize("cgroup", ["", "rubbish", "0::", "0::/../../..", "::::\n\n1:memory", "9:memory:relative"])
@pytest.mark.parametrize("value", ["", "max max max", "-5", "1e9", "²", "\x00"])
def test_rubbish_in_the_cgroup_files_limits_nothing(tmp_path, cgroup, value):
    names = ("memory.max", "cpu.max", "memory.stat", "memory/memory.limit_in_bytes", "cpu/cpu.cfs_quota_us")
    root = write(tmp_path, {"proc/self/cgroup": cgroup, **{f"sys/fs/cgroup/{name}": value for name in names}})
    assert probe.memory_limit(root) == (None, 0)
    assert probe.core_limit(root) is None


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="only Linux has affinity")
def test_affinity_bounds_the_threads():
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); from slmlab import probe; "
    code += "print(probe.cores()[1], probe.best_threads())"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert said.stdout.split() == ["1", "1"]


def test_without_nvidia_smi_there_is_no_gpu(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert probe.nvidia_gpus() == []


@needs_scripts
def test_every_gpu_is_read_with_its_memory(fake_smi):
    fake_smi("echo 'NVIDIA RTX 4090, 24564, 20000'; echo 'NVIDIA T4, 15360, 15000'")
    assert probe.nvidia_gpus() == [
        ("NVIDIA RTX 4090", 24564 * MB, 20000 * MB),
        ("NVIDIA T4", 15360 * MB, 15000 * MB),
    ]


@needs_scripts
@pytest.mark.parametrize(
    "body",
    [
        "exit 9",
        "echo 'NVIDIA-SMI has failed because it could not communicate with the driver'",
        "echo 'GPU, [N/A], [N/A]'",
        "echo 'GPU, -1, many'",
        "echo",
        "printf '\\377\\376, 1, x, y'",
        "kill -9 $$",
    ],
)
def test_an_nvidia_smi_without_a_sensible_answer_gives_none(fake_smi, body):
    fake_smi(body)
    assert probe.nvidia_gpus() is None


@needs_scripts
def test_an_nvidia_smi_that_hangs_is_left_behind(fake_smi, monkeypatch):
    monkeypatch.setattr(probe, "GPU_TIMEOUT_S", 0.2)
    fake_smi("sleep 60")
    began = time.monotonic()
    assert probe.nvidia_gpus() is None
    assert time.monotonic() - began < 10, "it waited for the end of the sleep"


@needs_scripts
def test_an_nvidia_smi_that_can_not_be_run_is_no_gpu(fake_smi, tmp_path):
    fake_smi("echo no")
    (tmp_path / "nvidia-smi").write_bytes(b"\x7fELF rubbish")
    assert probe.nvidia_gpus() is None


def test_disk_space_is_that_of_the_nearest_folder_that_exists(tmp_path):
    assert probe.disk_free(tmp_path / "not" / "yet" / "here") == pytest.approx(probe.disk_free(tmp_path), rel=0.05)


def test_the_disk_below_a_file_is_that_of_its_folder(tmp_path):
    (tmp_path / "file").write_text("")
    assert probe.disk_free(tmp_path / "file" / "below") is not None
