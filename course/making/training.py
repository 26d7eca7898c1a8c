"""The steps of a training: a bar, a stop that loses nothing, and the same road again from where it stopped.

Knows nothing about what is learned: a lesson hands over the model and the loss of a step.
"""

import json
import math
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError

from course.evaluate import Share
from course.live import in_place
from slmlab.catalog import DATA
from slmlab.errors import BadRequest, NotHere
from slmlab.loading import plan
from slmlab.machine import cache_folder
from slmlab.plots.style import BLUE
from slmlab.weights import sha256_of

MODE = "SLMLAB_TRAINING"  # "short": fewer steps, as tests run them; "anew": nothing finished is taken
SAVE_EVERY_S, SHOW_EVERY_S = 20, 0.5
WARM_UP, LAST_RATE = 0.1, 0.1  # the part of the steps in which the rate rises, and what is left of it at the end
NO_NUMBER = "Its rate is too high, or a text has no token to learn from. Make the model again, and try a third of it."


@dataclass(repr=False)
class Run:
    """What a training has seen: its loss at each step, and what `look` gave on the way."""

    name: str
    steps: int
    rate: float
    losses: list[float] = field(default_factory=list)
    seen: list[dict] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def done(self) -> bool:
        return len(self.losses) == self.steps

    def __repr__(self):
        steps = f"{self.name}: step {len(self.losses):,} of {self.steps:,}, {self.seconds:.0f} s"
        return f"{steps}, loss {self.losses[0]:.2f} to {self.losses[-1]:.2f}" if self.losses else steps


