"""Models that see, as Transformers runs them: pictures join the prompt through the model's own processor.

Gives a TransformersEngine for LLaVA's kind and for Phi-4-multimodal. Knows nothing about where the folder came from.
"""

import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from course.inside import experts
from course.inside.router import Routing
from course.inside.vision import Gaze, Seen
from slmlab.catalog import Architecture, is_mixture
from slmlab.chat import TokenPiece, as_messages
from slmlab.engines.base import with_images
from slmlab.engines.local import LocalEngine, Session, Sight
from slmlab.errors import BadRequest, NotHere
from slmlab.machine import best_threads, will_it_fit
from slmlab.pictures import as_pictures
from slmlab.records import Message, Sampling

WHOLE = ("fp8", "mxfp8")  # these treat the experts, in Transformers 5.23; on a CPU it unpacks them
_BLOCKS = ("mlp", "block_sparse_moe", "moe", "feed_forward")  # what families call the place of their experts
ADVICE = (
    "What works: torchao with the experts named, "
    r'TorchAoConfig(FqnToConfig({r"re:.*experts\.(gate_up|down)_proj": Int8WeightOnlyConfig()})); '
    "or a GGUF file of the model, with llama.cpp."
)
_OF_ONE_FAMILY = {"mxfp4": "gpt_oss", "fbgemm_fp8": "llama4"}


def as_dict(quantization) -> dict:
    """A configuration of Transformers' own, or its dict, as a dict."""
    ask = dict if isinstance(quantization, type) else getattr(quantization, "to_dict", dict)
    found = quantization if isinstance(quantization, Mapping) else ask()
    if not found.get("quant_method"):
        raise BadRequest(
            "quantization takes a configuration of Transformers, such as TorchAoConfig(...), or its dict, which has a "
            f"quant_method; {type(quantization).__name__} is none."
        )
    return dict(found)


def plan(folder: Path, asked, device: str, shape: Architecture | None = None) -> tuple[str | None, dict]:
    """The method that a folder is quantized with, as asked, else as it was saved, and what `from_pretrained` is told
    for it; None and nothing for a folder that isn't."""
    settings = _settings(folder)
    if not (asked or settings.get("quantization_config")):
        return None, {}
    quantization = as_dict(asked or settings["quantization_config"])
    options = {} if device == "cpu" else {"device_map": device}  # which needs one package more
    if asked:
        options["quantization_config"] = asked
    if is_mixture(settings):
        refuse_skipped_experts(quantization, shape, settings.get("model_type"))
        if _method(quantization) == "torchao":
            options["experts_implementation"] = "eager"  # the fused kernels take none of its tensors
    return _method(quantization), options


def refuse_skipped_experts(quantization: Mapping, shape: Architecture | None = None, family: str | None = None) -> None:
    """Refuse for a mixture of experts what is not known to quantize its experts."""
    method = _method(quantization)
    whole = method in WHOLE or (family and _OF_ONE_FAMILY.get(method) == family)
    if whole and not _spares(quantization.get("modules_to_not_convert")):
        return
    if method == "torchao" and any(_covers(quantization.get("quant_type"), block) for block in _BLOCKS):
        return
    part = f", {shape.experts_share:.0%} of the parameters," if shape else ""
    raise BadRequest(
        f"{method} would leave the experts{part} as they are, in 16 or 32 bits, without a word: it quantizes linear "
        f"layers, and Transformers keeps experts as tensors that belong to none. {ADVICE}"
    )


def refuse_untouched_experts(model, method: str) -> None:
    """Refuse a model of which some experts are what they were, whatever its configuration promised."""
    import torch

    if method in WHOLE:  # without the right GPU, Transformers unpacks these and says so
        return
    for name, tensor in model.named_parameters():
        if "expert" in name and "shared" not in name and tensor.dim() == 3:
            if type(tensor.data) is torch.Tensor and tensor.dtype in (torch.float32, torch.float16, torch.bfloat16):
                raise BadRequest(f"{method} passed over {name}, as it came: name every layer's experts. {ADVICE}")


def in_memory_as(quantization) -> str:
    """The precision whose size comes nearest to what a quantization takes."""
    found = as_dict(quantization)
    bits = [str(found[name]) for name in ("bits", "nbits", "w_bit", "num_bits") if found.get(name)]
    four = found.get("load_in_4bit") or "4" in bits or _method(found) in ("mxfp4", "nvfp4", "awq")
    return "int4" if four or "int4" in str(quantization).lower() else "int8"


