"""A class on this machine: JupyterHub, its learners, and one endpoint that all of them ask. Ctrl-C ends everything.

python lab.py class                         five learners and an instructor, at http://127.0.0.1:8000
python lab.py class --learners ana ben      with these names; or a number
python lab.py class --host 0.0.0.0          for the laptops of this room

It takes four ports in a row, from --port on. Learners' work stays in --folder, and the next start goes on with it.
"""

import argparse
import json
import os
import re
import secrets
import shutil
import signal
import socket
import sys
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT))

from kept import Kept, end_all, until_up  # noqa: E402
from learner import put  # noqa: E402

from setup.machine import SECRET  # noqa: E402
from setup.programs import Stop, npm_ci  # noqa: E402

HERE_ALONE = ("127.0.0.1", "localhost")
NODE = Path(sys.prefix) / "share" / "slmlab-class"  # the proxy is a program of node
PROXY = NODE / "node_modules" / "configurable-http-proxy" / "bin" / "configurable-http-proxy"
ASKS_GB, LOOKS_GB = 0.27, 2.0  # measured; the second is most lessons' in the README


def options(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python lab.py class", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--learners", nargs="+", default=["5"], metavar="N|NAME", help="how many, or their names")
    parser.add_argument("--port", type=int, default=8000, help="the first of four (default: %(default)s)")
    parser.add_argument("--host", default="127.0.0.1", help="where it can be reached (default: on this machine alone)")
    parser.add_argument("--folder", type=Path, default=Path("~/slm-lab-class"), help="learners' work (%(default)s)")
    parser.add_argument("--memory-gb", type=float, default=6, help="for each program of a learner; counts on Linux")
    parser.add_argument("--endpoint", metavar="URL", help="ask this one, such as vLLM's, and start none here")
    parser.add_argument("--certificate", type=os.path.abspath, metavar="FILE", help="for https, with --key")
    parser.add_argument("--key", type=os.path.abspath, metavar="FILE", help="the certificate's key")
    parser.add_argument("--no-passwords", action="store_true", help="to try it alone: a name is enough, here only")
    parser.add_argument("--new-passwords", action="store_true", help="make new ones; the old ones count no more")
    parser.add_argument("--prepare", action="store_true", help="bring the proxy here, and start nothing")
    given = parser.parse_args(words)
    given.folder = given.folder.expanduser().absolute()
    if len(given.learners) == 1 and given.learners[0].isdecimal():
        given.learners = [f"learner{n}" for n in range(1, int(given.learners[0]) + 1)]
    return given


def check(given: argparse.Namespace) -> None:
    """What can't work is said before anything starts."""
    here = given.host in HERE_ALONE
    if not find_spec("jupyterhub"):
        raise Stop("JupyterHub is missing here. `python lab.py class` brings it.")
    if given.no_passwords and not here:
        raise Stop("Without passwords anyone in your network could run programs as you: leave --no-passwords out.")
    strange = [name for name in given.learners if not re.fullmatch("[a-z][a-z0-9_-]*", name) or name == "instructor"]
    if strange:
        raise Stop(f"{strange[0]!r} can't be a learner's name: take small letters and digits, and not instructor.")
    for file in (given.certificate, given.key):
        if (given.certificate or given.key) and not os.path.isfile(file or ""):
            raise Stop(f"https needs --certificate and --key, both a file. This is none: {file or 'what is not given'}")
    if not 0 < given.port < 65533:
        raise Stop(f"There is no port {given.port} with three after it: take one from 1024 to 65532.")
    for host, port in zip((given.host, *["127.0.0.1"] * 3), range(given.port, given.port + 4), strict=True):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as fault:
                why = f"Port {port} of {host} can't be used: {fault.strerror}."
                raise Stop(f"{why} Is another class running? Or choose other ports with --port.") from fault