def train(
    name: str, model, loss_of: Callable, *, steps: int, rate: float, tokens: int = 0,
    look: Callable[[], dict] | None = None, at: Sequence[float] = (0, 1), again: bool = False,
) -> Run:  # fmt: skip
    """Train what in `model` may change: in each step, AdamW follows the gradient of `loss_of(step)`.

    The rate rises for a tenth of the steps and then falls like a cosine. `tokens` is how many a step reads, for the
    bar; `look()` gives a dict of numbers, texts and scores to keep at these parts `at` of the way. Interrupt it
    whenever you like: what was learned stays in the model, and the same line goes on from there, in a new kernel too.
    What is finished is not trained a second time, unless `again`.
    """
    mode = os.environ.get(MODE, "")
    if mode == "short":  # a quarter, and of a long one an eighth: the effects are still there
        steps = max(2, min(steps // 4, max(10, steps // 8)))
    training = _Training(name, model, loss_of, steps, rate)
    training.look, training.looks = look, {round(part * training.run.steps) for part in at} if look else set()
    if not (again or mode):
        training.restore()
    run, bar = training.run, _Bar(tokens)
    try:
        with suppress(KeyboardInterrupt):
            while not run.done:
                training.advance()
                bar.show(run)
            training.look_now()
        training.save()
    finally:
        model.eval()
    if not run.done:  # said when it is kept
        print(f"Stopped after {len(run.losses)} of {run.steps} steps. The same line goes on from there.")
    return run


class _Training:
    """One training in memory, and its copy on the disk. The copy is known by its shapes and by the loss on the first
    step's texts, at first and when it was saved. What changes neither, such as a LoRA's scale, needs `again`."""

    def __init__(self, name: str, model, loss_of: Callable, steps: int, rate: float):
        import torch

        self.torch, self.model, self.loss_of, self.run = torch, model, loss_of, Run(name, steps, rate)
        self.learned = {key: one for key, one in model.named_parameters() if one.requires_grad}
        self.optimizer = torch.optim.AdamW(self.learned.values(), lr=rate, betas=(0.9, 0.95), weight_decay=0.01)
        self.optimizer.zero_grad()  # an interrupted step leaves a gradient in the model
        self.path, self.saved_s = cache_folder() / "made" / f"{name}.pt", time.monotonic()
        self.first = self._probe()

    def _probe(self) -> float:
        self.model.eval()
        with self.torch.no_grad():
            return self.loss_of(0).item()

    def advance(self) -> None:
        self.look_now()
        run, began = self.run, time.perf_counter()
        step, part = len(run.losses), len(run.losses) / run.steps
        falling = LAST_RATE + (1 - LAST_RATE) * 0.5 * (1 + math.cos(math.pi * part))
        self.optimizer.param_groups[0]["lr"] = run.rate * min((step + 1) / (WARM_UP * run.steps), falling)
        loss = self.loss_of(step)
        if not math.isfinite(loss.item()):
            raise BadRequest(f"The loss of step {step} is no number ({loss.item()}). {NO_NUMBER}")
        loss.backward()
        self.torch.nn.utils.clip_grad_norm_(self.learned.values(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        run.losses.append(loss.item())
        run.seconds += time.perf_counter() - began
        if time.monotonic() - self.saved_s > SAVE_EVERY_S:
            self.save()

    def look_now(self) -> None:
        step = len(self.run.losses)
        if step in self.looks and step not in [row["step"] for row in self.run.seen]:
            self.model.eval()
            with self.torch.no_grad():
                self.run.seen.append({"step": step, **self.look()})
        self.model.train()

    def save(self) -> None:
        """Whole or not at all. A full disk costs the copy, not the training."""
        if os.environ.get(MODE):  # a test leaves the reader's copies alone
            return
        if self.run.done:
            self.optimizer.state.clear()  # two thirds of a copy, and needed no more
        kept = {"first": self.first, "last": self._probe(), "run": vars(self.run)}
        kept |= {"learned": self.learned, "optimizer": self.optimizer.state_dict()}
        half = self.path.with_suffix(".half")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.torch.save(kept, half)
            os.replace(half, self.path)
        except (OSError, RuntimeError) as fault:  # the second is what torch makes of a full disk
            print(f"This training can't be kept at {self.path}: {fault}. It goes on in memory.")
            with suppress(OSError):
                half.unlink()
        self.saved_s = time.monotonic()

    def restore(self) -> None:
        """Go on where a copy of this training stopped, if there is one."""
        try:
            with self.torch.serialization.safe_globals([Share]):  # what a look may give
                kept = self.torch.load(self.path, weights_only=True)
        except (OSError, EOFError, RuntimeError, UnpicklingError):  # none is there, or it is damaged
            return
        run = Run(**kept["run"])
        before, now = ({key: one.shape for key, one in of.items()} for of in (kept["learned"], self.learned))
        same = any(math.isclose(self.first, kept[when], rel_tol=1e-4) for when in ("first", "last"))
        if not same or before != now or (run.steps, run.rate) != (self.run.steps, self.run.rate):
            return
        self.model.load_state_dict(kept["learned"], strict=False)  # the frozen weights are not in it
        self.optimizer.load_state_dict(kept["optimizer"])
        self.run, self.first = run, kept["first"]
        again = "To train it a second time: again=True."
        print(f"Taken from the disk, {run}. {again}" if run.done else f"Going on from {run}.")


class _Bar:
    """How far it is, how fast, how long still, and the loss as a line that falls."""

    def __init__(self, tokens: int):
        self.tokens, self.place, self.shown_s = tokens, None, 0.0

    def show(self, run: Run) -> None:
        if not run.done and time.monotonic() - self.shown_s < SHOW_EVERY_S:
            return
        self.shown_s, done = time.monotonic(), len(run.losses)
        speed = f" · {self.tokens * done / run.seconds:,.0f} tokens a second" if self.tokens else ""
        left = "" if run.done else f" · {run.seconds / done * (run.steps - done):.0f} s left"
        words = f"step {done:,} of {run.steps:,} · loss {run.losses[-1]:.2f}{speed} · {run.seconds:.0f} s{left}"
        self.place = in_place(self.place, f"{_falling(run)}<div>{words}</div>", words)


def _falling(run: Run) -> str:
    """The loss so far as a small drawing, as wide as the steps that are done."""
    size = max(1, len(run.losses) // 100)
    means = [sum(part) / len(part) for at in range(0, len(run.losses), size) if (part := run.losses[at : at + size])]
    wide, high = 600 * size / run.steps, 72 / (max(means) or 1)
    line = " ".join(f"{at * wide:.0f},{76 - value * high:.0f}" for at, value in enumerate(means))
    label = f"the loss falls from {means[0]:.2f} to {means[-1]:.2f}"
    frame = f'<rect width="600" height="80" fill="{BLUE}" opacity="0.08"/>'
    return (
        f'<svg role="img" aria-label="{label}" viewBox="0 0 600 80" style="width: 600px; max-width: 100%">{frame}'
        f'<polyline points="{line}" fill="none" stroke="{BLUE}" stroke-width="2"/></svg>'
    )


def place(name: str) -> Path:
    """A folder of this machine for a model of yours; models that others made are beside it."""
    folder = cache_folder() / "made" / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def merged(name: str | Path) -> Path:
    """A whole model folder of an adapter: one of data/models, or a path. It is made once, and anew for another adapter.

    slmlab.load(folder, precision="int8") runs it fast, and rounds so finely that what was tuned stays.
    """
    from filelock import FileLock
    from peft import PeftConfig, PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    adapter = DATA / "models" / name
    if not (adapter / "adapter_model.safetensors").is_file():
        raise NotHere(f"There is no adapter in {adapter}. Give 'smollm2-clerk', or the folder of one that peft saved.")
    home = place(f"{adapter.name}-{sha256_of(adapter / 'adapter_model.safetensors')[:12]}")
    with FileLock(home / "lock"):
        if not (home / "model.safetensors").is_file():  # written last, and then moved to its place at once
            asked = PeftConfig.from_pretrained(adapter).base_model_name_or_path
            base, half = plan(asked, engine="transformers").folder, home / "half"
            model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), adapter).merge_and_unload()
            AutoTokenizer.from_pretrained(base).save_pretrained(home)
            model.save_pretrained(half)
            for file in sorted(half.iterdir(), key=lambda file: file.suffix == ".safetensors"):
                os.replace(file, home / file.name)
    return home


def knobs() -> list[dict]:
    """What rank and rate did to lesson 11's training, each measured on this many unseen messages."""
    kept = json.loads((DATA / "making.json").read_text(encoding="utf-8"))
    return [row | {"exact": Share(row["exact"], kept["cases"])} for row in kept["points"]]