def _method(quantization: Mapping) -> str:
    return str(getattr(quantization["quant_method"], "value", quantization["quant_method"]))


def _spares(kept) -> bool:
    """Whether the parts that a configuration leaves out hold experts."""
    names = [f"model.layers.0.{block}.experts" for block in _BLOCKS]
    for one in [kept] if isinstance(kept, str) else kept or ():
        if any(str(one) in name or _fits(f"re:.*{one}.*", name) or "expert" in str(one) for name in names):
            return True
    return False


def _covers(node, block: str) -> bool:
    tensors = (f"model.layers.0.{block}.experts.{name}" for name in ("gate_up_proj", "down_proj"))
    return all(_reaches(tensor, node) for tensor in tensors)


def _reaches(tensor: str, node) -> bool:
    """Whether somewhere in a torchao configuration a pattern that fits this tensor's name is given something to do."""
    if not isinstance(node, Mapping):
        return False
    for key, value in node.items():
        if value is not None and (str(key) == tensor or _fits(str(key), tensor)) or _reaches(tensor, value):
            return True
    return False


def _fits(pattern: str, tensor: str) -> bool:
    try:
        return pattern.startswith("re:") and re.fullmatch(pattern[3:], tensor) is not None
    except re.error:
        return False


def _settings(folder: Path) -> dict:
    try:
        found = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # who loads the model says what is wrong with its configuration
    return found if isinstance(found, dict) else {}


DTYPES = {"fp32": "float32", "bf16": "bfloat16"}


