"""The vision model's scores on held-out pictures: each form of question, its opponents, and foreign pictures.

The model is loaded as anyone would load it, by AutoProcessor and AutoModelForImageTextToText.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import torch

from slmlab.teaching.canvas import Canvas
from slmlab.teaching.foreign_pictures import matplotlib_bars, photographed, shrunk
from slmlab.teaching.scene_draws import KINDS, draw_scene
from slmlab.teaching.scenes import ABSENT, WORDINGS, Question, Scene, answer_of, reading_of
from slmlab.teaching.vision_scores import FormScore, Share, VisionScores, count, letters_wrong
from training import ocr_rules

HELD_OUT = "held-out"
GUESSED = ("heights", "curve", "wedges")  # values that are read off a height or an angle
BATCH = 32


class Asked:
    """The model, and answers to many questions in few passes."""

    def __init__(self, folder: Path, threads: int | None = None):
        from transformers import AutoModelForImageTextToText, AutoProcessor
        from transformers.utils import logging

        logging.disable_progress_bar()
        if threads:
            torch.set_num_threads(threads)
        self.processor = AutoProcessor.from_pretrained(folder, local_files_only=True)
        self.model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.model.to(self.device).eval()

    def replies(self, asked: list[tuple[list, str]], tell: str = "") -> list[str]:
        """A reply to each (pictures, question), in their order."""
        order = sorted(range(len(asked)), key=lambda at: (len(asked[at][0]), len(asked[at][1])))
        found: dict[int, str] = {}
        begun = perf_counter()
        for start in range(0, len(order), BATCH):
            some = order[start : start + BATCH]
            found.update(zip(some, self._batch([asked[at] for at in some]), strict=True))
            if tell:
                print(
                    f"  {tell}: {len(found):,} of {len(order):,}, {perf_counter() - begun:.0f} s ", end="\r", flush=True
                )
        if tell:
            print()
        return [found[at] for at in range(len(asked))]

    @torch.inference_mode()
    def _batch(self, asked: list[tuple[list, str]]) -> list[str]:
        texts = [self._prompt(len(pictures), question) for pictures, question in asked]
        images = [picture for pictures, _ in asked for picture in pictures]
        inputs = self.processor(text=texts, images=images, padding=True, return_tensors="pt").to(self.device)
        made = self.model.generate(**inputs, do_sample=False, max_new_tokens=110)
        return self.processor.batch_decode(made[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)

    def _prompt(self, pictures: int, question: str) -> str:
        content = [*({"type": "image"} for _ in range(pictures)), {"type": "text", "text": question}]
        return self.processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)


def measure(folder: Path, pictures: int, ocr_pictures: int, kinds=KINDS, threads: int | None = None) -> VisionScores:
    """Every form of the kinds: `pictures` questions each, on pictures that no training saw."""
    asked, forms, readings, wrong = Asked(folder, threads), [], {}, {}
    for kind in kinds:
        rows = list(_rows(kind, pictures))
        replies = asked.replies([(scene.pictures, question.text) for scene, question in rows], tell=kind)
        half = [(_blank(scene), question.text) for scene, question in rows[::2]]
        blank = dict(zip(range(0, len(rows), 2), asked.replies(half, tell=f"{kind}, blanked"), strict=True))
        rules = _ocr(kind, ocr_pictures)
        readings[kind] = _readings(rows, replies)
        if kind == "text":
            wrong["the model"] = letters_wrong([q.answer for _, q in rows], [answer_of(reply) for reply in replies])
            wrong["OCR"] = rules.pop("letters wrong")
        for form in dict.fromkeys(_form(question) for _, question in rows):
            forms.append(_score(form, rows, replies, blank, rules.get(form)))
            print(f"  {form:22} {forms[-1].model}")
    notes = {"pictures": pictures, "ocr_pictures": ocr_pictures, "foreign": _foreign(asked, pictures)}
    return VisionScores(tuple(forms), readings, wrong, notes)


def _score(form: str, rows, replies: list[str], blank: dict[int, str], rules: Share | None) -> FormScore:
    """One form's score out of a kind's questions and replies; `blank` has some replies to empty pictures."""
    places = [at for at, (_, question) in enumerate(rows) if _form(question) == form]
    guessed = form.endswith("/value") and form.split("/")[0] in GUESSED
    return FormScore(
        form, WORDINGS[rows[places[0]][1].form][0].format("...", "..."),
        model=count(_right(rows[at][1], replies[at]) for at in places),
        near=count(_near(rows[at][1], replies[at]) for at in places) if guessed else None,
        blank=count(_right(rows[at][1], blank[at]) for at in places if at in blank),
        commonest=_commonest(rows[at][1] for at in places), ocr=rules,
    )  # fmt: skip


def _form(question: Question) -> str:
    return f"{question.form.split('/')[0]}/absent" if question.answer == ABSENT else question.form


def _rows(kind: str, wanted: int, most: int = 5) -> Iterator[tuple[Scene, Question]]:
    """Questions on held-out pictures, of each picture one of a form, until each form has as many as wanted."""
    found, number = Counter(), 0
    names = {form for form in WORDINGS if form.startswith(f"{kind}/")}
    while any(found[form] < wanted for form in names) and number < wanted * most:
        scene, seen = draw_scene(kind, f"{HELD_OUT}:{number}"), set()
        number += 1
        for question in scene.questions:
            form = _form(question)
            if form not in seen and found[form] < wanted:
                seen.add(form)
                found[form] += 1
                yield scene, question


def _right(question: Question, reply: str) -> bool:
    return answer_of(reply) == question.answer


def _near(question: Question, reply: str) -> bool:
    said = answer_of(reply)
    return said.isdecimal() and abs(int(said) - int(question.answer)) <= 5


def _readings(rows, replies) -> Share:
    return count(reading_of(reply) == scene.reading for (scene, _), reply in zip(rows, replies, strict=True))


def _commonest(questions) -> Share:
    """What would be right who always gave the commonest answer of the form: more than that needs the picture."""
    answers = Counter(question.answer for question in questions)
    return Share(answers.most_common(1)[0][1], answers.total())


def _blank(scene: Scene) -> list:
    """As many pictures of the scene's own paper, with nothing on them."""
    return [Canvas(replace(canvas.style, title="")).image for canvas in scene.canvases]


