"""The vision model's scores on held-out pictures: each form of question, its opponents, and foreign pictures.

The model is loaded as anyone would load it, by AutoProcessor and AutoModelForImageTextToText.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter

import torch

from course.drawn.canvas import Canvas
from course.drawn.draws import KINDS, draw
from course.drawn.questions import ABSENT, WORDINGS, Question, Scene, answer_of, reading_of
from course.drawn.scores import FormScore, LookScore, VisionScores
from course.evaluate import Share
from training import ocr_rules
from training.vision_looks import LOOKS
from training.vision_run import keep_to_a_core

HELD_OUT = "held-out"
GUESSED = ("heights", "curve", "wedges")  # values that are read off a height or an angle
BATCH = 32
BLANKED = 4  # of so many questions one is asked again with its pictures blanked


class Asked:
    """The model, and answers to many questions in few passes."""

    def __init__(self, folder: Path):
        from transformers import AutoModelForImageTextToText, AutoProcessor
        from transformers.utils import logging

        logging.disable_progress_bar()
        self.processor = AutoProcessor.from_pretrained(folder, local_files_only=True)
        self.model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.model.to(self.device).eval()

    def replies(self, asked: list[tuple[list, str]]) -> list[str]:
        """A reply to each (pictures, question), in their order."""
        order = sorted(range(len(asked)), key=lambda at: (len(asked[at][0]), len(asked[at][1])))
        found: dict[int, str] = {}
        for start in range(0, len(order), BATCH):
            some = order[start : start + BATCH]
            found.update(zip(some, self._batch([asked[at] for at in some]), strict=True))
        return [found[at] for at in range(len(asked))]

    @torch.inference_mode()
    def _batch(self, asked: list[tuple[list, str]]) -> list[str]:
        texts = [self._prompt(len(pictures), question) for pictures, question in asked]
        images = [picture for pictures, _ in asked for picture in pictures]
        inputs = self.processor(text=texts, images=images, padding=True, return_tensors="pt").to(self.device)
        made = self.model.generate(**inputs, do_sample=False, max_new_tokens=160)
        return self.processor.batch_decode(made[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)

    def _prompt(self, pictures: int, question: str) -> str:
        content = [*({"type": "image"} for _ in range(pictures)), {"type": "text", "text": question}]
        return self.processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)


def measure(folder: Path, pictures: int, ocr_pictures: int, kinds=KINDS, processes: int = 1) -> VisionScores:
    """Every form of the kinds: `pictures` questions each, on pictures that no training saw. Each process works with one
    thread, on a core of its own."""
    told, spawn = {}, get_context("spawn")
    cores = spawn.Queue()
    for core in range(processes):
        cores.put(core)
    with ProcessPoolExecutor(processes, spawn, _settle, (cores,)) as pool:
        try:
            pool.submit(_ocr, "text", 1).result()  # is there the tool?
            work = {pool.submit(_of_kind, folder, kind, pictures): kind for kind in kinds}
            work |= {pool.submit(_of_look, folder, look, pictures): f"look {look}" for look in LOOKS}
            work |= {pool.submit(_ocr, kind, ocr_pictures): f"ocr {kind}" for kind in kinds}
            begun = perf_counter()
            for number, done in enumerate(as_completed(work), start=1):
                told[work[done]] = done.result()
                print(f"  {number} of {len(work)}: {work[done]}, {perf_counter() - begun:.0f} s", flush=True)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return _gathered(told, kinds, {"pictures": pictures, "ocr_pictures": ocr_pictures})


def _settle(cores) -> None:
    """A process of its own core and one thread."""
    keep_to_a_core(cores.get())
    torch.set_num_threads(1)


_asked = cache(Asked)  # one a process


def _of_kind(folder: Path, kind: str, pictures: int) -> tuple[list[FormScore], Share, float]:
    """The forms of a kind; its whole readings; of all letters of its answers, those that are wrong."""
    rows = list(_rows(kind, pictures))
    some = _some_of_each_form(rows)
    replies = _asked(folder).replies([(scene.pictures, question.text) for scene, question in rows])
    blanked = _asked(folder).replies([(_blank(rows[at][0]), rows[at][1].text) for at in some])
    blank = dict(zip(some, blanked, strict=True))
    forms = [_score(form, rows, replies, blank) for form in dict.fromkeys(_form(question) for _, question in rows)]
    wrong = letters_wrong([question.answer for _, question in rows], [answer_of(reply) for reply in replies])
    return forms, _readings(rows, replies), wrong


def _of_look(folder: Path, look: str, pictures: int) -> LookScore:
    """Bar charts of the same kind in another look: one question a picture, all forms mixed."""
    scenes = [draw("bars", f"{HELD_OUT}:{number}") for number in range(pictures)]
    rows = [(LOOKS[look](scene, number), scene.questions[0]) for number, scene in enumerate(scenes)]
    replies = _asked(folder).replies([(scene.pictures, question.text) for scene, question in rows])
    answers = count(_right(question, reply) for (_, question), reply in zip(rows, replies, strict=True))
    return LookScore(look, answers, _readings(rows, replies))


def _gathered(told: dict, kinds, notes: dict) -> VisionScores:
    rules = {form: share for kind in kinds for form, share in told[f"ocr {kind}"].items()}
    wrong = {"the model": told["text"][2], "OCR": rules["letters wrong"]} if "text" in kinds else {}
    forms = [replace(one, ocr=rules.get(one.form)) for kind in kinds for one in told[kind][0]]
    readings = {kind: told[kind][1] for kind in kinds if kind != "text"}  # of text the answer is the reading
    return VisionScores(tuple(forms), readings, wrong, tuple(told[f"look {look}"] for look in LOOKS), notes)


def _score(form: str, rows, replies: list[str], blank: dict[int, str]) -> FormScore:
    """One form's score out of a kind's questions and replies, before OCR's; `blank` has some replies to empty
    pictures."""
    places = [at for at, (_, question) in enumerate(rows) if _form(question) == form]
    guessed = form.endswith("/value") and form.split("/")[0] in GUESSED
    return FormScore(
        form, _wording(form, rows[places[0]][1]),
        model=count(_right(rows[at][1], replies[at]) for at in places),
        near=count(_near(rows[at][1], replies[at]) for at in places) if guessed else None,
        blank=count(_right(rows[at][1], blank[at]) for at in places if at in blank),
        commonest=None if form.endswith("/absent") else _commonest(rows[at][1] for at in places), ocr=None,
    )  # fmt: skip


def _wording(form: str, question: Question) -> str:
    if form.endswith("/absent"):
        return "a value, colour or price of what isn't there"
    return WORDINGS[question.form][0].format("...", "...")


def _form(question: Question) -> str:
    return f"{question.form.split('/')[0]}/absent" if question.answer == ABSENT else question.form


def _rows(kind: str, wanted: int, most: int = 5) -> Iterator[tuple[Scene, Question]]:
    """Questions on held-out pictures, of each picture one of a form, until each form has as many as wanted."""
    found, number = Counter(), 0
    names = {form for form in WORDINGS if form.startswith(f"{kind}/")}
    while any(found[form] < wanted for form in names) and number < wanted * most:
        scene, seen = draw(kind, f"{HELD_OUT}:{number}"), set()
        number += 1
        for question in scene.questions:
            form = _form(question)
            if form not in seen and found[form] < wanted:
                seen.add(form)
                found[form] += 1
                yield scene, question


def _some_of_each_form(rows) -> list[int]:
    """The places of every fourth question of each form."""
    places: dict[str, list[int]] = {}
    for at, (_, question) in enumerate(rows):
        places.setdefault(_form(question), []).append(at)
    return [at for of_form in places.values() for at in of_form[::BLANKED]]


def _right(question: Question, reply: str) -> bool:
    return answer_of(reply) == question.answer


def _near(question: Question, reply: str) -> bool:
    said = answer_of(reply)
    return said.isdecimal() and abs(int(said) - int(question.answer)) <= 5


def _readings(rows, replies) -> Share:
    """Whole readings that are exact, one for each picture: they don't depend on the question much."""
    first = {id(scene): (scene, reply) for (scene, _), reply in reversed(list(zip(rows, replies, strict=True)))}
    return count(reading_of(reply) == scene.reading for scene, reply in first.values())


