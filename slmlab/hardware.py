"""Whether a model fits a machine: weights + KV cache + runtime against RAM, GPU memory and disk.

Gives a verdict before anything is downloaded. Knows nothing about models' code, and imports no runtime.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from slmlab.architecture import PRECISIONS
from slmlab.catalog import card
from slmlab.errors import BadRequest, UnknownName, nearest, quoted
from slmlab.machines import GPU_SERVER, LAPTOP, NAMED, PHONE, Machine, machine
from slmlab.model_card import Card
from slmlab.probe import best_threads
from slmlab.show import html_table, in_bytes, in_count, text_table

__all__ = ["Machine", "machine", "best_threads", "Fit", "FitReport", "will_it_fit"]
__all__ += ["PHONE", "LAPTOP", "GPU_SERVER"]

# What a runtime takes beside weights and KV cache. Measured on the bundled model as resident memory less the size of
# the files: ONNX Runtime 76 MB (int8: 335 for 259), 165 MB (int4), 223 MB (fp32); Transformers 375 to 400 MB. So 400 MB
# for any of them, and a margin of a twentieth of the weights for what grows with a model.
RUNTIME_BYTES, MARGIN = 400_000_000, 0.05
EASE = 0.9  # a model that takes more than this share of what is free runs, and leaves nothing for the rest
USUAL_CONTEXT = 4096

_this_machine = machine


@dataclass(frozen=True)
class Fit:
    """One model in one precision on one machine. Sizes in bytes; None where nobody knows."""

    model: str
    precision: str
    context: int | None
    weights_bytes: int | None
    kv_bytes: int | None
    overhead_bytes: int | None
    disk_bytes: int | None
    download_bytes: int | None
    fits_ram: bool | None
    fits_vram: bool | None
    fits_disk: bool | None
    verdict: str
    sentence: str
    parameters: int | None = None
    active_parameters: int | None = None

    @property
    def flops_per_token(self) -> int | None:
        """What computing one token takes: a multiplication and an addition for each parameter that it goes through."""
        return None if self.active_parameters is None else 2 * self.active_parameters

    @property
    def total_bytes(self) -> int | None:
        """What it takes in memory while it answers."""
        return None if self.weights_bytes is None else self.weights_bytes + self.kv_bytes + self.overhead_bytes


@dataclass(frozen=True, repr=False)
class FitReport:
    """The fits of one model, a row per precision. Iterate it, or show it."""

    card: Card
    machine: Machine
    fits: tuple[Fit, ...]

    def __iter__(self) -> Iterator[Fit]:
        return iter(self.fits)

    def __len__(self):
        return len(self.fits)

    def __getitem__(self, precision: str | int) -> Fit:
        if isinstance(precision, int):
            return self.fits[precision]
        found = [fit for fit in self.fits if fit.precision == precision]
        if not found:
            raise BadRequest(f"No {precision!r} here. There is: {', '.join(fit.precision for fit in self.fits)}.")
        return found[0]

    _HEADS = ("precision", "weights", "KV cache", "runtime", "in memory", "verdict", "")

    def _rows(self) -> list[tuple[str, ...]]:
        return [
            (fit.precision, *map(in_bytes, (fit.weights_bytes, fit.kv_bytes, fit.overhead_bytes, fit.total_bytes)),
             fit.verdict, fit.sentence)
            for fit in self.fits
        ]  # fmt: skip

    def _caption(self) -> str:
        context = self.fits[0].context
        tokens = f" with {context:,} tokens of context" if context else ""
        here = f"{in_bytes(self.machine.ram_available_bytes)} of {in_bytes(self.machine.ram_total_bytes)} RAM free"
        gpu = f", GPU {in_bytes(self.machine.vram_free_bytes)} free" if self.machine.vram_bytes else ""
        return f"{self.card.name}{tokens} on {self.machine.name} ({here}{gpu})"

    def __str__(self):
        sentences = "\n".join(f"{fit.precision}: {fit.sentence}" for fit in self.fits)
        return f"{self._caption()}\n{text_table(self._HEADS[:-1], (row[:-1] for row in self._rows()))}\n{sentences}"

    __repr__ = __str__

    def _repr_html_(self):
        return html_table(self._HEADS, self._rows(), self._caption())


def will_it_fit(
    name: str | Card,
    precision: str | None = None,
    context: int | None = None,
    machine: Machine | str | None = None,
    *,
    on_disk: bool = False,
) -> FitReport:
    """Whether a model fits a machine (this one, unless 'phone' or 'laptop' is named), in one precision or in each.

    `context` is how many tokens a conversation may have: if not given, 4,096 or the model's own limit if that is less.
    `on_disk` leaves the disk out: the weights are already here.
    """
    chosen = card(name)
    if precision not in (None, *PRECISIONS):
        raise BadRequest(f"Unknown precision {precision!r}. Available: {', '.join(PRECISIONS)}.")
    if isinstance(machine, str):
        if machine not in NAMED:
            raise UnknownName(f"Unknown machine {quoted(machine)}. {nearest(machine, list(NAMED))}")
        machine = NAMED[machine]
    tokens = _context(chosen, context)
    here = machine or _this_machine()
    wanted = (precision,) if precision else PRECISIONS
    return FitReport(chosen, here, tuple(_fit(chosen, one, tokens, here, on_disk) for one in wanted))


def _context(chosen: Card, context: int | None) -> int:
    if context is None:
        return min(chosen.context or USUAL_CONTEXT, USUAL_CONTEXT)
    if not isinstance(context, int) or isinstance(context, bool) or context < 1:
        raise BadRequest(f"context={context!r}: a context is a number of tokens, 1 or more.")
    if chosen.context and context > chosen.context:
        raise BadRequest(f"{chosen.name} takes at most {chosen.context:,} tokens of context, not {context:,}.")
    return context


def _fit(chosen: Card, precision: str, tokens: int, here: Machine, on_disk: bool) -> Fit:
    size = chosen.weight_size(precision)
    if size.bytes is None:
        words = f"Nobody outside {chosen.maker} knows: the size of {chosen.name} was never published."
        return Fit(chosen.id, precision, tokens, *[None] * 8, verdict="unknown", sentence=words)
    # ONNX Runtime on a CPU keeps the cache in fp32 whatever the weights are, Transformers in the type of the weights.
    # A sliding window is not taken off: not every runtime drops what has left it.
    kv = tokens * chosen.kv_bytes_per_token("bf16" if precision == "bf16" else "fp32")
    overhead = RUNTIME_BYTES + int(size.bytes * MARGIN)
    total = size.bytes + kv + overhead
    disk, download = _on_disk(chosen, size)
    fits_disk = True if on_disk else None if here.disk_free_bytes is None else disk <= here.disk_free_bytes
    verdict, sentence = _judge(total, disk, fits_disk, here)
    if kv > size.bytes and verdict != "fits":
        sentence += f" Most of it is the KV cache of {tokens:,} tokens: a smaller context helps."
    if chosen.architecture.experts > 1:
        sentence += _sparse(chosen)
    if size.published:
        sentence += f" The size of the weights is {size.how}."
    return Fit(
        chosen.id, precision, tokens, size.bytes, kv, overhead, disk, download,
        fits_ram=None if here.ram_available_bytes is None else total <= here.ram_available_bytes,
        fits_vram=None if here.vram_free_bytes is None else total <= here.vram_free_bytes,
        fits_disk=fits_disk, verdict=verdict, sentence=sentence,
        parameters=chosen.parameters, active_parameters=chosen.active_parameters,
    )  # fmt: skip


def _sparse(chosen: Card) -> str:
    """What a mixture of experts costs: memory for all of it, computing for a part."""
    shape = chosen.architecture
    return (
        f" Memory holds all {in_count(chosen.parameters)} parameters, for the next token may want any of the "
        f"{shape.experts} experts of a layer; each token computes with {in_count(chosen.active_parameters)}, "
        "as in a dense model of that size."
    )


def _on_disk(chosen: Card, size) -> tuple[int, int | None]:
    """What the model takes on disk, and what has to come over the network for it, where that is known."""
    if chosen.wheel:  # its file is unpacked, turned into fp32 once, and that into the form that runs
        return chosen.wheel.file_bytes + chosen.weight_bytes("fp32") + size.bytes, chosen.wheel.bytes
    return size.bytes, size.bytes if size.published else None


def _judge(total: int, disk: int, fits_disk: bool | None, here: Machine) -> tuple[str, str]:
    """One word, and the sentence that gives its reason."""
    takes = f"It takes {in_bytes(total)} of memory"
    ram, all_ram, vram = here.ram_available_bytes, here.ram_total_bytes, here.vram_free_bytes
    if fits_disk is False:
        return "too big", f"Its files take {in_bytes(disk)} and the disk has {in_bytes(here.disk_free_bytes)} free."
    if ram is None and vram is None:
        return "unknown", f"{takes}; how much this machine has is not known."
    if ram is not None and total <= ram * EASE:
        return "fits", f"{takes}; {in_bytes(ram)} RAM are free."
    if vram is not None and total <= vram * EASE:
        return "fits", f"{takes}; {in_bytes(vram)} are free on the GPU."
    if ram is not None and total <= ram:
        return "tight", f"{takes}, and leaves almost nothing of {in_bytes(ram)} free RAM."
    if vram is not None and total <= vram:
        return "tight", f"{takes}, and leaves almost nothing of {in_bytes(vram)} free on the GPU."
    if all_ram is not None and total <= all_ram * EASE:
        return "tight", f"{takes}, more than the {in_bytes(ram)} free now: close other programs first."
    has = [f"{in_bytes(all_ram or ram)} RAM"] if ram is not None else []
    has += [f"a GPU with {in_bytes(here.vram_bytes)}"] if here.vram_bytes else []
    system = ", and its system needs a part of that" if total <= (all_ram or 0) else ""
    return "too big", f"{takes}; {here.name} has {' and '.join(has)}{system}."