def _ocr(kind: str, pictures: int) -> dict:
    """OCR and rules on held-out pictures, every form once a picture; 'letters wrong' for plain text."""
    verdicts: dict[str, list[bool]] = {}
    truths, said = [], []
    for number in range(pictures):
        scene = draw_scene(kind, f"{HELD_OUT}:{number}")
        if kind in (*GUESSED, "shapes", "moving"):
            break
        pages, seen = ocr_rules.pages_of(scene), set()
        for question in scene.questions:
            if _form(question) in seen:
                continue
            seen.add(_form(question))
            given = ocr_rules.answer(scene, pages, question)
            if given is not None or question.form.split("/")[1] not in ("colour", "which"):
                verdicts.setdefault(_form(question), []).append(given == question.answer)
            if kind == "text":
                truths.append(question.answer)
                said.append(given or "")
        print(f"  {kind}, OCR: {number + 1} of {pictures} ", end="\r", flush=True)
    found: dict = {form: count(rows) for form, rows in verdicts.items()}
    return found | ({"letters wrong": letters_wrong(truths, said)} if kind == "text" else {})


def _foreign(asked: Asked, pictures: int) -> dict[str, dict]:
    """Bar charts of the same kind in other looks: exact answers to one question a picture, all forms mixed."""
    ways = {
        "as trained": lambda scene, number: scene,
        "drawn by matplotlib": lambda scene, number: matplotlib_bars(_rows_of(scene)),
        "three quarters of the size": lambda scene, number: shrunk(scene, 0.75),
        "half the size": lambda scene, number: shrunk(scene, 0.5),
        "photographed": lambda scene, number: photographed(scene, number),
    }
    found = {}
    for name, change in ways.items():
        scenes = [draw_scene("bars", f"{HELD_OUT}:{number}") for number in range(pictures)]
        rows = [(change(scene, number), scene.questions[0]) for number, scene in enumerate(scenes)]
        replies = asked.replies([(scene.pictures, question.text) for scene, question in rows], tell=name)
        right = count(_right(question, reply) for (_, question), reply in zip(rows, replies, strict=True))
        read = _readings(rows, replies)
        found[name] = {"answers": [right.right, right.asked], "readings": [read.right, read.asked]}
        print(f"  {name:28} answers {right}, whole readings {read}")
    return found


def _rows_of(scene: Scene):
    """The rows that a bar chart was drawn from, out of its reading."""
    from slmlab.teaching.chart_pictures import Row

    parts = [part.rsplit(" ", 2) for part in scene.reading.split(", ")]
    return [Row(label, int(value), colour) for label, colour, value in parts]
