"""Packages into .venv: by uv in seconds, or by pip where uv can't be had. What lesson 00 needs first, then the rest.

What the reader has told pip (index, find-links, certificates, proxy) counts for both.
"""

import ast
import collections
import hashlib
import http.client
import importlib.util
import os
import platform
import re
import shutil
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urljoin

from setup.machine import output
from setup.programs import ROOT, Stop, watch

UV, PIP = "uv==0.13.9", "pip==26.3"
PIP_SHA256 = "f3b60b20ffaadd4415ed7957212a38ac63fa4c5fa375bd0f4a797777940fad13"
PYPI, CPU_INDEX = "https://pypi.org/simple", "https://download.pytorch.org/whl/cpu"
PATIENCE_S = 10
# pip's settings, and the variables that tell uv the same
UV_NAMES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "default-timeout": "UV_HTTP_TIMEOUT",
    "timeout": "UV_HTTP_TIMEOUT",
    "cert": "SSL_CERT_FILE",
    "proxy": "HTTPS_PROXY",
}

Installer = collections.namedtuple("Installer", "command env index is_uv")


def installer(venv, python):
    """What installs into the .venv: uv, or pip; its command, its environment, and the index that it asks, if any."""
    scratch = venv / "tmp"  # a small /tmp, a RAM disk on some systems, does no harm
    shutil.rmtree(str(scratch), ignore_errors=True)
    scratch.mkdir()
    pip = [sys.executable, *_pip_here(venv)]
    settings = pip_settings(output([*pip, "config", "list"]))
    env = uv_environment(settings, dict(os.environ, TMPDIR=str(scratch), TEMP=str(scratch), TMP=str(scratch)))
    if "proxy" in settings:
        os.environ.setdefault("HTTPS_PROXY", settings["proxy"])
    index = None if "no-index" in settings else env.get("UV_DEFAULT_INDEX", PYPI)
    fault = network_fault(index)
    if fault:
        raise Stop(fault)
    uv = _bring_uv(venv, pip, env)
    if uv:
        limits = [word for file in settings.get("constraint", "").split() for word in ("-c", file)]
        cache = Path(output([uv, "cache", "dir"], env) or str(venv))
        if not os.access(str(next(one for one in (cache, *cache.parents) if one.exists())), os.W_OK):
            env["UV_CACHE_DIR"] = str(venv / "uv" / "cache")
        limits += [] if index else ["--no-index"]
        env["UV"] = uv
        return Installer([uv, "pip", "install", "--python", python, *limits], env, index, True)
    print("      uv can't be had here: pip installs the packages, which takes minutes.", flush=True)
    if not output([python, "-m", "pip", "--version"]):
        watch([*pip, "--python", python, "install", PIP], env)
    return Installer([python, "-m", "pip", "install", "--disable-pip-version-check", "--no-compile"], env, index, False)


def _pip_here(venv):
    """A pip that runs: this Python's, or, as Debian's has none, one from the index."""
    if importlib.util.find_spec("pip"):
        return ["-m", "pip"]
    wheel = venv / (PIP.replace("==", "-") + "-py3-none-any.whl")
    if not wheel.exists():
        page = os.environ.get("PIP_INDEX_URL", PYPI).rstrip("/") + "/pip/"
        fault = network_fault(page)
        if fault:
            raise Stop(fault)
        listed = urllib.request.urlopen(page, timeout=PATIENCE_S).read().decode()
        link = re.search(r'href="([^"#]*{})'.format(re.escape(wheel.name)), listed)
        content = urllib.request.urlopen(urljoin(page, link.group(1)), timeout=PATIENCE_S).read() if link else b""
        if hashlib.sha256(content).hexdigest() != PIP_SHA256:
            raise Stop(f"{page} has no sound {wheel.name}. On Debian and Ubuntu: sudo apt install python3-pip")
        wheel.write_bytes(content)
    return [str(wheel / "pip")]


def pip_settings(listed):
    """`pip config list` as a dictionary; the environment's settings go before those of files."""
    rows = sorted(listed.splitlines(), key=lambda row: row.startswith(":env:"))
    pairs = [re.match(r"[^=]*?\.([\w-]+)=(.*)$", row) for row in rows]
    return {pair.group(1): ast.literal_eval(pair.group(2)) for pair in pairs if pair}


def uv_environment(settings, environ):
    """The environment in which uv heeds pip's settings. What the reader has set for uv itself goes first."""
    env = {"UV_SYSTEM_CERTS": "1"}  # as pip does
    if "REQUESTS_CA_BUNDLE" in environ:
        env["SSL_CERT_FILE"] = environ["REQUESTS_CA_BUNDLE"]
    if "extra-index-url" in settings:
        env["UV_INDEX_STRATEGY"] = "unsafe-best-match"  # pip looks at every index alike
    for name in set(UV_NAMES).intersection(settings):
        env[UV_NAMES[name]] = ("," if name == "find-links" else " ").join(settings[name].split())
    return dict(env, **environ)


