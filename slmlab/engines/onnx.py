"""Models as ONNX Runtime GenAI runs them: text, and the published Phi-3-vision, whose pictures it cuts up."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np

from slmlab.engines.local import LocalEngine, Session
from slmlab.errors import BadRequest, NotHere
from slmlab.gguf import EVERY
from slmlab.machine import best_threads
from slmlab.pictures import as_picture
from slmlab.records import Message, Sampling

READ = 128  # ids of a prompt at a time
BLOCK = 256  # rows of logits at a time: 256 x 49,152 float32 are 50 MB


class OnnxEngine(LocalEngine):
    """A model in ONNX form, on the CPU unless its configuration names another provider."""

    engine = "onnx"

    def __init__(self, card, folder: Path, precision: str, threads: int | None = None):
        super().__init__(card, folder, precision)
        import onnxruntime_genai

        onnxruntime_genai.disable_telemetry_events()
        self._og = onnxruntime_genai
        self.threads = threads or best_threads()
        self.sees = card.sees
        self._model = self._open_graph()
        self.context = json.loads((folder / "genai_config.json").read_bytes())["model"]["context_length"]
        self._reader = None  # the graph with the logits after every id, where it is another: opened when it is asked
        self._processor = self._made(self._model.create_multimodal_processor) if self.sees else None

    def _prompt(self, messages: list[Message]) -> str:
        """<|image_1|> stands where the processor puts a picture's tokens."""
        return self.format.prompt(_with_marks(messages)) if self.sees else super()._prompt(messages)

    def _open_graph(self, **decoder):
        # The runtime's own default used one thread on a machine of two cores: half the speed.
        decoder["session_options"] = {"intra_op_num_threads": self.threads}
        config = self._made(self._og.Config, str(self.folder))
        config.overlay(json.dumps({"model": {"decoder": decoder}}))
        return self._made(self._og.Model, config)

    def _made(self, make, *given):
        try:
            return make(*given)
        except Exception as fault:  # the runtime raises its own untyped errors for every kind of bad folder
            raise NotHere(f"ONNX Runtime can't load {self.folder}. Fetch it again. It says: {fault}") from fault

    def _generator(self, capacity: int, model=None, **options):
        model = model or self._model
        params = self._og.GeneratorParams(model)
        plain = {"do_sample": False, "num_beams": 1, "repetition_penalty": 1.0}  # whatever the folder's defaults are
        params.set_search_options(**plain | {"max_length": min(capacity, self.context)} | options)
        return self._og.Generator(model, params)

    def session(self, capacity: int) -> "OnnxSession":
        return OnnxSession(self, capacity)

    def _see(self, messages: list[Message]) -> tuple[list[int], dict]:
        files = [as_picture(picture.image).data for one in messages for picture in one.images]  # upright, on white
        inputs = self._processor(self._prompt(messages), images=self._og.Images.open_bytes(*files))
        return np.asarray(inputs["input_ids"].as_numpy())[0].tolist(), {"inputs": inputs}

    def _beams(self, ids: Sequence[int], max_new: int, sampling: Sampling) -> list[int]:
        if self.sees:  # the runtime's own search fails inside a model of several graphs
            raise BadRequest("ONNX Runtime GenAI has no beam search for a model that sees: set beams=1.")
        options = {"num_beams": sampling.beams, "repetition_penalty": sampling.repetition_penalty}
        generator = self._generator(len(ids) + max_new, early_stopping=True, **options)
        generator.append_tokens(list(ids))
        while not generator.is_done():
            with self._lock:
                generator.generate_next_token()
        return [int(id) for id in generator.get_sequence(0)[len(ids) :]]

    def logits(self, ids: Sequence[int]) -> Iterator[np.ndarray]:
        with self._lock:
            if self._reader is None:
                apart = (self.folder / EVERY).is_file()
                self._reader = self._open_graph(filename=EVERY) if apart else self._model
        generator = self._generator(len(ids) + 1, self._reader)
        for start in range(0, len(ids), BLOCK):
            with self._lock:
                generator.append_tokens(list(ids[start : start + BLOCK]))
                block = generator.get_output("logits")[0]
            yield np.asarray(block, dtype=np.float32)


class OnnxSession(Session):
    """A generator of the runtime: it holds the KV cache of one text."""

    def __init__(self, engine: OnnxEngine, capacity: int):
        super().__init__(capacity)
        self._lock, self._generator = engine._lock, engine._generator(capacity)
        self._chosen_unread = False
        self._rewinds = not engine.sees  # a model of several graphs can't take anything back
        # A block stays in the core's own memory: a tenth faster than a long prompt at once.
        self.block = READ if self._rewinds else None  # pictures go with all the ids of a prompt

    def _feed(self, ids: Sequence[int]) -> None:
        with self._lock:
            if self.image_inputs and len(self.ids) == len(ids):
                self._generator.set_inputs(self.image_inputs.inputs["inputs"])
                return
            if self._chosen_unread:
                # The runtime reads an id that it chose itself only when it chooses the next one: text appended before
                # that would go on without it, so it is taken back and given again.
                place = len(self.ids) - len(ids) - 1
                self._generator.rewind_to(place)
                ids, self._chosen_unread = self.ids[place:], False
            self._generator.append_tokens(list(ids))

    def rewind(self, count: int) -> None:
        with self._lock:
            self._generator.rewind_to(count)
        del self.ids[count:]
        self.in_blocks, self._chosen_unread = count, False

    def take_likeliest(self) -> int:
        if not self._rewinds:  # an id of the runtime's own choosing would have to be taken back before the next turn
            return super().take_likeliest()
        with self._lock:
            self._generator.generate_next_token()
            id = int(self._generator.get_next_tokens()[0])
            self._chosen_unread = True
        self.ids.append(id)
        return id

    def logits(self) -> np.ndarray:
        return self._generator.get_logits().reshape(-1)


def _with_marks(messages: Sequence[Message]) -> list[Message]:
    """The messages with <|image_1|>, <|image_2|>, ... where their pictures stand, as Phi's processors want them."""
    number = count(1)
    marks = ["".join(f"<|image_{next(number)}|>\n" for _ in message.images) for message in messages]
    return [replace(message, content=mark + message.content) for mark, message in zip(marks, messages, strict=True)]
