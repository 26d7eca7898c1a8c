"""Models that see, as ONNX Runtime GenAI runs them: the published forms of Phi-3-vision and Phi-3.5-vision.

Gives an OnnxEngine whose questions may come with pictures. The runtime cuts the pictures up itself.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from slmlab.chat import as_messages
from slmlab.engines.base import with_images
from slmlab.engines.onnx import OnnxEngine, OnnxSession
from slmlab.engines.session import Session, Sight
from slmlab.errors import BadRequest, WeightsError
from slmlab.pictures import as_picture
from slmlab.records import Message, Sampling
from slmlab.reply import Reply

MARK = "<|image_"


class OnnxVisionEngine(OnnxEngine):
    """A vision model in ONNX form. The runtime always cuts a picture into up to 16 crops: see course.picture_tokens."""

    sees = True

    def __init__(self, card, folder: Path, precision: str, threads: int | None = None):
        super().__init__(card, folder, precision, threads)
        try:
            self._processor = self._model.create_multimodal_processor()
        except Exception as fault:  # the runtime raises its own untyped errors for every kind of bad folder
            raise WeightsError(f"The picture processor in {folder} can't be read: {fault} Fetch it again.") from fault

    def prompt(self, question, system: str | None = None, images=()) -> str:
        """The text that the processor is given: it puts a picture's tokens where <|image_1|> stands."""
        return self.format.prompt(_with_places(with_images(as_messages(question, system), images)))

    def _reply(self, ids: list[int], sampling: Sampling, *rest) -> Reply:
        if sampling.beams > 1:  # the runtime's own fails inside a model of several graphs, whatever it reads
            raise BadRequest("ONNX Runtime GenAI has no beam search for a model that sees: set beams=1.")
        return super()._reply(ids, sampling, *rest)

    def _look(self, messages: list[Message]) -> tuple[list[int], Sight]:
        pictures = tuple(picture for message in messages for picture in message.images)
        prompt = self.format.prompt(_with_places(messages))
        self._ids_of(prompt)  # refuses what is wrong with the text alone
        images = self._og.Images.open_bytes(
            *(as_picture(picture.image).data for picture in pictures)
        )  # upright, on white
        try:
            inputs = self._processor(prompt, images=images)
        except Exception as fault:  # untyped again: a picture that it can't cut up
            raise BadRequest(f"{self.name} can't take these pictures: {fault}") from fault
        ids = np.asarray(inputs["input_ids"].as_numpy())[0].tolist()
        self._refuse_overfull(len(ids), len(pictures))
        return ids, Sight(pictures, {"inputs": inputs})

    def _session(self, capacity: int) -> "OnnxVisionSession":
        return OnnxVisionSession(self, capacity)


class OnnxVisionSession(OnnxSession):
    """A generator that takes its first ids together with the pictures that stand in them."""

    block = None  # the pictures go with all the ids of a prompt, and nothing of it can be taken back

    def _feed(self, ids: Sequence[int]) -> None:
        if self.sight and len(self.ids) == len(ids):
            with self._lock:
                self._generator.set_inputs(self.sight.inputs["inputs"])
            return
        super()._feed(ids)

    def take_likeliest(self) -> int:
        """By the logits: an id of the runtime's own choosing would have to be taken back before the next turn, which
        the runtime can't do in a model of several graphs."""
        return Session.take_likeliest(self)


def _with_places(messages: Sequence[Message]) -> list[Message]:
    """The messages with <|image_1|>, <|image_2|>, ... where their pictures stand, as Phi's processors want them."""
    if not any(message.images for message in messages):
        return list(messages)
    found, number = [], 0
    for message in messages:
        if MARK in message.content:
            raise BadRequest(
                f"{MARK}...|> marks where a picture stands: it can't be written into a question about one."
            )
        marks = ""
        for _ in message.images:
            number += 1
            marks += f"{MARK}{number}|>\n"
        found.append(Message(message.role, marks + message.content))
    return found
