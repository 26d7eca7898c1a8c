"""What a vision model makes of a picture, and where it looks while it answers. Knows nothing about plotting."""

from dataclasses import dataclass
from math import isqrt

import numpy as np

from slmlab.chat import as_messages
from slmlab.engines.transformers import VisionEngine, as_array
from slmlab.errors import BadRequest
from slmlab.pictures import Picture, as_picture
from slmlab.records import Message


@dataclass(frozen=True, eq=False)
class Seen:
    """A picture on its way into the decoder: `pixels` as the model takes them (height, width, 3, from 0 to 1), a vector
    for each patch from the encoder, and from the projector: (rows, columns, width)."""

    model: str
    pixels: np.ndarray
    encoded: np.ndarray
    projected: np.ndarray

    def likeness(self, row: int, column: int) -> np.ndarray:
        """How alike the encoder finds each patch to one of them: the cosine of their vectors, (rows, columns)."""
        flat = self.encoded - self.encoded.mean((0, 1))  # what all patches share says nothing about one
        flat = flat / np.linalg.norm(flat, axis=-1, keepdims=True).clip(1e-9)
        return flat @ flat[row, column]

    def as_colours(self) -> np.ndarray:
        """The three directions in which the patches differ most, as red, green and blue: (rows, columns, 3)."""
        rows, columns, width = self.encoded.shape
        flat = self.encoded.reshape(-1, width)
        flat = flat - flat.mean(0)
        _, _, directions = np.linalg.svd(flat, full_matrices=False)
        found = flat @ directions[:3].T
        low, high = np.percentile(found, 2, axis=0), np.percentile(found, 98, axis=0)
        return ((found - low) / (high - low).clip(1e-9)).clip(0, 1).reshape(rows, columns, 3)


@dataclass(frozen=True, eq=False)
class Gaze:
    """How much each token of an answer attended to each patch: `weights` is (tokens, layers, heads, pictures, rows,
    columns); what is missing to 1 went to the text."""

    model: str
    pictures: tuple[Picture, ...]
    pieces: tuple[str, ...]
    weights: np.ndarray

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    def on(self, token: int, picture: int = 0) -> np.ndarray:
        """The patches that a token of the answer looked at, (rows, columns), over all layers and heads."""
        return self.weights[token][:, :, picture].mean((0, 1))

    def share(self, token: int) -> float:
        """The part of its attention that a token gave to pictures, over all layers and heads."""
        return float(self.weights[token].sum((2, 3, 4)).mean())

    def place_of(self, text: str, last: bool = False) -> int:
        """The token of the answer at which a text begins, the first time or the last."""
        begin = self.text.rfind(text) if last else self.text.find(text)
        if begin < 0:
            raise BadRequest(f"{text!r} isn't in the answer {self.text!r}.")
        ends = np.cumsum([len(piece) for piece in self.pieces])
        return int(np.searchsorted(ends, begin, side="right"))


def look(model, picture) -> Seen:
    """What becomes of a picture before the first word."""
    projector, caught = _projector(model), {}
    ids, images = model._look([Message("user", "?", (as_picture(picture),))])

    def keep(_, inputs, output):
        caught.update(encoded=inputs[0], projected=output)

    # exclusive: or the hook would catch what another thread asks
    with model.exclusive(), projector.register_forward_hook(keep):
        model.forward(ids, use_cache=False, **images.inputs)
    processor = model.processor.image_processor
    pixels = as_array(images.inputs["pixel_values"][0]).transpose(1, 2, 0)
    pixels = (pixels * np.array(processor.image_std) + np.array(processor.image_mean)).clip(0, 1)
    side = isqrt(caught["projected"].shape[-2])
    shapes = [as_array(caught[name]).reshape(side, side, -1) for name in ("encoded", "projected")]
    return Seen(model.name, pixels, *shapes)


def gaze(model, question, images=(), answer: str | None = None) -> Gaze:
    """Where the model looks while it writes an answer: its own, or one that is given."""
    _projector(model)
    messages = as_messages(question, images=images)
    if not any(message.images for message in messages):
        raise BadRequest("There is no picture to look at: images=[...].")
    ids, seen = model._look(messages)
    if answer is None:
        written = [token.id for token in model.ask(messages) if token.id not in model.format.end_ids]
    else:
        written = [piece.id for piece in model.tokens(answer)]
    with model.exclusive() as module:
        before = module.config._attn_implementation
        module.set_attn_implementation("eager")  # the fast attention never forms the numbers that are looked at
        try:
            output = model.forward([*ids, *written], output_attentions=True, use_cache=False, **seen.inputs)
        finally:
            module.set_attn_implementation(before)
    places = [place for place, id in enumerate(ids) if id == module.config.image_token_id]
    choosing = slice(len(ids) - 1, len(ids) - 1 + len(written))  # a token is chosen at the place before its own
    layers = [as_array(layer[0, :, choosing][:, :, places]) for layer in output.attentions]
    weights, side = np.stack(layers).transpose(2, 0, 1, 3), isqrt(len(places) // len(seen.pictures))
    weights = weights.reshape(*weights.shape[:3], len(seen.pictures), side, side)
    reader = model.format.reader(with_marks=True)
    return Gaze(model.name, seen.pictures, tuple(reader.read(id) for id in written), weights)


def _projector(model):
    """The part of a model of LLaVA's kind that brings pictures into the decoder's space; another kind is refused."""
    if isinstance(model, VisionEngine):
        with model.exclusive() as module:
            if found := getattr(module.model, "multi_modal_projector", None):
                return found
    raise BadRequest(f"{model.name} isn't of LLaVA's kind (encoder, projector, decoder): nothing to take apart.")