class TransformersEngine(LocalEngine):
    """A causal language model as Transformers runs it. `device` is 'cpu', 'cuda' or 'mps'.

    With a `random_seed` the weights in the folder are left alone: only its configuration is read. A `quantization` is a
    configuration of Transformers' own, or its dict."""

    engine = "transformers"

    def __init__(
        self,
        card,
        folder: Path,
        precision: str = "fp32",
        device: str = "cpu",
        threads: int | None = None,
        random_seed: int | None = None,
        quantization=None,
    ):
        super().__init__(card, folder, precision)
        if precision not in DTYPES:
            raise BadRequest(
                f"Transformers runs fp32 or bf16 here, not {precision}. Use engine='onnx' for q4, int8 or int4."
            )
        self._torch = _runtime()
        self._dtype = getattr(self._torch, DTYPES[precision])
        self.device = device
        self.threads = threads or best_threads()
        if device == "cpu":
            self._torch.set_num_threads(self.threads)
        method = None
        if random_seed is None:
            method, options = plan(folder, quantization, device, card.architecture)
            self._model = self._read(folder, options)
        else:
            self._model = self._made_up(folder, random_seed)
        if method:
            self.precision = f"{precision} and {method}"
            refuse_untouched_experts(self._model, method)
            if device == "cpu" and method in WHOLE:
                self._model.to(self._dtype)
        else:
            self._model.to(device)
        # torchao's tensors can't be taken apart in inference mode
        self._without_gradients = self._torch.no_grad if method else self._torch.inference_mode
        self._model.eval()
        shape = self._model.config.get_text_config()
        self.context, self._model_vocabulary = shape.max_position_embeddings, shape.vocab_size

    def _read(self, folder: Path, options: dict):
        """The model in a folder, from its configuration and weights."""
        options = options | {"dtype": self._dtype, "local_files_only": True, "use_safetensors": True}
        try:
            model, told = self._loader().from_pretrained(folder, output_loading_info=True, **options)
        except ImportError as fault:  # a quantization has a package of its own
            package = f" pip install {fault.name}" if fault.name else ""
            raise NotHere(f"{str(fault).strip()}.{package}") from fault
        except Exception as fault:  # a damaged configuration fails in any way inside Transformers
            raise NotHere(f"Transformers can't load {folder}: {fault} Fetch it again.") from fault
        # Transformers makes random numbers do for what is missing, and drops what has no place
        missing = sorted(told["missing_keys"])
        left = [name for name in sorted(told["unexpected_keys"]) if "layers." in name and "rotary" not in name]
        if (missing or left) and "quantization_config" not in options:
            fault = f"lacks {len(missing)} of the model's tensors, such as {missing[0]}" if missing else ""
            fault = fault or f"holds {len(left)} tensors that the model has no place for, such as {left[0]}"
            raise NotHere(f"{folder} {fault}: it is cut short, or of another model. Fetch it again.")
        return model

    def _made_up(self, folder: Path, seed: int):
        """The same architecture with the weights that a training begins with."""
        from transformers import AutoConfig

        self.name = f"{self.name}, untrained"
        with self._torch.random.fork_rng(devices=[]):
            self._torch.manual_seed(seed)
            config = AutoConfig.from_pretrained(folder, local_files_only=True)
            model = self._loader().from_config(config, dtype=self._torch.float32)
        return model.to(self._dtype)

    def _loader(self):
        """The class of Transformers that finds the model's own."""
        from transformers import AutoModelForCausalLM

        return AutoModelForCausalLM

    def _forward(self, ids: Sequence[int], **options):
        torch = self._torch
        if max(ids) >= self._model_vocabulary:
            raise NotHere(
                f"The tokenizer in {self.format.folder} gives the id {max(ids)}, and the model knows "
                f"{self._model_vocabulary}: they are of different models. Fetch the folder again."
            )
        with self._lock, self._without_gradients():
            self._check_open()
            return self._model(input_ids=torch.tensor([list(ids)], device=self.device), **options)

    def _session(self, capacity: int) -> "TransformersSession":
        return TransformersSession(self, capacity)

    def _beams(self, ids: Sequence[int], room: int, sampling: Sampling) -> list[int]:
        torch = self._torch
        self._numbers(self._forward(ids[:1], use_cache=False).logits)  # the search itself looks at no number
        given = torch.tensor([list(ids)], device=self.device)
        with self._lock, self._without_gradients():
            found = self._model.generate(
                given,
                attention_mask=torch.ones_like(given),
                max_new_tokens=room,
                num_beams=sampling.beams,
                do_sample=False,
                early_stopping=True,
                repetition_penalty=sampling.repetition_penalty,
                pad_token_id=min(self.format.end_ids, default=0),
            )
        return found[0, len(ids) :].tolist()

    def _logits_of(self, ids: Sequence[int]) -> Iterator[np.ndarray]:
        yield self._numbers(self._forward(ids, use_cache=False).logits[0])

    def _numbers(self, computed) -> np.ndarray:
        """What the model computed as an array, refused where damaged weights made it no numbers at all."""
        found = computed.float().cpu().numpy()
        if not np.isfinite(found.max(axis=-1)).all():  # a part of a row may be minus infinity, as a mask makes it
            raise NotHere(
                f"{self.name} computes no numbers (NaN or infinite): weights in {self.format.folder} are damaged. "
                "Fetch them again."
            )
        return found

    def attentions(self, text: str) -> tuple[list[TokenPiece], np.ndarray]:
        """The tokens of a text, and what each attends to: (layers, heads, tokens, tokens), and rows sum to 1."""
        ids = self._ids_of(text)
        with self._looking():
            found = self._forward(ids, output_attentions=True, use_cache=False).attentions
        layers = np.stack([self._numbers(layer[0]) for layer in found])
        return [self.format.piece(id) for id in ids], layers

    @contextmanager
    def _looking(self) -> Iterator[None]:
        """Inside, the plain attention runs: the fast one never forms the numbers that are looked at."""
        with self._lock:
            self._check_open()
            before = self._model.config._attn_implementation
            self._model.set_attn_implementation("eager")
            try:
                yield
            finally:
                self._model.set_attn_implementation(before)

    def routing(self, text: str) -> Routing:
        """Which experts each token of a text goes through, layer by layer, and with which weights."""
        ids, own = self._ids_of(text), self.format.own_places(text)
        if not own:
            raise BadRequest("This text has no tokens, so there is nothing to route.")
        with self._lock:
            self._check_open()
            layers = experts.experts_in(self._model)
            with experts.watched(layers) as seen:
                self._numbers(self._forward(ids, use_cache=False).logits[0])
            family = self._model.config.model_type
            found = {layer: experts.ranked(*given, family) for layer, given in sorted(seen.items())}
            count = experts.count_of(layers[min(found)])
        if len({given[0].shape for given in found.values()}) > 1:
            raise BadRequest(f"{self.name} uses more experts in some layers than in others: no one table can show it.")
        choices, weights = (
            np.stack([each[part].float().cpu().numpy()[own] for each in found.values()]) for part in (0, 1)
        )
        reader = self.format.reader(with_marks=True)  # a character of several tokens comes whole, with its last one
        pieces = tuple(TokenPiece(ids[place], reader.read(ids[place])) for place in own)
        return Routing(self.name, count, tuple(found), pieces, choices.astype(int), weights)

    @contextmanager
    def without_expert(self, layer: int, expert: int | Iterable[int]) -> Iterator[None]:
        """Inside, an expert of a layer (or several) is switched off, for whoever asks: tokens sent to it get nothing
        from it. A reply is read in the block that it is asked in."""
        self._check_open()
        with experts.silenced(self._model, layer, expert):
            self._outdate()  # what the whole model has cached is of no use to the lesser one, and the other way
            try:
                yield
            finally:
                self._outdate()

    def untrained(self, seed: int = 0) -> "TransformersEngine":
        """The same architecture as it is before its training: random weights from a seed. A model of its own."""
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
            raise BadRequest(f"seed={seed!r}: a seed is a whole number, 0 or more.")
        self._check_open()
        if self.card.architecture:
            fit = will_it_fit(self.card, "fp32")[0]
            if fit.fits_ram is False:
                raise NotHere(f"A twin of {self.name} begins in fp32. {fit.sentence}")
        kind = next(name for name, dtype in DTYPES.items() if getattr(self._torch, dtype) == self._dtype)
        return type(self)(
            self.card, self.format.folder, kind, device=self.device, threads=self.threads, random_seed=seed
        )

    def close(self) -> None:
        super().close()
        with self._lock:  # what is under way ends first
            self._model = None
        if self.device == "cuda":
            self._torch.cuda.empty_cache()


