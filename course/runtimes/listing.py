"""Who is there: every runtime by its name, a table of what each is for, and whether this machine has it.

Imports a runtime's file when it is asked for, and never the package that the runtime is.
"""

from importlib import import_module

from course.runtimes.contract import Runtime
from slmlab.errors import UnknownName, nearest, quoted
from slmlab.loading import ENGINES
from slmlab.show import Shown, Table

RUNTIMES = {
    **{f"{engine} {precision}": "built_in.BuiltIn" for engine, each in ENGINES.items() for precision in each},
    "llama.cpp": "llama_cpp.LlamaCpp",
    "openvino": "openvino.OpenVino",
    "mlx": "mlx.Mlx",
    "ollama": "ollama.Ollama",
    "foundry local": "contract.Elsewhere",
    "qnn": "contract.Elsewhere",
}


def made(name: str) -> Runtime:
    """A runtime that holds nothing yet; shown, it is what it needs, and what it did where it was tried."""
    if name not in RUNTIMES:
        raise UnknownName(f"Unknown runtime {quoted(name)}. {nearest(str(name), list(RUNTIMES))}.")
    module, kind = RUNTIMES[name].split(".")
    return getattr(import_module(f"course.runtimes.{module}"), kind)(name)


class Roster(Shown, tuple):
    """Every runtime, with its facts and what is missing for it here. Iterate it, or show it."""

    def _table(self) -> Table:
        """A row for each kind of runtime, whatever precisions it is in the race with."""
        rows = {}
        for runtime in self:
            facts = runtime.facts
            here = "no" if runtime.need() else f"yes, {runtime.version}"
            name = facts.name if facts.maker in facts.name else f"{facts.name} ({facts.maker})"
            rows[runtime.id] = (name, facts.choose, facts.platforms, here)
        heads = ("runtime", "choose it when", "runs on", "here")
        note = "To have those that this machine can run: python -m pip install -r data/environments/runtimes.txt"
        return Table(heads, rows.values(), note=note, wrap=160)


def roster() -> Roster:
    return Roster(map(made, RUNTIMES))
