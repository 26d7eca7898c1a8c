"""Models as Transformers runs them: text, and pictures that join the prompt through the model's processor."""

import sys
import textwrap
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from slmlab.engines.local import LocalEngine, Session
from slmlab.errors import BadRequest, NotHere, SlmLabError
from slmlab.machine import best_threads
from slmlab.records import Message, Sampling

DTYPES = {"fp32": "float32", "bf16": "bfloat16"}
ADAPTER = "vision-lora"  # Phi-4-multimodal keeps what it learned to see in an adapter beside the weights
REACH_EXPERTS = ("torchao", "mxfp4", "fp8", "mxfp8", "fbgemm_fp8")
NAMED = r'TorchAoConfig(FqnToConfig({r"re:.*experts\.(gate_up|down)_proj": Int8WeightOnlyConfig()}))'
ADVICE = f"What works: torchao with the experts named, {NAMED}; or a GGUF file of the model, with llama.cpp."


class TransformersEngine(LocalEngine):
    """A causal language model on a device_map. `adapters` are merged in; a `module` stands for the folder's weights."""

    engine = "transformers"

    def __init__(
        self, card, folder: Path, precision: str = "fp32", device: str | dict = "cpu", threads: int | None = None,
        quantization=None, adapters: Sequence[Path] = (), module=None,
    ):  # fmt: skip
        super().__init__(card, folder, precision)
        import torch
        from transformers.utils import logging

        logging.disable_progress_bar()
        self._torch, self._dtype = torch, getattr(torch, DTYPES[precision])
        self.threads = threads or best_threads()
        torch.set_num_threads(self.threads)
        self._model = (module.to(device, self._dtype) if module else self._read(folder, device, quantization)).eval()
        for adapter in adapters:
            self._model = merged(self._model, adapter).eval()
        # parameters that wait on the disk or the CPU are "meta"; a layer fetches its own input from anywhere
        self.device = str(self._model.device).replace("meta", "cpu")
        self.context = self._model.config.get_text_config().max_position_embeddings

    def _read(self, folder: Path, device: str | dict, quantization):
        from transformers import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING as SEEING_CONFIGS
        from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText

        options = {"dtype": self._dtype, "local_files_only": True, "use_safetensors": True}
        options["quantization_config"] = quantization
        if device != "cpu":
            options["device_map"] = device  # accelerate places the layers
        with _reading(f"Transformers can't load {folder}"):
            config = AutoConfig.from_pretrained(folder, local_files_only=True)
            quantized = quantization or getattr(config, "quantization_config", None)
            method = method_of(quantized) if quantized else None
            if method == "torchao":
                options["experts_implementation"] = "eager"  # the fused kernels take none of its tensors
            seeing = self.sees and type(config) in SEEING_CONFIGS  # where Phi-4-multimodal is not
            loader = AutoModelForImageTextToText if seeing else AutoModelForCausalLM
            model, report = loader.from_pretrained(folder, output_loading_info=True, **options)
            missing = sorted(report["missing_keys"])
            if missing and not method:  # Transformers makes random numbers do for them
                raise ValueError(f"it lacks {len(missing)} of the model's tensors, such as {missing[0]}.")
        if method:
            self.precision = f"{self.precision} and {method}"
        places = Counter(getattr(model, "hf_device_map", {}).values())
        if len(places) > 1:
            found = [f"{count} on {place}" for place, count in places.items()]  # a number is a GPU's
            print(f"{self.name} is larger than one device, so it is split, and slower. Parts: {', '.join(found)}.")
        return model

    def forward(self, ids: Sequence[int], **options):
        """One run of the torch model over these ids. Damaged weights, which compute no numbers, are named."""
        torch = self._torch
        with self.exclusive() as model, torch.no_grad():
            output = model(input_ids=torch.tensor([list(ids)], device=self.device), **options)
        # a part of a row may be minus infinity, as a mask makes it
        if not torch.isfinite(output.logits.amax(dim=-1)).all():
            raise NotHere(f"{self.name} computes no numbers (NaN or infinite): its files are damaged. Fetch it again.")
        return output

    @contextmanager
    def exclusive(self) -> Iterator:
        """The torch model, for this thread alone: a hook on it sees no other thread's tokens."""
        with self._lock:
            self._check_open()
            yield self._model

    def session(self, capacity: int) -> "TransformersSession":
        return TransformersSession(self, capacity)

    def _beams(self, ids: Sequence[int], max_new: int, sampling: Sampling) -> list[int]:
        self.forward(ids[:1], use_cache=False)  # the search itself looks at no number
        prompt, end = self._torch.tensor([list(ids)], device=self.device), min(self.format.end_ids, default=0)
        options = {"num_beams": sampling.beams, "repetition_penalty": sampling.repetition_penalty, "do_sample": False}
        options |= {"attention_mask": prompt.new_ones(prompt.shape), "pad_token_id": end, "max_new_tokens": max_new}
        with self.exclusive() as model, self._torch.no_grad():
            return model.generate(prompt, early_stopping=True, **options)[0, len(ids) :].tolist()

    def logits(self, ids: Sequence[int]) -> Iterator[np.ndarray]:
        yield as_array(self.forward(ids, use_cache=False).logits[0])

    def close(self) -> None:
        super().close()
        self._torch.cuda.empty_cache()


