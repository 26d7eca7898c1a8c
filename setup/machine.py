"""What differs between machines: what can't work and what to do, another Python, the environment of the tests."""

import collections
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig

OLDEST, NEWEST = (3, 11), (3, 14)
LONGEST_FOLDER = 65  # letters of this folder's path, where Windows has not been told to take long ones
SECRET = re.compile(r"(API_?KEY|_KEY|TOKEN|SECRET|PASSWORD|CREDENTIALS?)$|^AWS_", re.IGNORECASE)

Machine = collections.namedtuple("Machine", "system processor python bits release musl long_paths")


def python_of(system):
    """Where a .venv has its Python."""
    return "Scripts/python.exe" if system == "Windows" else "bin/python"


def machine_fault(machine, folder):
    """Why SLM Lab can't be set up with this Python in this folder and what to do about it, or None."""
    version, processor = "{}.{}".format(*machine.python), machine.processor
    release = tuple(int(part) for part in machine.release.split(".")[:2] if part.isdigit())
    windows, mac, linux = (machine.system == name for name in ("Windows", "Darwin", "Linux"))
    start = "py -3.14" if windows else "python3.13" if linux else "python3.14"
    source = "your package manager" if linux else "python.org"
    install = f"Install 64-bit Python 3.11 to 3.14 from {source}, then: {start} lab.py. Or get uv "
    install += "(pip install uv), which brings one: uv run --no-project --python 3.13 lab.py"
    elsewhere = "Or use a Codespace."
    long = windows and not machine.long_paths and len(str(folder)) > LONGEST_FOLDER
    faults = (
        (machine.python < OLDEST, f"Python {version} is too old. {install}"),
        (machine.python > NEWEST, f"Python {version} is too new: torch has no build for it yet. {install}"),
        (machine.bits != 64, f"Python {version} is a 32-bit one here, and torch has no build for it. {install}"),
        (
            mac and processor == "x86_64",
            f"torch has no builds for Intel any more. On Apple silicon: {install}. On an Intel Mac: a Codespace.",
        ),
        (
            mac and (0,) < release < (14,),
            f"macOS {machine.release} is too old for torch. Update to macOS 14 or later. {elsewhere}",
        ),
        (
            windows and processor == "arm64",
            "torch has no build for Windows on ARM, but Windows runs the x64 one there: install the x64 Python 3.13 "
            "from python.org and start lab.py with it.",
        ),
        (
            linux and processor not in ("x86_64", "aarch64"),
            f"torch and onnxruntime have no builds for a {processor} processor. Take another machine. {elsewhere}",
        ),
        (
            linux and (machine.musl or (0,) < release < (2, 28)),
            f"torch needs glibc 2.28 or later: Debian 10, Ubuntu 20.04, Fedora 29 or newer. {elsewhere}",
        ),
        (long, f"Windows stops at paths of 260 letters here, and torch needs 191. Move {folder} to a shorter path."),
    )
    return next((sentence for true, sentence in faults if true), None)


def this_machine():
    release = platform.mac_ver()[0] if platform.system() == "Darwin" else platform.libc_ver()[1]
    bits, musl = (64 if sys.maxsize > 2**32 else 32), "musl" in str(sysconfig.get_config_var("SOABI"))
    # of this Python rather than of the machine: Windows on ARM runs the x64 one too
    processor = sysconfig.get_platform().partition("-")[2] if os.name == "nt" else platform.machine()
    return Machine(platform.system(), processor, sys.version_info[:2], bits, release, musl, _takes_long_paths())


def _takes_long_paths():
    if platform.system() != "Windows":
        return True
    import winreg

    try:
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, r"SYSTEM\CurrentControlSet\Control\FileSystem") as key:
            return winreg.QueryValueEx(key, "LongPathsEnabled")[0] == 1
    except OSError:
        return False


def another_python(own):
    """The command of another Python here that serves, or None: the .venv's `own`, one by its name, or uv's."""
    minors, uv = [f"3.{minor}" for minor in range(NEWEST[1], OLDEST[1] - 1, -1)], shutil.which("uv")
    commands = [[str(own)], *([["py", "-" + minor] if os.name == "nt" else ["python" + minor] for minor in minors])]
    for command in [*commands, []]:
        if not command and uv:
            print("uv looks for another Python, and downloads one (about 35 MB) if none is here.", flush=True)
            output([uv, "python", "install", "--no-bin", minors[1]])
            command = [output([uv, "python", "find", "--no-project", minors[1]])]
        found = output([*command, "-c", "import sys; print(*sys.version_info[:2], sys.maxsize)"]).split()
        if len(found) == 3 and OLDEST <= (int(found[0]), int(found[1])) <= NEWEST and int(found[2]) > 2**32:
            return command
    return None


def output(command, env=None):
    """What a program prints; nothing where it is missing, fails, or takes longer than a minute."""
    quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "stdin": subprocess.DEVNULL, "timeout": 60}
    utf8 = dict(os.environ if env is None else env, PYTHONUTF8="1")
    try:
        found = subprocess.run([str(part) for part in command], env=utf8, **quiet)
    except (OSError, subprocess.SubprocessError):
        return ""
    return found.stdout.decode("utf-8", "replace").strip() if found.returncode == 0 else ""


# where a reader's own services are: tests and notebooks ask the practice servers
ADDRESSES = (
    "AZURE_OPENAI_ENDPOINT",
    "FOUNDRY_ENDPOINT",
    "NIM_BASE_URL",
    "OLLAMA_HOST",
    "OPENAI_BASE_URL",
    "SLMLAB_ENDPOINT",
)


def offline_environment(environ, root):
    """The environment of tests and notebooks: no keys, and a hook that blocks the network in every Python below."""
    clean = {name: value for name, value in environ.items() if not SECRET.search(name) and name not in ADDRESSES}
    paths = [str(root / "tests" / "no_network"), *clean.get("PYTHONPATH", "").split(os.pathsep)]
    clean["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(path for path in paths if path))
    clean.update(dict.fromkeys(("SLMLAB_OFFLINE", "HF_HUB_OFFLINE", "JUPYTER_PREFER_ENV_PATH", "PYTHONUTF8"), "1"))
    clean.setdefault("SLMLAB_TRAINING", "short")  # a quarter of the steps, or fewer
    clean["SLMLAB_PROGRESS"] = str(root / "build" / "progress.json")  # nobody's: no guess gets into a stored page
    clean.pop("MPLBACKEND", None)  # a window would wait for a reader
    return clean