class TransformersSession(Session):
    """A KV cache of Transformers and the logits after its last id."""

    def __init__(self, engine: TransformersEngine, capacity: int):
        from transformers import DynamicCache

        super().__init__(capacity)
        self._forward, self._numbers = engine._forward, engine._numbers
        self._cache = DynamicCache(config=engine._model.config)
        self._logits: np.ndarray | None = None

    def _feed(self, ids: Sequence[int]) -> None:
        seen = self.sight.inputs if self.sight and len(self.ids) == len(ids) else {}  # pictures are looked at once
        output = self._forward(ids, past_key_values=self._cache, use_cache=True, logits_to_keep=1, **seen)
        self._logits = self._numbers(output.logits[0, -1])

    def logits(self) -> np.ndarray:
        return self._logits


def _runtime():
    """torch, once it is sure that Transformers is here as well."""
    try:
        import torch
        from transformers.utils import logging
    except ImportError as fault:
        raise NotHere(
            "Transformers and torch aren't installed: python lab.py setup (it picks the right build of torch)"
        ) from fault
    logging.disable_progress_bar()
    return torch


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
            raise NotHere(f"{self.format.folder} has no readable config.json. Fetch it again.") from fault
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
            raise NotHere(f"{self.name} sees through an adapter, and peft is missing: pip install peft") from fault
        except Exception as fault:  # a damaged adapter fails in any way inside peft
            raise NotHere(f"The adapter {adapter} can't be read: {fault} Fetch it again.") from fault
        if told.missing_keys:
            raise NotHere(
                f"The adapter {adapter} lacks {len(told.missing_keys)} of its tensors: it is cut short. Fetch it again."
            )
        model.set_adapter(ADAPTER)

    def _read_processor(self, folder: Path):
        from transformers import AutoProcessor

        try:
            # Pillow's way of making a picture smaller, so that it is the same with torchvision and without
            processor = AutoProcessor.from_pretrained(folder, local_files_only=True, backend="pil")
        except ImportError as fault:
            raise NotHere(
                f"{self.name} cuts pictures up with torchvision, which is missing: pip install torchvision"
            ) from fault
        except Exception as fault:  # a damaged configuration fails in any way inside Transformers
            raise NotHere(f"The processor in {folder} can't be read: {fault} Fetch it again.") from fault
        if not hasattr(processor, "image_processor"):
            raise NotHere(f"{folder} holds no image processor: it is a model of text.")
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
            raise NotHere(f"{fault} pip install torchvision") from fault
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
