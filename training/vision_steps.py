"""Training the small vision model, one step at a time: the recipe, the batches, the losses, the optimisers.

Knows nothing about files. Several processes may share a step: each takes its part of the scenes, and the sums of their
gradients are the gradient of the whole.
"""

from dataclasses import dataclass
from random import Random

import numpy as np
import torch
from torch.nn import functional

from slmlab.teaching.canvas import COLOURS, SIDE, Canvas
from slmlab.teaching.scene_draws import draw_scene
from slmlab.teaching.scenes import Question, Scene
from training.glyph_pages import GLYPHS, draw_page
from training.vision_model import END, PAD, PATCH, new_model, new_processor

ACROSS = SIDE // PATCH
HINTS = 2 * len(GLYPHS) + len(COLOURS)  # what the helping head says of a patch: glyphs left, glyphs right, colours
FOLLOW_UPS = 3
# Reading begins within a few hundred steps on one kind of picture, and not within a thousand on many at once.
ALONE = 900  # steps with the first kind alone
KINDS = {  # how often each kind comes, and the step of reading from which it does
    "bars": (5, 0), "text": (5, ALONE), "receipt": (4, 1300), "table": (4, 1300), "shapes": (2, 1900),
    "pair": (1.5, 2100), "counter": (1, 2200), "moving": (0.7, 2300), "pie": (3, 2600), "line": (3, 3000),
    "heights": (3, 3300), "wedges": (2, 3600), "curve": (2, 3800),
}  # fmt: skip


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what comes out."""

    seed: int = 0
    steps: int = 16000
    pages: int = 4000  # the first of them: the encoder alone learns glyphs and colours
    easy: int = 2500  # of the next ones, names of one letter: all at first, none at the end
    page_batch: int = 8
    batch: int = 16  # scenes in a step
    muon_rate: float = 0.01  # both twice as high for the pages
    adam_rate: float = 1e-3
    weight_decay: float = 0.02
    warm_up: int = 50
    cool_down: float = 0.3  # the last part of the steps, in which the rates fall to nothing
    hints: float = 1.0  # weight of what the helping head says of one patch, beside a letter of a reading
    answers: float = 3.0  # weight of an answer's token beside a reading's
    width: int = 256
    seeing: int = 4
    telling: int = 4


@dataclass(frozen=True)
class Batch:
    """One forward pass: rows of ids, the weight of each id as a target, all pictures, and what each patch shows."""

    ids: torch.Tensor
    weights: torch.Tensor
    pixels: torch.Tensor
    hints: torch.Tensor

    def to(self, device: str) -> "Batch":
        return Batch(*(one.to(device) for one in (self.ids, self.weights, self.pixels, self.hints)))


def pixels_of(image) -> np.ndarray:
    """The picture as the processor gives it to the model."""
    return (np.asarray(image, dtype=np.float32) / 127.5 - 1).transpose(2, 0, 1)


def hints_of(canvas: Canvas) -> np.ndarray:
    """For each patch, row by row: the glyphs whose middle is in its left half, in its right half, and its colours."""
    found = np.zeros((ACROSS * ACROSS, HINTS), dtype=np.float32)
    for glyph, x, y in canvas.glyphs:
        column, row = int(x // PATCH), int(y // PATCH)
        if glyph in GLYPHS and 0 <= column < ACROSS and 0 <= row < ACROSS:
            right = x % PATCH >= PATCH / 2
            found[row * ACROSS + column, GLYPHS.index(glyph) + right * len(GLYPHS)] = 1
    picture = np.asarray(canvas.image, dtype=np.int16)[::2, ::2]
    half = PATCH // 2
    for number, colour in enumerate(COLOURS):
        same = (np.abs(picture - np.array(canvas.style.rgb(colour))) < 5).all(-1)
        share = same.reshape(ACROSS, half, ACROSS, half).mean((1, 3)).reshape(-1)
        found[:, 2 * len(GLYPHS) + number] = share > 0.12
    return found


class Batches:
    """The batches of a training. The recipe and a step's number alone decide what is in it."""

    def __init__(self, recipe: Recipe, tokenizer):
        self.recipe, self.tokenizer = recipe, tokenizer
        self._picture = tokenizer("<image>" * ACROSS**2 + "\n")["input_ids"]

    def of(self, step: int, part: int = 0, parts: int = 1) -> list[Batch]:
        """A part of a step's scenes. Long conversations and short ones go through the model apart: padding is work."""
        scenes = [self._scene(step, number) for number in range(part, self.recipe.batch, parts)]
        rows = sorted((self._row(scene, chance) for scene, chance in scenes), key=lambda row: len(row[0]))
        cut = next((at for at, row in enumerate(rows) if len(row[2].canvases) > 1), len(rows))
        return [self._batch(some) for some in (rows[:cut], rows[cut:]) if some]

    def pages(self, step: int, part: int = 0, parts: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
        """A part of a step's pictures for the encoder alone, pages and scenes: pixels, and each patch's truth."""
        numbers = range(part, self.recipe.page_batch, parts)
        canvases = [self._page(step, number) for number in numbers]
        pixels = torch.from_numpy(np.stack([pixels_of(canvas.image) for canvas in canvases]))
        return pixels, torch.from_numpy(np.stack([hints_of(canvas) for canvas in canvases]))

    def _page(self, step: int, number: int) -> Canvas:
        chance = Random(f"page:{self.recipe.seed}:{step}:{number}")
        if number % 4 < 2:  # of two processes each has as many of both
            return draw_page(chance)
        return draw_scene(chance.choice(list(KINDS)), chance.random()).canvases[0]

    def _scene(self, step: int, number: int) -> tuple[Scene, Random]:
        chance = Random(f"{self.recipe.seed}:{step}:{number}")
        read = step - self.recipe.pages
        easy = chance.random() > (read - ALONE) / max(1, self.recipe.easy - ALONE)
        kinds = {kind: weight for kind, (weight, begin) in KINDS.items() if begin <= read}
        kind = chance.choices(list(kinds), list(kinds.values()))[0]
        return draw_scene(kind, f"train:{self.recipe.seed}:{step}:{number}", easy), chance

    def _row(self, scene: Scene, chance: Random) -> tuple[list[int], list[float], Scene]:
        """One conversation: the first question is answered after the reading, the next ones from it."""
        ids, weights = [], []

        def add(text: str, weight: float) -> None:
            some = self.tokenizer(text)["input_ids"]
            ids.extend(some)
            weights.extend([weight] * len(some))

        for number, question in enumerate(scene.questions[: FOLLOW_UPS + 1]):
            add("<|user|>\n", 0.0)
            if not number:
                pictures = self._picture * len(scene.canvases)
                ids.extend(pictures)
                weights.extend([0.0] * len(pictures))
            add(f"{asked(question, chance)}{END}\n<|assistant|>\n", 0.0)
            if not number and scene.reading:
                add(f"{scene.reading} =>", 1.0)
                add(f" {question.answer}{END}", self.recipe.answers)
            else:
                add(f"{question.answer}{END}", self.recipe.answers if scene.reading else 1.0)
            add("\n", 0.0)
        return ids, weights, scene

    def _batch(self, rows) -> Batch:
        longest = -(-max(len(ids) for ids, _, _ in rows) // 16) * 16  # few lengths: each new one costs a CPU memory
        pad = self.tokenizer.convert_tokens_to_ids(PAD)
        ids = torch.tensor([row + [pad] * (longest - len(row)) for row, _, _ in rows])
        weights = torch.tensor([row + [0.0] * (longest - len(row)) for _, row, _ in rows])
        canvases = [canvas for _, _, scene in rows for canvas in scene.canvases]
        pixels = torch.from_numpy(np.stack([pixels_of(canvas.image) for canvas in canvases]))
        return Batch(ids, weights, pixels, torch.from_numpy(np.stack([hints_of(canvas) for canvas in canvases])))


def asked(question: Question, chance: Random) -> str:
    """A question in one of its wordings, sometimes as people type it: without its mark, or without capitals."""
    wording = chance.choice(question.wordings)
    if chance.random() < 0.15:
        wording = wording.rstrip("?.")
    draw = chance.random()
    return wording.lower() if draw < 0.08 else wording[0].lower() + wording[1:] if draw < 0.2 else wording


class VisionTraining:
    """A model on its way. `advance()` takes a step."""

    def __init__(self, recipe: Recipe, device: str = "cpu", part: int = 0, parts: int = 1):
        self.recipe, self.device, self.part, self.parts, self.step = recipe, device, part, parts, 0
        self.processor = new_processor()
        self.model = new_model(self.processor, recipe.seed, recipe.width, recipe.seeing, recipe.telling).to(device)
        self.helper = torch.nn.Linear(recipe.width, HINTS).to(device)
        self.batches = Batches(recipe, self.processor.tokenizer)
        self.optimisers = self._optimisers()
        self._seen: list[torch.Tensor] = []
        self.model.model.multi_modal_projector.register_forward_pre_hook(self._watch)

    def _watch(self, module, arguments) -> None:
        self._seen = [arguments[0]]

    @property
    def parameters(self) -> list[torch.nn.Parameter]:
        return [*self.model.parameters(), *self.helper.parameters()]

    def _optimisers(self) -> list[torch.optim.Optimizer]:
        recipe, deep, rest = self.recipe, [], []
        for name, one in self.model.named_parameters():
            hidden = one.dim() == 2 and "embed" not in name
            (deep if hidden else rest).append(one)
        rest += list(self.helper.parameters())
        return [
            torch.optim.Muon(deep, lr=recipe.muon_rate, weight_decay=recipe.weight_decay),
            torch.optim.AdamW(rest, lr=recipe.adam_rate, weight_decay=recipe.weight_decay, betas=(0.9, 0.95)),
        ]

    def losses(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The sums of the answers' weighted losses and of the helper's, and how many targets were right."""
        with torch.autocast(self.device, dtype=torch.bfloat16):
            logits = self.model(input_ids=batch.ids, pixel_values=batch.pixels, use_cache=False).logits
        chosen = batch.weights[:, 1:] > 0
        logits, targets = logits[:, :-1][chosen].float(), batch.ids[:, 1:][chosen]
        loss = (functional.cross_entropy(logits, targets, reduction="none") * batch.weights[:, 1:][chosen]).sum()
        return loss, self._helping(self._seen.pop(), batch.hints), (logits.argmax(-1) == targets).sum()

    def _helping(self, seen: torch.Tensor, hints: torch.Tensor) -> torch.Tensor:
        """How badly the helping head tells from the encoder's vectors what each patch shows: a sum."""
        with torch.autocast(self.device, dtype=torch.bfloat16):
            told = self.helper(seen)
        return functional.binary_cross_entropy_with_logits(told.float(), hints, reduction="sum")

    def rate(self) -> float:
        """The part of the rates that this step takes: up in a line, twice for the pages, level, down in a line."""
        recipe = self.recipe
        if self.step < recipe.pages:
            return 2 * min(1.0, (self.step + 1) / recipe.warm_up)
        left = (recipe.steps - self.step) / (recipe.cool_down * recipe.steps)
        return min(1.0, max(left, 0.01))

    def advance(self, add_up=None) -> dict[str, float]:
        """One step. `add_up` adds a tensor over all processes that share the step, in place."""
        recipe, told = self.recipe, torch.zeros(5, device=self.device)
        if self.step < recipe.pages:
            told += self._read_pages()
        else:
            for batch in self.batches.of(self.step, self.part, self.parts):
                told += self._read_scenes(batch.to(self.device))
        self._share(told, add_up)
        for optimiser, full in zip(self.optimisers, (recipe.muon_rate, recipe.adam_rate), strict=True):
            for group in optimiser.param_groups:
                group["lr"] = full * self.rate()
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        self.step += 1
        loss, weight, helping, right, targets = told.tolist()
        return {"loss": loss / weight, "helper": helping / weight, "right": right / max(targets, 1)}

    def _read_scenes(self, batch: Batch) -> torch.Tensor:
        """Backward through a batch; its loss, the weight of its targets, the helper's loss, the targets that were
        right, and all targets."""
        loss, helping, right = self.losses(batch)
        (loss + self.recipe.hints * helping).backward()
        weights = batch.weights[:, 1:]
        return torch.stack([loss.detach(), weights.sum(), helping.detach(), right, (weights > 0).sum()])

    def _read_pages(self) -> torch.Tensor:
        pixels, hints = (one.to(self.device) for one in self.batches.pages(self.step, self.part, self.parts))
        with torch.autocast(self.device, dtype=torch.bfloat16):
            seen = self.model.model.vision_tower(pixels, output_hidden_states=True).hidden_states[-1][:, 1:]
        helping = self._helping(seen, hints)
        helping.backward()
        none = torch.zeros((), device=self.device)
        return torch.stack([none, hints.sum(), helping.detach(), none, none])

    def _share(self, told: torch.Tensor, add_up) -> None:
        """The gradients of all processes, over the weight of all targets, and clipped."""
        parameters = [one for one in self.parameters if one.grad is not None]
        flat = torch.cat([told, *(one.grad.flatten() for one in parameters)])
        if add_up:
            add_up(flat)
        told.copy_(flat[:5])
        gradient = flat[5:] / told[1]
        gradient *= min(1.0, 1.0 / max(gradient.norm().item(), 1e-6))
        for one, part in zip(parameters, gradient.split([one.numel() for one in parameters]), strict=True):
            one.grad.copy_(part.view_as(one))
