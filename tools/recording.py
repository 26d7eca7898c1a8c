"""Puts the lessons' own prompts to a larger model and keeps its answers, as a file that the lessons show.

python -m tools.recording MODEL     a name from `python -m slmlab models`, such as phi-3.5-mini
"""

import argparse
import json
import platform
import sys
import tomllib
from dataclasses import asdict
from datetime import date
from importlib.metadata import version
from pathlib import Path

from course.recordings import FOLDER, cpu_name
from slmlab.catalog import DATA, Card, card, cards
from slmlab.errors import BadRequest, SlmLabError
from slmlab.loading import load
from slmlab.machine import cores, memory
from slmlab.weights import sha256_of

PACKAGES = ("slmlab", "onnxruntime-genai", "onnxruntime", "tokenizers")


def prompts() -> list[dict]:
    """The prompts that are recorded, as the lessons ask them."""
    return tomllib.loads((DATA / "prompts.toml").read_text(encoding="utf-8"))["prompts"]


def record(name: str, into: Path) -> Path:
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


def _answered(model, asked: dict) -> dict:
    print("{lesson}: {question}".format(**asked), flush=True)
    model.forget()  # what an earlier prompt left in the KV cache would shorten the time to the first token
    reply = model.ask(asked["question"], max_tokens=asked["max_tokens"])
    return asked | {"answer": reply.text, "finish_reason": reply.finish_reason} | asdict(reply.metrics)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--into", type=Path, default=FOLDER, metavar="FOLDER", help="default: where lessons look")
    parsed = parser.parse_args(arguments)
    try:
        print(f"Recorded in {record(parsed.model, parsed.into)}")
    except (SlmLabError, OSError) as fault:  # of the disk
        sys.exit(f"{fault}. Earlier recordings are as they were." if isinstance(fault, OSError) else str(fault))


if __name__ == "__main__":
    main()