def _bring_uv(venv, pip, env):
    """The pinned uv, in a folder of its own; else the reader's own; else None. One that doesn't run is none."""
    folder, program = venv / "uv", "uv.exe" if os.name == "nt" else "uv"
    if not (folder / UV).exists():
        shutil.rmtree(str(folder), ignore_errors=True)
        code, last = watch([*pip, "install", "--quiet", "--no-deps", "--target", folder, UV], env)
        if code == 0:
            (folder / UV).touch()
        else:
            print("      " + " ".join(last[-1:]), flush=True)
    found = [*folder.glob("*/" + program), shutil.which("uv")]
    return next((str(uv) for uv in found if uv and output([uv, "--version"]).startswith("uv ")), None)


def network_fault(address):
    """Why an address can't be reached, and what to do; None where something answers, or nothing has to."""
    if not (address or "").startswith("http"):
        return None
    address = re.sub(r"//[^@/]*@", "//", address)  # nobody reads a name and password here, and urllib takes none
    said = ["no answer within {} s".format(PATIENCE_S)]

    def ask():
        try:
            urllib.request.build_opener().open(address, timeout=PATIENCE_S - 2).close()
            said[0] = ""
        except urllib.error.HTTPError as answer:
            said[0] = "its proxy wants a name and a password" if answer.code == 407 else ""
        except (OSError, ValueError, http.client.HTTPException) as fault:
            reason = str(getattr(fault, "reason", fault))
            said[0] = "" if "CERTIFICATE" in reason else reason  # the installer may know more certificates

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(PATIENCE_S)  # looking up a name has no time-out of its own
    proxy = re.sub(r"//[^@/]*@", "//", urllib.request.getproxies().get("https", ""))
    mend = "Check the network; behind a company's proxy, set HTTPS_PROXY to its address."
    mend = "HTTPS_PROXY is {}: correct it, or unset it.".format(proxy) if proxy else mend
    return said[0] and "{} can't be reached: {}. {}".format(address, said[0], mend) or None


def pins(later=None):
    """Each `name==version` of requirements.txt; with `later`, those above or below its line "Later"."""
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    first, _, rest = text.partition("\n# Later:")
    return re.findall(r"^[\w.-]+==[\w.]+", {None: text, False: first, True: rest}[later], re.MULTILINE)


def install(tool, site, *what, **watching):
    """Install what is named, and all that it brings along as uv.lock has it; a fault becomes a Stop that says why."""
    for info in site.glob("*.dist-info"):  # forget what a killed installer left: it writes INSTALLER at the end
        if not (info / "INSTALLER").is_file():
            shutil.rmtree(str(info), ignore_errors=True)
    locked = re.findall(r'\nname = "(.+)"\nversion = "(.+)"', (ROOT / "uv.lock").read_text(encoding="utf-8"))
    times, constraints = collections.Counter(name for name, _ in locked), site / "lab_constraints.txt"
    single = [f"{name}=={version}\n" for name, version in locked if times[name] == 1 and name != "slmlab"]
    constraints.write_text("".join(single), encoding="utf-8")
    code, last = watch([*tool.command, "-c", constraints, *what], tool.env, **watching)
    if code:
        raise Stop("\n".join([*last, "", _cause(tool, "\n".join(last)) + " Then run again: it goes on from here."]))


def _cause(tool, said):
    """What stopped the installer, by its own words, or by a look at the network."""
    if re.search(r"No space left|os error 112|WinError 112", said):
        return "The disk is full: free some space."
    if re.search(r"Access is denied|os error (5|32)\)|WinError (5|32)\b", said):
        return "A file is in use: close notebooks and editors that use .venv."
    return network_fault(tool.index) or "The lines above are the installer's own."


def torch_build(tool, python):
    """Which build of torch to take: in words, as options of the installer, and whether it is the large one."""
    if platform.system() != "Linux":
        return "the standard build", [], False
    gpu = shutil.which("nvidia-smi") and output(["nvidia-smi", "-L"]).startswith("GPU")
    offered = "" if gpu else output([python, "-m", "pip", "index", "versions", "torch"], tool.env)
    if dict(pin.split("==") for pin in pins())["torch"] + "+cpu" in offered:
        return "the CPU build, as your package index offers it", [], False
    reachable = not network_fault(CPU_INDEX + "/torch/")
    if gpu:
        return "the CUDA build, for this NVIDIA GPU", ["--torch-backend=auto"] * (reachable and tool.is_uv), True
    if reachable:
        options = ["--torch-backend=cpu"] if tool.is_uv else ["--extra-index-url", CPU_INDEX]
        return "the CPU build, from " + CPU_INDEX, options, False
    note = "only the CUDA build can be reached, which runs without a GPU as well. "
    return note + "To do with less, put a wheel of torch's +cpu build where pip's find-links points", [], True
