"""Tiny models that see, with random weights: LLaVA's kind, Phi-3.5-vision in ONNX form, Phi-4-multimodal.

Real architectures and real processors, and a token for each byte: what they cost and what they look at is computed.
"""

import contextlib
import io
import json
import shutil
from pathlib import Path

import numpy as np
from onnx import numpy_helper, parser

from tests.conftest import write_byte_tokenizer, write_tiny_model

SIDE, PATCH = 32, 8
PATCHES = (SIDE // PATCH) ** 2  # and as many tokens
IMAGE, SOUND = "<image>", "<sound>"
PHI3V = Path(__file__).parent / "reference" / "tiny_phi3v"
QUESTION = "How many?"
RED, BLUE = (200, 10, 20), (20, 10, 200)
CROPS = 4  # of the tiny Phi-4-multimodal; Microsoft's own takes 36
TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}<|end|>{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def forced(ids):
    """A scorer that makes a model write these ids, whatever it is shown."""
    left = iter(ids)

    def scorer(seen, logits):
        scores = np.full_like(logits, -np.inf)
        scores[next(left)] = 0
        return scores

    return scorer


def noise(seed: int = 0, width: int = 50, height: int = 30):
    """A picture with no two patches alike."""
    from PIL import Image

    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def plain(colour, width: int = 40, height: int = 20):
    """A picture of one colour."""
    from PIL import Image

    return Image.new("RGB", (width, height), colour)


def seen_as(model, *images) -> list[tuple[int, float]]:
    """An answer with what the model held of each id: equal for what it sees as equal."""
    return [(token.id, token.logprob) for token in model.ask(QUESTION, images=images, max_tokens=5, logprobs=True)]


def inputs_of(reference, question: str, *images):
    """What Transformers alone makes of a question with pictures: `reference` is its processor and its model."""
    parts = [{"type": "image", "image": image} for image in images] + [{"type": "text", "text": question}]
    options = {"add_generation_prompt": True, "tokenize": True, "return_dict": True, "return_tensors": "pt"}
    return reference[0].apply_chat_template([{"role": "user", "content": parts}], **options)


def write_tiny_sight(folder: Path) -> Path:
    """LLaVA's kind as tiny-vlm is made: CLIP's encoder, a projector, a Phi-3 decoder; 16 tokens a picture."""
    import torch
    from transformers import (
        CLIPImageProcessorPil,
        CLIPVisionConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
        Phi3Config,
    )

    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = seeing_tokenizer(folder, IMAGE)
    pixels = CLIPImageProcessorPil(
        size={"height": SIDE, "width": SIDE}, do_center_crop=False, image_mean=[0.5] * 3, image_std=[0.5] * 3
    )
    LlavaProcessor(
        pixels, tokenizer, patch_size=PATCH, vision_feature_select_strategy="default", num_additional_image_tokens=1,
        image_token=IMAGE, chat_template=TEMPLATE,
    ).save_pretrained(folder)  # fmt: skip
    shape = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
    sight = CLIPVisionConfig(**shape, image_size=SIDE, patch_size=PATCH, projection_dim=64, initializer_factor=2.0)
    speech = Phi3Config(
        **shape, vocab_size=len(tokenizer), num_key_value_heads=2, max_position_embeddings=256,
        original_max_position_embeddings=256, eos_token_id=256, bos_token_id=None, pad_token_id=256,
        initializer_range=0.5,
    )  # fmt: skip
    config = LlavaConfig(
        vision_config=sight, text_config=speech, image_token_index=tokenizer.convert_tokens_to_ids(IMAGE),
        vision_feature_layer=-1, vision_feature_select_strategy="default", image_seq_length=PATCHES,
        initializer_range=0.5,
    )  # fmt: skip
    torch.manual_seed(0)
    LlavaForConditionalGeneration(config).save_pretrained(folder)
    return folder


def seeing_tokenizer(folder: Path, *marks: str, **options):
    """The byte tokenizer of all tests with marks for what is no text."""
    from tokenizers import AddedToken, Tokenizer
    from transformers import PreTrainedTokenizerFast

    write_byte_tokenizer(folder)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.add_special_tokens([AddedToken(mark, special=True) for mark in marks])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|end|>", pad_token="<|end|>", chat_template=TEMPLATE, **options
    )


