"""Which clients work with this server: each one unmodified, in an environment of its own, over a socket.

`python benchmarks/clients.py [client ...]` prints how every call of clients_calls.py and clients.mjs ends: works, clear
refusal (the server's sentence) or fails. clients.txt has the names and pins. --raw shows the request and the answer
behind what doesn't work; --markdown writes the table into README.md.
"""

import argparse
import datetime
import json
import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

from measure import put_between

from endpoint import serve
from slmlab import weights
from slmlab.machine import cache_folder

HERE = Path(__file__).resolve().parent
MARKS = ("<!-- clients: written by python benchmarks/clients.py --markdown -->", "<!-- end of clients -->")
MODEL = "smollm2-135m"


def command(name: str, pins: str, home: Path) -> list:
    """What runs a client's calls; its environment is made when its pins are new."""
    place = home / name
    python, made = place / ("Scripts" if os.name == "nt" else "bin") / "python", place / "pins.txt"
    if not made.exists() or made.read_text() != pins:
        print(f"{name}: installing {pins}", file=sys.stderr)
        if name == "npm":
            install = ["npm", "install", "--silent", "--no-audit", "--ignore-scripts", "--prefix", place]
        else:
            venv.create(place, clear=True, with_pip=True)
            install = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        subprocess.run([*install, *pins.split()], check=True)
        made.write_text(pins)
    if name == "npm":  # node looks for packages beside the script
        shutil.copy(HERE / "clients.mjs", place)
    return ["node", place / "clients.mjs"] if name == "npm" else [python, HERE / "clients_calls.py"]


def outcomes(name: str, start: list, at: dict):
    """Every call's record. A refusal is known by the server's status, and told in the server's words."""
    alone = os.environ | {"PYTHONPATH": "", "HF_HUB_OFFLINE": "1", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    done = subprocess.run([*start, name, json.dumps(at)], capture_output=True, text=True, env=alone)
    for line in done.stdout.splitlines():
        if line.startswith('{"call"'):  # clients print as well
            one = json.loads(line)
            exchange = one["exchange"] or {"status": None}
            if one["result"] != "works" and exchange["status"] in range(400, 500):
                error = json.loads(exchange["answer"])["error"]
                words = error if isinstance(error, str) else error["message"]
                one["result"] = f"clear refusal ({exchange['status']}): {words}"
            yield one
    if done.returncode:
        yield {"call": "all others", "result": f"fails: {done.stderr.strip()[-400:]}", "exchange": None}


def with_versions(client: str, pins: str) -> str:
    versions = {re.split("(?<=.)[@=[]", pin)[0]: pin for pin in pins.split()}
    return " ".join(versions.get(word, word) for word in client.split())


def table(found: dict[str, dict[str, list[str]]]) -> str:
    rows = [f"| {client} | {', '.join(calls)} | {result.replace('|', '/')} |"
            for client, results in found.items() for result, calls in results.items()]  # fmt: skip
    return "\n".join(["| client (version) | call | result |", "| --- | --- | --- |", *rows])


def main() -> None:
    lines = (HERE / "clients.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.split(": ", 1) for line in lines if not line.startswith("#"))
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("clients", nargs="*", metavar="client", help=f"some of {', '.join(pins)}")
    options.add_argument("--markdown", action="store_true", help="write the table into benchmarks/README.md")
    options.add_argument("--raw", action="store_true", help="show the exchange behind what doesn't work")
    told = options.parse_args()
    home, found = cache_folder() / "clients", {}
    with serve(MODEL, record=True) as server, serve(MODEL, profile="ollama", record=True) as other:
        at = {"url": server.url, "root": server.root, "ollama": other.root}
        at["folder"] = str(weights.folder(MODEL, "onnx-q4"))
        for name in told.clients or pins:
            for one in outcomes(name, command(name, pins[name], home), at):
                client = with_versions(one.get("client", name), pins[name])
                found.setdefault(client, {}).setdefault(one["result"], []).append(one["call"])
                print(f"{client}: {one['call']}: {one['result']}", flush=True)
                if told.raw and one["result"] != "works":
                    print(json.dumps(one["exchange"], indent=1))
    print(f"\n{table(found)}")
    if told.markdown:
        put_between(MARKS, f"{datetime.date.today()}\n\n{table(found)}", HERE / "README.md")


if __name__ == "__main__":
    main()
