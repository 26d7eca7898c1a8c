"""`python -m slmlab serve`: its options, and what they start.

The server's own packages are imported when it starts, not when its options are read.
"""

import argparse
import os

from endpoint.start import PROFILES, server_key
from slmlab.errors import MissingPackage


def register(commands) -> None:
    """Add `serve` to the commands of `python -m slmlab`."""
    serve = commands.add_parser("serve", help="a server on this machine that speaks OpenAI's protocol, or a provider's")
    serve.set_defaults(run=run)
    serve.add_argument("--host", default="127.0.0.1", help="where to listen; beyond this machine only with a key")
    serve.add_argument("--port", type=int, default=0, help="0 is any that is free (default)")
    serve.add_argument("--api-key", metavar="KEY", help="ask clients for this key; better kept in SLMLAB_SERVER_KEY")
    serve.add_argument("--model", default="smollm2-135m", help="a name from `models`, or a folder")
    serve.add_argument("--precision", choices=("q4", "int8", "int4", "fp32", "bf16"))
    serve.add_argument("--profile", choices=PROFILES, default="local", help="whose protocol to speak")
    serve.add_argument("--seats", type=int, default=16, help="answers written at the same time (%(default)s)")
    serve.add_argument("--waiting", type=int, default=32, help="requests that may wait: one more gets a 429")
    practice = serve.add_argument_group("practice, for a provider's profile")
    practice.add_argument("--retired", action="store_true", help="answer as the service does that is gone for good")
    practice.add_argument("--per-minute", type=int, metavar="N", help="requests that a model takes in a minute")
    practice.add_argument("--per-day", type=int, metavar="N", help="requests that a model takes in a day")
    practice.add_argument("--minute-s", type=float, default=60, metavar="S", help="how long that minute lasts")
    practice.add_argument("--record", action="store_true", help="show the last exchange, its key hidden, on a page")
    serve.add_argument("--until-ends", type=int, metavar="PID", help=argparse.SUPPRESS)


def run(parsed) -> int:
    """Load the model and serve it until a signal comes."""
    from slmlab.loading import load

    try:
        from endpoint import app
        from endpoint.limits import Switches
    except ModuleNotFoundError as fault:
        raise MissingPackage(f"{fault.name} isn't installed: python -m pip install {fault.name}") from fault

    given = parsed.api_key if parsed.api_key is not None else os.environ.get("SLMLAB_SERVER_KEY") or None
    key = server_key(given)
    listening = app.listen(parsed.host, parsed.port, key)  # before the model is loaded: what can't be, is said at once
    switches = Switches(parsed.retired, parsed.per_minute, parsed.per_day, parsed.minute_s, parsed.record)
    model = load(parsed.model, precision=parsed.precision, seats=parsed.seats)
    app.run(
        model, listening, key=key, profile=parsed.profile, switches=switches, waiting=parsed.waiting,
        until_ends=parsed.until_ends,
    )  # fmt: skip
    return 0
