"""A training that survives its end: it saves often, and the same command goes on from the last state."""

import signal
import sys
from dataclasses import asdict
from pathlib import Path
from time import perf_counter

import torch

from course.sparse import Moment, Recipe, Training
from training.corpus import corpus, fingerprint
from training.state import WORK, lock, read_state, refuse_other, save_state

SAVE_EVERY, TELL_EVERY = 100, 10


class Run:
    """One training, from a state on disk if there is one. Only one program trains in a folder."""

    def __init__(self, recipe: Recipe, folder: Path):
        self.folder, self.seconds = folder, 0.0
        folder.mkdir(parents=True, exist_ok=True)
        self._alone = lock(folder)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        texts = {name: parts["train"] for name, parts in corpus(folder.parent).items()}
        self.training, self._texts = Training(recipe, texts, device), fingerprint(texts)
        self._resume()

    @property
    def _state(self) -> Path:
        return self.folder / "state.pt"

    def _resume(self) -> None:
        if not self._state.is_file():
            return
        training, state = self.training, read_state(self._state)
        refuse_other(self._state, state, recipe=asdict(training.recipe), texts=self._texts)
        training.model.load_state_dict(state["model"])
        training.optimiser.load_state_dict(state["optimiser"])
        training.step, self.seconds = state["step"], state["seconds"]
        print(f"Going on at step {training.step:,} of {training.recipe.steps:,}.")

    def save(self) -> None:
        training = self.training
        state = {
            "recipe": asdict(training.recipe), "texts": self._texts, "step": training.step, "seconds": self.seconds,
            "model": training.model.state_dict(), "optimiser": training.optimiser.state_dict(),
        }  # fmt: skip
        save_state(self._state, state)

    def train(self) -> None:
        """Steps to the end. Ctrl-C ends the step that is under way, saves, and stops."""
        training, recipe, stop = self.training, self.training.recipe, []
        before = signal.signal(signal.SIGINT, lambda *_: stop.append(True))
        told, begun = training.step, perf_counter()
        try:
            while training.step < recipe.steps and not stop:
                moment = training.advance()
                last = training.step == recipe.steps or stop
                if training.step % TELL_EVERY == 0 or last:
                    spent, begun = perf_counter() - begun, perf_counter()
                    self.seconds += spent
                    self._tell(moment, (training.step - told) * recipe.batch * recipe.length / spent)
                    told = training.step
                if training.step % SAVE_EVERY == 0 or last:
                    self.save()
        finally:
            signal.signal(signal.SIGINT, before)
            self._alone.release()
        if training.step < recipe.steps:
            print(f"\nStopped and saved at step {training.step:,}. The same command goes on from there.")
            sys.exit(130)
        print(f"\n{tokens_in(recipe):,} tokens in {self.seconds / 60:.0f} minutes: {self._state}")

    def _tell(self, moment: Moment, speed: float) -> None:
        recipe = self.training.recipe
        balance = "" if moment.balance is None else f"balance {moment.balance:.2f} · "
        left = (recipe.steps - moment.step) * recipe.batch * recipe.length / speed
        line = f"step {moment.step:,} of {recipe.steps:,} · {moment.bits_per_byte:.3f} bits per byte · {balance}"
        line += f"{speed:,.0f} tokens/s · {left / 60:.0f} min left "
        print(line, end="\r" if sys.stdout.isatty() else "\n", flush=True)


def tokens_in(recipe: Recipe) -> int:
    return recipe.steps * recipe.batch * recipe.length


def name_of(recipe: Recipe) -> str:
    return f"{'dense' if recipe.dense else 'moe'}-seed{recipe.seed}"


def folder_of(recipe: Recipe, work: Path = WORK) -> Path:
    return work / f"{name_of(recipe)}-{recipe.steps}-{recipe.balance:g}"