def settle(given: argparse.Namespace, hub: Path, sockets: str) -> Path:
    """Write what the hub's configuration reads. Passwords are shown once; only their hashes are kept."""
    from jupyterhub.utils import hash_token

    hub.chmod(0o700)
    for name in ("jupyterhub.sqlite", "cookie_secret"):  # a login ends with its class: who left it stays out
        (hub / name).unlink(missing_ok=True)
    file = hub / "class.json"
    again = file.exists() and not given.new_passwords
    kept = json.loads(file.read_text(encoding="utf-8"))["passwords"] if again else {}
    people = [*given.learners, "instructor"]
    new = {name: secrets.token_hex(5) for name in people if name not in kept and not given.no_passwords}
    hashes = kept | {name: hash_token(word) for name, word in new.items()}  # also of who isn't here today
    settings = {"host": given.host, "port": given.port, "scheme": "https" if given.certificate else "http",
                "certificate": given.certificate or "", "key": given.key or "", "memory_gb": given.memory_gb,
                "sockets": sockets, "learners": given.learners, "passwords": hashes,
                "asks_passwords": not given.no_passwords,
                "proxy": [shutil.which("node") or "node", str(PROXY)]}  # fmt: skip
    put(file, json.dumps(settings).encode())  # all of it or nothing: a full disk loses no password
    if given.no_passwords:
        print(f"Names: {', '.join(people)}. No password is asked for.")
    else:
        for name in people:
            print(f"  {name:12}  password {new.get(name, 'as before (--new-passwords makes others)')}")
    return file


def fits() -> str:
    import psutil

    free = psutil.virtual_memory().available / 1e9
    return (f"Memory: {free:.0f} GB for learners. That is about {free / ASKS_GB:.0f} who ask the endpoint, "
            f"or {free / LOOKS_GB:.0f} who all look inside a model at the same time.")  # fmt: skip


def run(given: argparse.Namespace) -> None:
    from filelock import FileLock, Timeout

    hub = given.folder / "hub"
    hub.mkdir(parents=True, exist_ok=True)
    lock = FileLock(hub / "lock")  # the system frees it when this program ends
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise Stop(f"A class is open in {given.folder} already. End it, or give another --folder.") from None
    env = {name: value for name, value in os.environ.items() if not SECRET.search(name)}  # no key of yours goes on
    sockets = TemporaryDirectory(prefix="class-", dir="/tmp")  # the path of a socket has 104 letters at most
    env |= {"SLMLAB_CLASS": str(settle(given, hub, sockets.name)),
            "SLMLAB_ENDPOINT": given.endpoint or f"http://127.0.0.1:{given.port + 3}/v1"}  # fmt: skip
    kept: list[Kept] = []
    try:
        if not given.endpoint:
            serve = ["-m", "slmlab", "serve", "--seats", 16, "--port", given.port + 3, "--until-input-ends"]
            kept.append(Kept("endpoint", [sys.executable, *serve], env, hub))
        config = HERE / "jupyterhub_config.py"
        kept.append(Kept("hub", [sys.executable, "-m", "jupyterhub", "-f", config], env, hub))
        until_up(kept, given.port + 2, "/hub/api")
        if not given.endpoint:
            until_up(kept, given.port + 3, "/health")
        name = socket.gethostname() if given.host == "0.0.0.0" else given.host
        print(f"The class is open at http{'s' * bool(given.certificate)}://{name}:{given.port}\n{fits()}")
        if given.host not in HERE_ALONE and not given.certificate:
            print("Passwords travel unencrypted: use a network that you trust, or give --certificate and --key.")
        print(f"Endpoint: {env['SLMLAB_ENDPOINT']}. Learners' work: {given.folder / 'learners'}.")
        print("Leave this window open; Ctrl-C ends the class.", flush=True)
        while True:
            time.sleep(0.5)
            for one in kept:
                one.look()
    finally:
        end_all(kept, given.folder / "learners")
        sockets.cleanup()
        print("The class is closed. No program of it is left.", flush=True)


def main(words: list[str]) -> int:
    given = options(words)
    if not given.prepare:
        check(given)
    npm_ci(HERE, NODE, "The hub's proxy")
    for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # a closed terminal ends it, too
        signal.signal(sign, signal.default_int_handler)
    if not given.prepare:
        with suppress(KeyboardInterrupt):
            run(given)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (Stop, OSError) as fault:  # such as a folder that can't be written
        sys.exit(f"\n{fault}")
