"""What a larger model answered to the lessons' own prompts: recorded where it runs, shown where it doesn't.

A recording is data/recordings/MODEL.json. Only `python -m course record MODEL` writes one.
"""

import json
import platform
import tomllib
from dataclasses import asdict
from datetime import date
from importlib.metadata import version
from pathlib import Path

from slmlab.catalog import DATA, Card, card, cards
from slmlab.errors import BadRequest
from slmlab.loading import load
from slmlab.machine import cores, memory
from slmlab.show import Table
from slmlab.weights import sha256_of

FOLDER = DATA / "recordings"
PACKAGES = ("slmlab", "onnxruntime-genai", "onnxruntime", "tokenizers")


def recorded(question: str) -> Table | None:
    """What each recorded model answered to a question of the lesson; None where there is no recording."""
    found = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(FOLDER.glob("*.json"))]
    asked = [(one, said) for one in found for said in one["answers"] if said["question"] == question]
    rows = [(_label(one, said), said["answer"]) for one, said in asked]
    return Table(("model", "its recorded answer"), rows, wrap=100) if rows else None


def _label(one: dict, said: dict) -> str:
    cost = f"{one['precision']}, {said['new_tokens']} tokens in {said['total_s']:.1f} s"
    return f"{one['name']},\nrecorded on {one['date']}\non {one['machine']['cpu']},\n{cost}"


def prompts() -> list[dict]:
    """The prompts that are recorded, as the lessons ask them."""
    return tomllib.loads((DATA / "prompts.toml").read_text(encoding="utf-8"))["prompts"]


def record(name: str, into: Path = FOLDER) -> Path:
    """Put the lessons' prompts to a model in its published ONNX form, greedily, and keep its answers; the new file."""
    chosen, published = card(name), [one.id for one in cards().values() if one.onnx]
    if chosen.id not in published:
        raise BadRequest(f"{chosen.name} is not published for ONNX Runtime. Available: {', '.join(published)}.")
    with load(chosen.id, engine="onnx", fallback=False) as model:
        list(model.ask("Hello", max_tokens=1))  # the first question of all is slower than the others
        found = _about(chosen, model) | {"answers": [_answered(model, one) for one in prompts()]}
    into.mkdir(parents=True, exist_ok=True)
    path, beside = into / f"{chosen.id}.json", into / f"{chosen.id}.part"
    beside.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return beside.replace(path)  # an earlier recording stays whole until then


def _about(chosen: Card, model) -> dict:
    """Which weights answer, where and with what."""
    return {
        **{"model": chosen.id, "name": chosen.name, "engine": model.engine, "precision": model.precision},
        "source": f"{chosen.onnx.repo}/{chosen.onnx.folder}",
        "files_sha256": {file.name: sha256_of(file) for file in sorted(model.folder.glob("*.*"))},
        "settings": {"temperature": 0, "system": None, "threads": model.threads},
        "versions": {"python": platform.python_version()} | {name: version(name) for name in PACKAGES},
        "machine": {"cpu": cpu_name(), "cores": cores()[1], "ram_bytes": memory()[0], "system": platform.platform()},
        "date": date.today().isoformat(),
    }


def cpu_name() -> str:
    """The processor's own name: nothing that tells whose machine it is."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _answered(model, asked: dict) -> dict:
    print("{lesson}: {question}".format(**asked), flush=True)
    model.forget()  # what an earlier prompt left in the KV cache would shorten the time to the first token
    reply = model.ask(asked["question"], max_tokens=asked["max_tokens"])
    return asked | {"answer": reply.text, "finish_reason": reply.finish_reason} | asdict(reply.metrics)
