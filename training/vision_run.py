"""A training of the vision model over one process or several, which goes on from its last state.

On a CPU each core gets a process of one thread: two threads of one process wait for each other more than they help.
"""

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from time import perf_counter

import torch

from training.state import lock, read_state, refuse_other, save_state
from training.vision_batches import drawn
from training.vision_recipe import Recipe
from training.vision_steps import VisionTraining

SAVE_EVERY, TELL_EVERY = 100, 10


def train(recipe: Recipe, folder: Path, processes: int = 1, seconds: float | None = None) -> bool:
    """Train to the end (True), to Ctrl-C, or for so many seconds; then the same call goes on."""
    most = min(recipe.page_batch, recipe.batch)
    if not 1 <= processes <= most:
        raise SystemExit(f"{processes} processes: a step has work for 1 to {most}.")
    folder.mkdir(parents=True, exist_ok=True)
    held = lock(folder)
    begun = _begun(folder / "state.pt", recipe)
    print(f"Going on at step {begun:,} of {recipe.steps:,}." if begun else f"{recipe.steps:,} steps.", flush=True)
    meeting = folder / "meeting"  # the file by which the processes find each other
    meeting.unlink(missing_ok=True)
    arguments = (processes, recipe, folder, meeting, seconds, os.getpid())
    before = signal.signal(signal.SIGINT, signal.SIG_IGN) if processes > 1 else None  # the processes hear it too
    try:
        if processes == 1:
            _process(0, *arguments)
        else:
            torch.multiprocessing.spawn(_process, arguments, nprocs=processes)
    except torch.multiprocessing.ProcessExitedException as fault:
        raise SystemExit(f"A process ended ({fault}). The same command goes on from the last state.") from fault
    finally:
        if before is not None:
            signal.signal(signal.SIGINT, before)
        meeting.unlink(missing_ok=True)
        held.release()
    done = _begun(folder / "state.pt", recipe)
    if done < recipe.steps:
        print(f"\nStopped and saved at step {done:,}. The same command goes on from there.")
    return done == recipe.steps


def _begun(path: Path, recipe: Recipe) -> int:
    """The step that a state is at; 0 where there is none. One of another recipe or of other scenes is refused."""
    if not path.is_file():
        return 0
    state = read_state(path)
    refuse_other(path, state, recipe=asdict(recipe), curriculum=drawn())
    return state["step"]


def _process(part: int, parts: int, recipe: Recipe, folder: Path, meeting: Path, seconds, starter: int) -> None:
    stop: list[bool] = []
    before = signal.signal(signal.SIGINT, lambda *_: stop.append(True))
    device, add_up = "cuda" if torch.cuda.is_available() else "cpu", None
    if parts > 1:
        torch.set_num_threads(1)
        keep_to_a_core(part)
        torch.distributed.init_process_group("gloo", init_method=meeting.as_uri(), rank=part, world_size=parts)
        add_up = torch.distributed.all_reduce
    try:
        training, state, begun = VisionTraining(recipe, device, part, parts), folder / "state.pt", perf_counter()
        curriculum = drawn()
        spent = _resume(training, state) if state.is_file() else 0.0
        while training.step < recipe.steps:
            told = training.advance(add_up)
            now = perf_counter() - begun
            orphan = parts > 1 and os.getppid() != starter
            ending = _any(bool(stop) or orphan or (seconds is not None and now > seconds), add_up)
            last = ending or training.step == recipe.steps
            if part == 0 and (training.step % TELL_EVERY == 0 or last):
                _tell(training, told, spent + now)
            if part == 0 and (training.step % SAVE_EVERY == 0 or last):
                _save(training, state, curriculum, spent + now)
            if ending:
                break
        if parts > 1:
            torch.distributed.barrier()  # who leaves while another still listens takes it down
    finally:
        signal.signal(signal.SIGINT, before)
        if parts > 1:
            torch.distributed.destroy_process_group()


def keep_to_a_core(part: int) -> None:
    """Each process on a core of its own, where the system lets it: two on one core halve the speed of both."""
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[part % len(cores)]})


def _any(mine: bool, add_up: Callable | None) -> bool:
    """Whether one of the processes wants to end: all end after the same step."""
    if add_up is None:
        return mine
    wish = torch.tensor([float(mine)])
    add_up(wish)
    return bool(wish.item())


def _resume(training: VisionTraining, path: Path) -> float:
    state = read_state(path)
    training.model.load_state_dict(state["model"])
    training.helper.load_state_dict(state["helper"])
    for optimiser, one in zip(training.optimisers, state["optimiser"], strict=True):
        optimiser.load_state_dict(one)
    training.step = state["step"]
    return state["seconds"]


def _save(training: VisionTraining, path: Path, curriculum: str, seconds: float) -> None:
    save_state(path, {
        "recipe": asdict(training.recipe), "curriculum": curriculum, "step": training.step, "seconds": seconds,
        "model": training.model.state_dict(), "helper": training.helper.state_dict(),
        "optimiser": [one.state_dict() for one in training.optimisers],
    })  # fmt: skip


def _tell(training: VisionTraining, told: dict[str, float], seconds: float) -> None:
    recipe, step = training.recipe, training.step
    right = f"{told['right']:.1%} of the letters right, {told['found']:.1%} without a picture"
    stage = "pages" if step <= recipe.pages else f"loss {told['loss']:.3f} · {right}"
    print(
        f"step {step:,} of {recipe.steps:,} · {stage} · helper {told['helper']:.3f} · {seconds / 60:.1f} min ",
        end="\r" if sys.stdout.isatty() else "\n", flush=True,
    )  # fmt: skip