class TransformersSession(Session):
    """A KV cache of Transformers. Ids are read when the logits after them are wanted: else each token comes late."""

    def __init__(self, engine: TransformersEngine, capacity: int):
        from transformers import DynamicCache

        super().__init__(capacity)
        self._forward = engine.forward
        self._cache = DynamicCache(config=engine._model.config)
        self._unread, self._logits = [], np.empty(0)

    def _feed(self, ids: Sequence[int]) -> None:
        self._unread += ids

    def logits(self) -> np.ndarray:
        if self._unread:
            first = self.image_inputs and len(self._unread) == len(self.ids)  # pictures are looked at once
            options = {"past_key_values": self._cache, "use_cache": True, "logits_to_keep": 1}
            output = self._forward(self._unread, **options, **(self.image_inputs.inputs if first else {}))
            self._logits, self._unread = as_array(output.logits[0, -1]), []
        return self._logits


class VisionEngine(TransformersEngine):
    """A model whose questions may come with pictures: LLaVA's kind, and Phi-4-multimodal."""

    sees = True

    def __init__(self, card, folder: Path, precision: str = "fp32", **options):
        super().__init__(card, folder, precision, **options)
        from transformers import AutoProcessor

        with _reading(f"The processor in {folder} can't be read", package="torchvision"):
            # Pillow's way of making a picture smaller, so that it is the same with torchvision and without
            self.processor = AutoProcessor.from_pretrained(folder, local_files_only=True, backend="pil")
            self.processor.tokenizer.model_max_length = sys.maxsize  # what is too long is refused here, not warned of
        if getattr(self.processor, "chat_template", None) is None:  # some folders keep it with the tokenizer alone
            self.processor.chat_template = self.format.template
        self.format.all_marks.add(self.processor.image_token)

    def _read(self, folder: Path, device: str | dict, quantization):
        model, adapter = super()._read(folder, device, quantization), folder / ADAPTER
        if adapter.is_dir():
            with _reading(f"The adapter {adapter} can't be read", package="peft"):
                # not named "vision": Transformers would take the model's own weights of that name for its own
                model.load_adapter(str(adapter), adapter_name=ADAPTER)
            model.set_adapter(ADAPTER)
        return model

    def _see(self, messages: list[Message]) -> tuple[list[int], dict]:
        options = {"add_generation_prompt": True, "tokenize": True, "return_dict": True, "return_tensors": "pt"}
        turns = []
        for message in messages:
            pictures = [{"type": "image", "image": picture.image} for picture in message.images]
            turns.append({"role": message.role, "content": [*pictures, {"type": "text", "text": message.content}]})
        inputs = self.processor.apply_chat_template(turns, **options)
        ids = inputs.pop("input_ids")[0].tolist()
        inputs.pop("attention_mask", None)
        return ids, dict(inputs.to(self.device, dtype=self._dtype))


def merged(model, adapter: Path):
    """A torch model with the change of a peft adapter in its own weights."""
    if not (adapter / "adapter_model.safetensors").is_file():  # peft would look for it on the hub
        pickle = "An adapter_model.bin is not read: it may run code"
        raise NotHere(f"{adapter} has no adapter_model.safetensors. {pickle}; save with safe_serialization=True.")
    quiet = warnings.catch_warnings(action="ignore", category=FutureWarning)  # peft's, of a name inside Transformers
    with quiet, _reading(f"{adapter} can't go into {model.name_or_path}", "peft", "Check its base, or save it again."):
        from peft import PeftConfig, PeftModel

        adapted = PeftModel(model, PeftConfig.from_pretrained(str(adapter)))
        report = adapted.load_adapter(str(adapter), "default", torch_device=str(model.device))
        # PeftModel.from_pretrained warns of the first and says nothing of the second
        if astray := [*report.missing_keys, *report.unexpected_keys]:
            raise ValueError(f"{len(astray)} tensors are in one and not in the other, such as {astray[0]}.")
        return adapted.merge_and_unload(safe_merge=True)  # refuses numbers that are none


def as_array(tensor) -> np.ndarray:
    return tensor.float().cpu().numpy()


def method_of(quantization) -> str:
    """Of a configuration of Transformers, or its dict."""
    found = quantization if isinstance(quantization, Mapping) else getattr(quantization, "to_dict", dict)()
    if not found.get("quant_method"):
        raise BadRequest("quantization takes a configuration of Transformers, or its dict with a quant_method.")
    return str(getattr(found["quant_method"], "value", found["quant_method"]))


def refuse_skipped_experts(quantization, shape) -> None:
    """Refuse for a mixture of experts a method that never reaches them, before anything is fetched or read."""
    method = method_of(quantization)
    if method not in REACH_EXPERTS:
        share = f"{shape.layers * shape.experts * shape.expert_parameters / shape.text_parameters:.0%}"
        words = f"{method} would leave the experts, {share} of the parameters, as they are: they are no linear layers."
        raise BadRequest(f"{words} {ADVICE}")


@contextmanager
def _reading(what: str, package: str | None = None, advice: str = "Fetch it again.") -> Iterator[None]:
    """Inside, a fault becomes the next step to take: a damaged file fails in any way inside Transformers."""
    try:
        yield
    except SlmLabError:
        raise
    except ImportError as fault:
        raise NotHere(f"{what}: {str(fault).strip()}. pip install {fault.name or package}") from fault
    except Exception as fault:
        raise NotHere(f"{what}: {textwrap.shorten(str(fault), 300).rstrip('.')}. {advice}") from fault
