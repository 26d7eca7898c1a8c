"""What a step of the vision model trains on: scenes as conversations, readings without their pictures, pages.

The recipe and a step's number alone decide what is in it.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
import torch

from course.drawn.canvas import COLOURS, SIDE, Canvas
from course.drawn.draws import draw
from course.drawn.questions import Question, Scene
from training.glyph_pages import GLYPHS, draw_page
from training.vision_model import END, PAD, PATCH
from training.vision_recipe import ALONE, CURRICULUM, Recipe

ACROSS = SIDE // PATCH
HINTS = 2 * len(GLYPHS) + len(COLOURS)  # what the helping head says of a patch: glyphs left, glyphs right, colours
FOLLOW_UPS = 3
LOOKUPS = 12  # questions on one reading without its picture
AGAIN = "Read it again."


@dataclass(frozen=True)
class Batch:
    """One forward pass: rows of ids, the weight of each id as a target; all pictures, and what each patch shows, or
    none."""

    ids: torch.Tensor
    weights: torch.Tensor
    pixels: torch.Tensor | None
    hints: torch.Tensor | None

    def to(self, device: str) -> "Batch":
        parts = (self.ids, self.weights, self.pixels, self.hints)
        return Batch(*(None if one is None else one.to(device) for one in parts))


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


class Conversation:
    """One conversation on its way into a batch: its ids, the weight of each as a target, its pictures."""

    def __init__(self, tokenizer):
        self._tokenizer = tokenizer
        self.ids: list[int] = []
        self.weights: list[float] = []
        self.canvases: tuple[Canvas, ...] = ()

    def __len__(self):
        return len(self.ids)

    def add(self, text: str, weight: float) -> None:
        self._extend(self._tokenizer(text)["input_ids"], weight)

    def ask(self, question: str, pictures: Sequence[int] = ()) -> None:
        """The turn of a user, up to where the model writes."""
        self.add("<|user|>\n", 0.0)
        self._extend(pictures, 0.0)
        self.add(f"{question}{END}\n<|assistant|>\n", 0.0)

    def end(self, text: str, weight: float) -> None:
        """The last of what the model writes in its turn."""
        self.add(f"{text}{END}", weight)
        self.add("\n", 0.0)

    def _extend(self, ids: Sequence[int], weight: float) -> None:
        self.ids.extend(ids)
        self.weights.extend([weight] * len(ids))


class Batches:
    """The batches of a training. The recipe and a step's number alone decide what is in it."""

    def __init__(self, recipe: Recipe, tokenizer):
        self.recipe, self.tokenizer = recipe, tokenizer
        self._picture = tokenizer("<image>" * ACROSS**2 + "\n")["input_ids"]

    def of(self, step: int, part: int = 0, parts: int = 1) -> list[Batch]:
        """A part of a step's scenes, and of its readings without a picture."""
        scenes = [self._scene(step, number) for number in range(part, self.recipe.batch, parts)]
        shown = [self._row(scene, chance) for scene, chance in scenes]
        retold = [self._retold(step, number) for number in range(part, self.recipe.retold, parts)]
        return [self._batch(some) for rows in (shown, retold) for some in _apart(rows) if some]

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
        return draw(chance.choice(list(CURRICULUM)), chance.random()).canvases[0]

    def _scene(self, step: int, number: int) -> tuple[Scene, Random]:
        chance = Random(f"{self.recipe.seed}:{step}:{number}")
        read = step - self.recipe.pages
        easy = chance.random() > (read - ALONE) / max(1, self.recipe.easy - ALONE)
        return draw(self._kind(read, chance), f"train:{self.recipe.seed}:{step}:{number}", easy), chance

    def _kind(self, read: int, chance: Random, without: tuple[str, ...] = ()) -> str:
        """One of the kinds that have begun by now."""
        kinds = {kind: weight for kind, (weight, begin) in CURRICULUM.items() if begin <= read and kind not in without}
        return chance.choices(list(kinds), list(kinds.values()))[0]

    def _row(self, scene: Scene, chance: Random) -> Conversation:
        """One conversation: the first question is answered after the reading, the next ones from it."""
        row, answers = Conversation(self.tokenizer), self.recipe.answers if scene.reading else 1.0
        for number, question in enumerate(in_turn(scene.questions, chance)[: FOLLOW_UPS + 1]):
            row.ask(asked(question, chance), [] if number else self._picture * len(scene.canvases))
            if not number and scene.reading:
                row.add(f"{scene.reading} =>", 1.0)
                row.end(f" {question.reply}", answers)
            else:
                row.end(question.reply, answers)
        row.canvases = scene.canvases
        return row

    def _retold(self, step: int, number: int) -> Conversation:
        """A reading whose picture isn't shown, said again, and many questions: what is in it is found in it."""
        chance = Random(f"retold:{self.recipe.seed}:{step}:{number}")
        kind = self._kind(step - self.recipe.pages, chance, without=("text",))
        scene = draw(kind, f"retold:{self.recipe.seed}:{step}:{number}", chance.random() < 0.5)
        row, (first, *others) = Conversation(self.tokenizer), in_turn(scene.questions, chance)[:LOOKUPS]
        row.ask(asked(first, chance))
        row.add(f"{scene.reading} =>", 0.0)
        row.end(f" {first.reply}", 1.0)
        row.ask(AGAIN)
        row.end(scene.reading, 1.0)
        for question in others:
            row.ask(asked(question, chance))
            row.end(question.reply, 1.0)
        return row

    def _batch(self, rows: list[Conversation]) -> Batch:
        longest = -(-max(map(len, rows)) // 16) * 16  # few lengths: each new one costs a CPU memory
        pad = self.tokenizer.convert_tokens_to_ids(PAD)
        ids = torch.tensor([row.ids + [pad] * (longest - len(row)) for row in rows])
        weights = torch.tensor([row.weights + [0.0] * (longest - len(row)) for row in rows])
        canvases = [canvas for row in rows for canvas in row.canvases]
        if not canvases:
            return Batch(ids, weights, None, None)
        pixels = torch.from_numpy(np.stack([pixels_of(canvas.image) for canvas in canvases]))
        return Batch(ids, weights, pixels, torch.from_numpy(np.stack([hints_of(canvas) for canvas in canvases])))


def _apart(rows: list[Conversation]) -> tuple[list[Conversation], list[Conversation]]:
    """Short conversations and long ones, cut where the least is padded: padding is work."""
    rows = sorted(rows, key=len)
    work = [cut * len(rows[cut - 1]) + (len(rows) - cut) * len(rows[-1]) for cut in range(len(rows))]
    cut = work.index(min(work, default=0)) if rows else 0
    return rows[:cut], rows[cut:]


def in_turn(questions: Sequence[Question], chance: Random) -> list[Question]:
    """One question of every form in any order, then a second of each: those that are asked of every row don't crowd
    out the others."""
    forms, turns = Counter(), []
    for question in questions:
        forms[question.form] += 1
        turns.append((forms[question.form], chance.random()))
    return [questions[number] for number in sorted(range(len(questions)), key=turns.__getitem__)]


def asked(question: Question, chance: Random) -> str:
    """A question in one of its wordings, sometimes as people type it: without its mark, or without capitals."""
    wording = chance.choice(question.wordings)
    if chance.random() < 0.15:
        wording = wording.rstrip("?.")
    share = chance.random()
    if share < 0.08:
        return wording.lower()
    return wording[0].lower() + wording[1:] if share < 0.2 else wording


def drawn() -> str:
    """A fingerprint of what a training draws: the curriculum, and what a scene of every kind says and is asked."""
    scenes = [draw(kind, "fingerprint") for kind in CURRICULUM]
    told = [(scene.reading, [(asked.text, asked.reply) for asked in scene.questions]) for scene in scenes]
    return hashlib.sha256(repr((ALONE, CURRICULUM, told)).encode()).hexdigest()
