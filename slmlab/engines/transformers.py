"""Hugging Face Transformers: the reference, on CPU or GPU, with attentions and the routing of experts to look at.

Gives a LocalEngine over a folder with safetensors. Knows nothing about where the folder came from.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from course.inside import experts
from course.inside.router import Routing
from slmlab.chat import TokenPiece
from slmlab.engines import quantized
from slmlab.engines.local import LocalEngine
from slmlab.engines.session import Session
from slmlab.errors import BadRequest, DoesNotFit, MissingPackage, WeightsError
from slmlab.hardware import best_threads, will_it_fit
from slmlab.records import Sampling

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
            method, options = quantized.plan(folder, quantization, device, card.architecture)
            self._model = self._read(folder, options)
        else:
            self._model = self._made_up(folder, random_seed)
        if method:
            self.precision = f"{precision} and {method}"
            quantized.refuse_untouched_experts(self._model, method)
            if device == "cpu" and method in quantized.WHOLE:
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
            raise MissingPackage(f"{str(fault).strip()}.{package}") from fault
        except Exception as fault:  # a damaged configuration fails in any way inside Transformers
            raise WeightsError(f"Transformers can't load {folder}: {fault} Fetch it again.") from fault
        # Transformers makes random numbers do for what is missing, and drops what has no place
        missing = sorted(told["missing_keys"])
        left = [name for name in sorted(told["unexpected_keys"]) if "layers." in name and "rotary" not in name]
        if (missing or left) and "quantization_config" not in options:
            fault = f"lacks {len(missing)} of the model's tensors, such as {missing[0]}" if missing else ""
            fault = fault or f"holds {len(left)} tensors that the model has no place for, such as {left[0]}"
            raise WeightsError(f"{folder} {fault}: it is cut short, or of another model. Fetch it again.")
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
            raise WeightsError(
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
            raise WeightsError(
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
            fit = will_it_fit(self.card, "fp32", on_disk=True)[0]
            if fit.fits_ram is False:
                raise DoesNotFit(f"A twin of {self.name} begins in fp32. {fit.sentence}")
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
        raise MissingPackage(
            "Transformers and torch aren't installed: python lab.py setup (it picks the right build of torch)"
        ) from fault
    logging.disable_progress_bar()
    return torch
