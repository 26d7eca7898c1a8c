"""Models that see, as Transformers runs them: pictures join the prompt through the model's own processor.

Gives a TransformersEngine for LLaVA's kind and for Phi-4-multimodal. Knows nothing about where the folder came from.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from course.inside.vision import Gaze, Seen
from slmlab.chat import as_messages
from slmlab.clips import as_pictures
from slmlab.engines.base import with_images
from slmlab.engines.session import Sight
from slmlab.engines.transformers import TransformersEngine
from slmlab.errors import BadRequest, MissingPackage, WeightsError
from slmlab.records import Message

ADAPTER = "vision-lora"  # Phi-4-multimodal keeps what it learned to see in an adapter beside the weights
PLACEHOLDERS = ("image_token_id", "image_token_index")


class VisionEngine(TransformersEngine):
    """A model whose questions may come with pictures."""

    sees = True

    def __init__(self, card, folder: Path, precision: str = "fp32", **options):
        self._processor = None
        super().__init__(card, folder, precision, **options)
        self._processor = self._read_processor(folder)

    def _loader(self):
        from transformers import AutoModelForCausalLM, AutoModelForImageTextToText
        from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES as known

        try:
            family = json.loads((self.format.folder / "config.json").read_text(encoding="utf-8")).get("model_type")
        except (OSError, ValueError, AttributeError) as fault:
            raise WeightsError(f"{self.format.folder} has no readable config.json. Fetch it again.") from fault
        return (
            AutoModelForImageTextToText if family in known else AutoModelForCausalLM
        )  # Phi-4-multimodal is the latter

    def _read(self, folder: Path, options: dict):
        model = super()._read(folder, options)
        if (folder / ADAPTER).is_dir():
            self._put_on(model, folder / ADAPTER)
        return model

    def _put_on(self, model, adapter: Path) -> None:
        try:
            # not named "vision": Transformers would take the model's own weights of that name for the adapter's
            told = model.load_adapter(str(adapter), adapter_name=ADAPTER)
        except ImportError as fault:
            raise MissingPackage(
                f"{self.name} sees through an adapter, and peft is missing: pip install peft"
            ) from fault
        except Exception as fault:  # a damaged adapter fails in any way inside peft
            raise WeightsError(f"The adapter {adapter} can't be read: {fault} Fetch it again.") from fault
        if told.missing_keys:
            raise WeightsError(
                f"The adapter {adapter} lacks {len(told.missing_keys)} of its tensors: it is cut short. Fetch it again."
            )
        model.set_adapter(ADAPTER)

    def _read_processor(self, folder: Path):
        from transformers import AutoProcessor

        try:
            # Pillow's way of making a picture smaller, so that it is the same with torchvision and without
            processor = AutoProcessor.from_pretrained(folder, local_files_only=True, backend="pil")
        except ImportError as fault:
            raise MissingPackage(
                f"{self.name} cuts pictures up with torchvision, which is missing: pip install torchvision"
            ) from fault
        except Exception as fault:  # a damaged configuration fails in any way inside Transformers
            raise WeightsError(f"The processor in {folder} can't be read: {fault} Fetch it again.") from fault
        if not hasattr(processor, "image_processor"):
            raise WeightsError(f"{folder} holds no image processor: it is a model of text.")
        if getattr(processor, "chat_template", None) is None:  # some folders keep it with the tokenizer alone
            processor.chat_template = self.format.template
        processor.tokenizer.model_max_length = sys.maxsize  # what is too long is refused here, not warned of there
        return processor

    # What a lesson uses

    def prompt(self, question, system: str | None = None, images=()) -> str:
        """The text that the model is really given, each picture as the tokens that it takes the place of."""
        ids, _ = self._ids_and_sight(with_images(as_messages(question, system), images))
        return self.format.marked(ids)

    def gaze(self, question, images=(), answer: str | None = None) -> Gaze:
        """Where the model looks while it writes an answer: its own, or one that is given."""
        self._projector()
        messages = with_images(as_messages(question), images)
        ids, sight = self._ids_and_sight(messages)
        if sight is None:
            raise BadRequest("There is no picture to look at: images=[...].")
        written = self._written(messages, answer)
        self._refuse_overfull(len(ids) + len(written) - 1, len(sight.pictures))  # an answer may fill it to the brim
        mark = next(found for name in PLACEHOLDERS if (found := getattr(self._model.config, name, None)) is not None)
        if mark in written:
            raise BadRequest("The answer holds the mark that stands for a picture, so it can't be read beside one.")
        places = [place for place, id in enumerate(ids) if id == mark]
        with self._looking():
            found = self._forward([*ids, *written], output_attentions=True, use_cache=False, **sight.inputs).attentions
        last = len(ids) - 1  # a token is chosen at the place before its own
        rows = [self._numbers(layer[0, :, last : last + len(written)][:, :, places]) for layer in found]
        reader = self.format.reader(with_marks=True)
        pieces = tuple(reader.read(id) for id in written)
        weights = np.stack(rows).transpose(2, 0, 1, 3)
        grid = self._grid(len(places) // len(sight.pictures))
        return Gaze(self.name, sight.pictures, pieces, weights.reshape(*weights.shape[:3], len(sight.pictures), *grid))

    def look(self, image) -> Seen:
        """What becomes of a picture before the first word: its pixels as the model takes them, a vector for each patch
        from the encoder, and the same after the projector, in the decoder's own space."""
        projector = self._projector()
        picture = as_pictures(image)
        if len(picture) != 1:
            raise BadRequest(f"look() takes one picture, not {len(picture)}.")
        caught: dict[str, object] = {}
        ids, sight = self._ids_and_sight([Message("user", "?", picture)])
        with self._lock:  # or the hook would catch what another thread asks
            hook = projector.register_forward_hook(
                lambda _, given, made: caught.update(encoded=given[0], projected=made)
            )
            try:
                self._forward(ids, use_cache=False, **sight.inputs)
            finally:
                hook.remove()
        grid = self._grid(caught["projected"].shape[-2])
        encoded, projected = (
            self._numbers(caught[name]).reshape(*grid, caught[name].shape[-1]) for name in ("encoded", "projected")
        )
        pixels = sight.inputs["pixel_values"][0].float().cpu().numpy().transpose(1, 2, 0)
        return Seen(self.name, picture[0], _to_unit(pixels, self._processor.image_processor), encoded, projected)

    def _projector(self):
        self._check_open()
        found = getattr(getattr(self._model, "model", None), "multi_modal_projector", None)
        if found is None:
            raise BadRequest(
                f"{self.name} isn't of LLaVA's kind, encoder, projector, decoder: it answers, and can't be taken apart."
            )
        return found

    # The road

    def _look(self, messages: list[Message]) -> tuple[list[int], Sight]:
        ids, sight = self._ids_and_sight(messages)
        self._refuse_overfull(len(ids), len(sight.pictures))
        return ids, sight

    def _written(self, messages: list[Message], answer: str | None) -> list[int]:
        """The ids of an answer: those that the model writes, or those of the text that is given."""
        if answer is None:
            written = [token.id for token in self.ask(messages) if token.id not in self.format.end_ids]
        else:
            written = [piece.id for piece in self.format.pieces(answer)]
        if not written:
            raise BadRequest("The answer is empty, so there is nothing that the model looked for.")
        return written

    def _ids_and_sight(self, messages: Sequence[Message]) -> tuple[list[int], Sight | None]:
        pictures = tuple(picture for message in messages for picture in message.images)
        ids = self._ids_of(self.format.prompt(messages))  # also refuses what is wrong with the text alone
        if not pictures:
            return ids, None
        mark = getattr(self._processor, "image_token", None)
        if mark and any(mark in message.content for message in messages):
            raise BadRequest(
                f"The text holds {mark}, which {self.name} takes for a picture's place. Write it otherwise."
            )
        try:
            inputs = self._processor.apply_chat_template(
                [_as_parts(message) for message in messages],
                add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt",
            )  # fmt: skip
        except ImportError as fault:
            raise MissingPackage(f"{fault} pip install torchvision") from fault
        except ValueError as fault:
            raise BadRequest(f"{self.name} can't take this picture: {fault}") from fault
        ids = inputs.pop("input_ids")[0].tolist()
        inputs.pop("attention_mask", None)
        return ids, Sight(pictures, {name: self._placed(tensor) for name, tensor in inputs.items()})

    def _placed(self, tensor):
        tensor = tensor.to(self.device)
        return tensor.to(self._dtype) if tensor.is_floating_point() else tensor

    def _grid(self, patches: int) -> tuple[int, int]:
        """Rows and columns of so many patches: a square where they make one."""
        side = int(patches**0.5)
        return (side, side) if side * side == patches else (1, patches)


def _as_parts(message: Message) -> dict:
    """A message as processors take it: its pictures, then its text."""
    if not message.images:
        return {"role": message.role, "content": [{"type": "text", "text": message.content}]}
    pictures = [{"type": "image", "image": picture.image} for picture in message.images]
    return {"role": message.role, "content": [*pictures, {"type": "text", "text": message.content}]}


def _to_unit(pixels: np.ndarray, processor) -> np.ndarray:
    """Pixels as the model takes them, back in the range of 0 to 1."""
    return (pixels * np.array(processor.image_std) + np.array(processor.image_mean)).clip(0, 1)
