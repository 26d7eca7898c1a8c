"""The small vision model before its training: its tokenizer, its processor, its layers.

A LlavaForConditionalGeneration as Transformers has it: CLIP's picture encoder, an MLP, a Phi-3 decoder.
"""

import re

import torch

from course.drawn.canvas import COLOURS, SIDE
from course.drawn.pictures import FORMS_OF_SHAPES, PLACES
from course.drawn.questions import ABSENT, WORDINGS

PATCH = 16
END, PAD = "<|end|>", "<|endoftext|>"
SPECIALS = (PAD, "<|system|>", "<|user|>", "<|assistant|>", END, "<image>")
PIECES = r" ?[A-Za-z]+| ?[0-9]| ?[^\sA-Za-z0-9]+|\s"
TEMPLATE = """{%- for message in messages -%}
{{- '<|' + message['role'] + '|>\\n' -}}
{%- if message['content'] is string -%}{{- message['content'] -}}
{%- else -%}
{%- for part in message['content'] -%}
{%- if part['type'] == 'image' -%}{{- '<image>\\n' -}}
{%- elif part['type'] == 'text' -%}{{- part['text'] -}}{%- endif -%}
{%- endfor -%}
{%- endif -%}
{{- '<|end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|assistant|>\\n' -}}{%- endif -%}"""


def words() -> list[str]:
    """The words that are one token each: those of the questions and of the closed answers. All else is spelt."""
    texts = [wording for wordings in WORDINGS.values() for wording in wordings]
    closed = "yes no rising falling up and down left right nowhere TOTAL"
    answers = [*COLOURS, *FORMS_OF_SHAPES, *PLACES, ABSENT, closed]
    found = {found for text in [*texts, *answers] for found in re.findall(r"[A-Za-z]{2,}", text)}
    return sorted(found | {one.lower() for one in found} | {one[0].upper() + one[1:] for one in found if one.islower()})


def new_tokenizer():
    """Known words whole, everything else by its characters, what is no ASCII by its bytes: any text can be written."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    space = "\u0120"  # how byte-level tokenizers write a space
    alone = [chr(code) for code in range(33, 127)]
    entries = [*letters, *(space + one for one in alone), "=>", space + "=>"]
    entries += [before + word for word in words() for before in ("", space)]
    vocabulary = {one: number for number, one in enumerate(dict.fromkeys(entries))}
    model = models.BPE(vocab=vocabulary, merges=[(space, one) for one in alone], ignore_merges=True)
    tokenizer = Tokenizer(model)
    split = pre_tokenizers.Split(Regex(PIECES), "isolated")
    as_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, as_bytes])
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=END, pad_token=PAD, padding_side="left", chat_template=TEMPLATE,
        additional_special_tokens=[one for one in SPECIALS if one not in (END, PAD)],
        clean_up_tokenization_spaces=False, model_input_names=["input_ids", "attention_mask"], model_max_length=1024,
    )  # fmt: skip


def new_processor():
    from transformers import CLIPImageProcessorPil, LlavaProcessor

    pixels = CLIPImageProcessorPil(
        size={"height": SIDE, "width": SIDE}, do_center_crop=False, image_mean=[0.5] * 3, image_std=[0.5] * 3,
    )  # fmt: skip
    return LlavaProcessor(
        pixels, new_tokenizer(), patch_size=PATCH, vision_feature_select_strategy="default",
        num_additional_image_tokens=1, image_token="<image>", chat_template=TEMPLATE,
    )  # fmt: skip


def new_model(processor, seed: int = 0, width: int = 256, seeing: int = 4, telling: int = 4, heads: int = 4):
    """The untrained model: `seeing` layers of the encoder, `telling` of the decoder."""
    from transformers import CLIPVisionConfig, GenerationConfig, LlavaConfig, LlavaForConditionalGeneration, Phi3Config

    torch.manual_seed(seed)
    tokenizer = processor.tokenizer
    end, pad = tokenizer.convert_tokens_to_ids([END, PAD])
    sight = CLIPVisionConfig(
        hidden_size=width, intermediate_size=3 * width, num_hidden_layers=seeing, num_attention_heads=heads,
        image_size=SIDE, patch_size=PATCH, projection_dim=width,
    )  # fmt: skip
    speech = Phi3Config(
        vocab_size=len(tokenizer), hidden_size=width, intermediate_size=3 * width, num_hidden_layers=telling,
        num_attention_heads=heads, num_key_value_heads=heads, max_position_embeddings=2048, tie_word_embeddings=True,
        bos_token_id=None, eos_token_id=end, pad_token_id=pad, sliding_window=None,
    )  # fmt: skip
    config = LlavaConfig(
        vision_config=sight, text_config=speech, image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-1, vision_feature_select_strategy="default", image_seq_length=(SIDE // PATCH) ** 2,
        projector_hidden_act="gelu", tie_word_embeddings=True,
    )  # fmt: skip
    model = LlavaForConditionalGeneration._from_config(config, attn_implementation="eager", dtype=torch.float32)
    model.generation_config = GenerationConfig(eos_token_id=[end, pad], pad_token_id=pad, max_new_tokens=160)
    return model
