"""What differs between machines, as pure functions: a .venv's inside, what can't work, the environment of the tests.

Knows nothing about running programs.
"""

# The syntax is that of Python 3.6 here too: an old Python gets as far as the sentence that says it is too old.
import collections
import os
import platform
import re
import sys
import sysconfig

OLDEST, NEWEST = (3, 11), (3, 14)
LONGEST_FOLDER = 65  # letters of this folder's path, where Windows has not been told to take long ones
SECRET = re.compile(r"(API_?KEY|_KEY|TOKEN|SECRET|PASSWORD|CREDENTIALS?)$|^AWS_", re.IGNORECASE)

Machine = collections.namedtuple("Machine", "system processor python bits release musl long_paths")


def platform_choices(system):
    """What differs between Windows, macOS and Linux inside a .venv, and how a reader starts a certain Python."""
    if system == "Windows":
        return {"python": "Scripts/python.exe", "packages": "Lib/site-packages", "start": "py -3.14"}
    return {"python": "bin/python", "packages": "lib/python*/site-packages", "start": "python3.14"}


def machine_fault(machine, folder):
    """Why SLM Lab can't be set up with this Python in this folder and what to do about it, or None."""
    version, start = "{}.{}".format(*machine.python), platform_choices(machine.system)["start"]
    release = tuple(int(part) for part in machine.release.split(".")[:2] if part.isdigit())
    windows, mac, linux = (machine.system == name for name in ("Windows", "Darwin", "Linux"))
    install = f"Install 64-bit Python 3.11 to 3.14 from python.org, then run: {start} lab.py"
    if machine.python < OLDEST:
        return f"Python {version} is too old. {install}"
    if machine.python > NEWEST:
        return f"Python {version} is too new: not every package has a build for it yet. {install}"
    if machine.bits != 64:
        return f"This Python is a 32-bit one, and torch has no build for it. {install}"
    if mac and machine.processor == "x86_64":
        return (
            f"torch has no builds for Intel any more. On an Apple-silicon Mac: {install}. On an Intel Mac: a Codespace."
        )
    if mac and (0,) < release < (14,):
        return f"macOS {machine.release} is too old for torch. Update to macOS 14 or later, or use a Codespace."
    if linux and (machine.musl or (0,) < release < (2, 28)):
        return "torch needs glibc 2.28 or later: Debian 10, Ubuntu 20.04, Fedora 29 or newer. Or use a Codespace."
    if (";" if windows else ":") in str(folder)[2:]:
        return f"No .venv can live in a folder with a path separator in its name. Rename {folder}"
    if windows and not machine.long_paths and len(str(folder)) > LONGEST_FOLDER:
        return (
            f"Windows stops at paths of 260 letters here, and torch needs 191 of them. Move {folder} to a shorter path."
        )
    return None


def this_machine():
    release = platform.mac_ver()[0] if platform.system() == "Darwin" else platform.libc_ver()[1]
    bits, musl = (64 if sys.maxsize > 2**32 else 32), "musl" in str(sysconfig.get_config_var("SOABI"))
    python = sys.version_info[:2]
    return Machine(platform.system(), platform.machine(), python, bits, release, musl, _takes_long_paths())


def _takes_long_paths():
    if platform.system() != "Windows":
        return True
    import winreg

    try:
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, r"SYSTEM\CurrentControlSet\Control\FileSystem") as key:
            return winreg.QueryValueEx(key, "LongPathsEnabled")[0] == 1
    except OSError:
        return False


# where a reader's own services are: tests and notebooks ask the practice servers
ADDRESSES = (
    "AZURE_OPENAI_ENDPOINT",
    "FOUNDRY_ENDPOINT",
    "NIM_BASE_URL",
    "OLLAMA_HOST",
    "OPENAI_BASE_URL",
    "SLMLAB_SERVER",
)


def offline_environment(environ, root):
    """The environment of tests and notebooks: no keys, and a hook that blocks the network in every Python below."""
    clean = {name: value for name, value in environ.items() if not SECRET.search(name) and name not in ADDRESSES}
    paths = [str(root / "tests" / "no_network"), *clean.get("PYTHONPATH", "").split(os.pathsep)]
    clean["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(path for path in paths if path))
    clean.update(dict.fromkeys(("SLMLAB_OFFLINE", "HF_HUB_OFFLINE", "JUPYTER_PREFER_ENV_PATH", "PYTHONUTF8"), "1"))
    clean.pop("MPLBACKEND", None)  # a window would wait for a reader
    return clean