def _commonest(questions) -> Share:
    """What would be right who always gave the commonest answer of the form: more than that needs the picture."""
    answers = Counter(question.answer for question in questions)
    return Share(answers.most_common(1)[0][1], answers.total())


def _blank(scene: Scene) -> list:
    """As many pictures of the scene's own paper, with nothing on them."""
    return [Canvas(canvas.style).image for canvas in scene.canvases]


def _ocr(kind: str, pictures: int) -> dict:
    """OCR and rules on held-out pictures, every form once a picture; 'letters wrong' for plain text."""
    verdicts: dict[str, list[bool]] = {}
    truths, said = [], []
    for number in range(pictures):
        scene = draw(kind, f"{HELD_OUT}:{number}")
        first = {_form(question): question for question in reversed(scene.questions)}  # of each form
        ruled = {form: question for form, question in first.items() if ocr_rules.has_rule(question)}
        pages = ocr_rules.pages_of(scene) if ruled else []
        for form, question in ruled.items():
            given = ocr_rules.answer(pages, question)
            verdicts.setdefault(form, []).append(given == question.answer)
            if kind == "text":
                truths.append(question.answer)
                said.append(given or "")
    found: dict = {form: count(rows) for form, rows in verdicts.items()}
    return found | ({"letters wrong": letters_wrong(truths, said)} if kind == "text" else {})


def count(verdicts: Iterable[bool]) -> Share:
    """The share of true ones."""
    verdicts = list(verdicts)
    return Share(sum(verdicts), len(verdicts))


def letters_wrong(truths: Sequence[str], said: Sequence[str]) -> float:
    """The character error rate: letters to change, add or drop, as a part of all letters there are."""
    wrong = sum(_edit_distance(truth, text) for truth, text in zip(truths, said, strict=True))
    return wrong / max(1, sum(map(len, truths)))


def _edit_distance(first: str, second: str) -> int:
    """How many letters must be changed, added or dropped to make one text the other (Levenshtein's)."""
    row = list(range(len(second) + 1))
    for number, letter in enumerate(first, start=1):
        diagonal, row[0] = row[0], number
        for at, other in enumerate(second, start=1):
            diagonal, row[at] = row[at], min(row[at] + 1, row[at - 1] + 1, diagonal + (letter != other))
    return row[-1]
