"""Which build of torch: the processor's where there is no NVIDIA GPU, and never gigabytes without saying so first.

`torch_plan` decides, from facts alone; `plan_torch` asks this machine and pip's index for them.
"""

# The syntax is that of Python 3.6 here too: an old Python gets as far as the sentence that says it is too old.
import collections
import platform
import re
import shutil
import subprocess
import threading
import urllib.request

from setup.programs import ROOT

CPU_INDEX = "https://download.pytorch.org/whl/cpu"

PATIENCE_S = 4

Plan = collections.namedtuple("Plan", "build first note")


def torch_plan(system, has_gpu, pin, offered, cpu_index_reachable):
    """Which build of torch to install, given the versions that the configured index or find-links offer.

    `first` is what pip installs before requirements.txt; empty where that file alone brings the right build.
    """
    cpu, size = pin + "+cpu", "about 3 GB to download and 7 GB on disk; Ctrl-C stops it"
    if system != "Linux":
        return Plan("cpu", [], "the standard build")
    if has_gpu:
        return Plan("cuda", ["torch===" + pin] if cpu in offered else [], f"the CUDA build for this NVIDIA GPU, {size}")
    if cpu in offered:
        return Plan("cpu", [], "the CPU build, as your package index offers it")
    if cpu_index_reachable:
        return Plan("cpu", ["--no-deps", "--index-url", CPU_INDEX, "torch==" + cpu], "the CPU build, from " + CPU_INDEX)
    note = f"no NVIDIA GPU here, but only the CUDA build can be reached: {size}. It runs on the processor as well"
    return Plan("cuda", [], note + f". To do with 0.2 GB: put a wheel of torch {cpu} where pip's find-links points")


def torch_pin():
    return re.search(r"^torch==([\w.]+)", (ROOT / "requirements.txt").read_text(encoding="utf-8"), re.MULTILINE).group(
        1
    )


def plan_torch(python):
    pin = torch_pin()
    gpu = bool(shutil.which("nvidia-smi")) and _output(["nvidia-smi", "-L"]).startswith("GPU")
    linux = platform.system() == "Linux"
    found = _output([python, "-m", "pip", "index", "versions", "torch"]) if linux else ""
    offered = re.findall(r"[\w.+]+", found.partition("Available versions:")[2])
    ask = linux and not gpu and pin + "+cpu" not in offered
    return torch_plan(platform.system(), gpu, pin, offered, ask and _reachable(CPU_INDEX))


def _output(command):
    try:
        found = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return ""
    return found.stdout.decode("utf-8", "replace") if found.returncode == 0 else ""


def _reachable(address):
    answers = []
    probe = threading.Thread(target=lambda: answers.append(_answers(address)), daemon=True)
    probe.start()
    probe.join(PATIENCE_S)  # looking up the name has no time-out of its own
    return answers == [True]


def _answers(address):
    try:
        return urllib.request.urlopen(address + "/torch/", timeout=3).status == 200
    except (OSError, ValueError):
        return False