def write_tiny_phi4(folder: Path) -> Path:
    """Phi-4-multimodal: its encoder of crops, a part for sound that nobody asks, its decoder. Needs torchvision."""
    import torch
    from transformers import (
        Phi4MultimodalConfig,
        Phi4MultimodalFeatureExtractor,
        Phi4MultimodalForCausalLM,
        Phi4MultimodalImageProcessor,
        Phi4MultimodalProcessor,
    )

    folder.mkdir(parents=True, exist_ok=True)
    marks = {"image_token": IMAGE, "audio_token": SOUND}
    tokenizer = seeing_tokenizer(folder, *marks.values(), extra_special_tokens=marks)
    image, sound = tokenizer.convert_tokens_to_ids([IMAGE, SOUND])
    Phi4MultimodalProcessor(
        Phi4MultimodalImageProcessor(dynamic_hd=CROPS), Phi4MultimodalFeatureExtractor(), tokenizer,
        chat_template=TEMPLATE,
    ).save_pretrained(folder)  # fmt: skip
    config = Phi4MultimodalConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=4096, original_max_position_embeddings=4096, eos_token_id=256,
        bos_token_id=256, pad_token_id=256, initializer_range=0.5,
        vision_config={
            "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
            "image_token_id": image,
        },
        audio_config={
            "hidden_size": 32, "intermediate_size": 32, "num_blocks": 2, "num_attention_heads": 2,
            "ext_pw_out_channel": 32, "depthwise_separable_out_channel": 32, "nemo_conv_channels": 32,
            "audio_token_id": sound,
        },
    )  # fmt: skip
    torch.manual_seed(0)
    Phi4MultimodalForCausalLM(config).save_pretrained(folder)
    return folder


def write_tiny_phi3v(folder: Path) -> Path:
    """Phi-3.5-vision's form in ONNX: the builder's own text part, and beside it two small graphs that stand for the
    encoder and the table of embeddings. A picture's mean colour is all that this encoder sees."""
    import onnx
    from safetensors.numpy import load_file

    source = _decoder_of_text(folder.with_name(f"{folder.name}-source"))
    folder.mkdir(parents=True, exist_ok=True)
    _build_text_part(source, folder)
    table = load_file(source / "model.safetensors")["model.embed_tokens.weight"].astype(np.float32)
    directions = np.random.default_rng(0).normal(size=(3, table.shape[1])).astype(np.float32)
    for name, weights, values in (("embedding", "table", table), ("vision", "directions", directions)):
        model = parser.parse_model((PHI3V / f"{name}.txt").read_text())
        model.graph.initializer.append(numpy_helper.from_array(values, weights))
        onnx.save(model, folder / f"{name}.onnx")
    path, more = folder / "genai_config.json", json.loads((PHI3V / "genai_config.json").read_text())
    settings = json.loads(path.read_text())
    path.write_text(json.dumps(settings | {"model": settings["model"] | more["model"]}))
    shutil.copy(PHI3V / "processor_config.json", folder)
    return folder


def _decoder_of_text(folder: Path) -> Path:
    """A Phi-3 with room for pictures of some 2,500 tokens."""
    path = write_tiny_model(folder, "phi3") / "config.json"
    room = {"max_position_embeddings": 4096, "original_max_position_embeddings": 4096}
    path.write_text(json.dumps(json.loads(path.read_text()) | room))
    return folder


def _build_text_part(source: Path, folder: Path) -> None:
    from onnxruntime_genai.models import builder

    given = (str(source), str(folder), "fp32", "cpu", str(folder / "scratch"))
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        options = builder.parse_extra_options(None, *given, ["exclude_embeds=true"])
        builder.create_model(None, *given, **options)
    shutil.rmtree(folder / "scratch", ignore_errors=True)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(source / name, folder / name)
