"""Hugging Face Transformers: the reference, on CPU or GPU, with attentions to look at.

Gives a LocalEngine over a folder with safetensors. Knows nothing about where the folder came from.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from slmlab.chat import TokenPiece
from slmlab.engines.local import LocalEngine
from slmlab.engines.session import Session
from slmlab.errors import BadRequest, MissingPackage, WeightsError
from slmlab.hardware import best_threads
from slmlab.records import Sampling

DTYPES = {"fp32": "float32", "bf16": "bfloat16"}


class TransformersEngine(LocalEngine):
    """A causal language model as Transformers runs it. `device` is 'cpu', 'cuda' or 'mps'."""

    engine = "transformers"

    def __init__(self, card, folder: Path, precision: str = "fp32", device: str = "cpu", threads: int | None = None):
        super().__init__(card, folder, precision)
        if precision not in DTYPES:
            raise BadRequest(
                f"Transformers runs fp32 or bf16 here, not {precision}. Use engine='onnx' for int8 or int4."
            )
        self._torch, auto_model, damaged = _runtime()
        self.device = device
        self.threads = threads or best_threads()
        if device == "cpu":
            self._torch.set_num_threads(self.threads)
        try:
            dtype = getattr(self._torch, DTYPES[precision])
            self._model = auto_model.from_pretrained(folder, dtype=dtype, local_files_only=True, use_safetensors=True)
        except (OSError, ValueError, RuntimeError, damaged) as fault:
            raise WeightsError(f"Transformers can't load {folder}: {fault}") from fault
        self._model.to(device).eval()
        self.context = self._model.config.get_text_config().max_position_embeddings

    def _forward(self, ids: Sequence[int], **options):
        torch = self._torch
        with self._lock, torch.inference_mode():
            return self._model(input_ids=torch.tensor([list(ids)], device=self.device), **options)

    def _session(self, capacity: int) -> "TransformersSession":
        return TransformersSession(self, capacity)

    def _beams(self, ids: Sequence[int], room: int, sampling: Sampling) -> list[int]:
        torch = self._torch
        given = torch.tensor([list(ids)], device=self.device)
        with self._lock, torch.inference_mode():
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
        yield self._forward(ids, use_cache=False).logits[0].float().cpu().numpy()

    def attentions(self, text: str) -> tuple[list[TokenPiece], np.ndarray]:
        """The tokens of a text, and what each attends to: (layers, heads, tokens, tokens), and rows sum to 1."""
        ids = self._ids_of(text)
        with self._lock:  # the fast attention never forms these numbers, so the plain one runs for this call
            before = self._model.config._attn_implementation
            self._model.set_attn_implementation("eager")
            try:
                found = self._forward(ids, output_attentions=True, use_cache=False).attentions
            finally:
                self._model.set_attn_implementation(before)
        layers = np.stack([layer[0].float().cpu().numpy() for layer in found])
        return [self.format.piece(id) for id in ids], layers

    def close(self) -> None:
        super().close()
        self._model = None
        if self.device == "cuda":
            self._torch.cuda.empty_cache()


class TransformersSession(Session):
    """A KV cache of Transformers and the logits after its last id."""

    def __init__(self, engine: TransformersEngine, capacity: int):
        from transformers import DynamicCache

        super().__init__(capacity)
        self._forward = engine._forward
        self._cache = DynamicCache(config=engine._model.config)
        self._logits: np.ndarray | None = None

    def _feed(self, ids: Sequence[int]) -> None:
        output = self._forward(ids, past_key_values=self._cache, use_cache=True, logits_to_keep=1)
        self._logits = output.logits[0, -1].float().cpu().numpy()

    def logits(self) -> np.ndarray:
        return self._logits


def _runtime():
    try:
        import torch
        from safetensors import SafetensorError
        from transformers import AutoModelForCausalLM
        from transformers.utils import logging
    except ImportError as fault:
        raise MissingPackage(
            "Transformers and torch aren't installed: python lab.py setup (it picks the right build of torch)"
        ) from fault
    logging.disable_progress_bar()
    return torch, AutoModelForCausalLM, SafetensorError
