"""Training a small mixture of experts, one step at a time: the recipe, the balance loss, and what to watch.

A lesson trains a very small one while you look; training/moe.py trains those in data/models with the same steps.
Knows nothing about files or where the texts come from.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from slmlab.errors import BadRequest

BEGIN, END, PAD, VOCABULARY = 256, 257, 258, 260  # a token is a byte; three ids beside them, and one to spare
USED = 2  # experts for a token: Phi's router knows no other number


@dataclass(frozen=True)
class Recipe:
    seed: int = 0
    dense: bool = False
    steps: int = 2000
    batch: int = 40  # texts in a step, as many of each domain
    length: int = 256  # bytes of each
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    warm_up: int = 100
    balance: float = 0.02  # weight of the loss that keeps the experts equally busy
    jitter: float = 0.3  # how far below the best an expert may score and still be drawn: kept in the model's config
    layers: int = 4
    width: int = 192
    experts: int = 16


@dataclass(frozen=True, eq=False)
class Moment:
    """How a training stands after a step. `load` is each expert's share of its tokens, (layers, experts), by score
    alone, as in use: while it trains, Phi's router draws among the experts that score nearly best."""

    step: int
    bits_per_byte: float
    balance: float | None
    load: np.ndarray | None


def new_model(recipe: Recipe):
    """The model before its first step: the same for the same recipe. The seed is torch's, and it is left set."""
    import torch
    from transformers import Phi3Config, Phi3ForCausalLM, PhimoeConfig, PhimoeForCausalLM

    torch.manual_seed(recipe.seed)
    heads = recipe.width // 64  # each 64 wide
    shape = {
        "vocab_size": VOCABULARY, "hidden_size": recipe.width, "num_hidden_layers": recipe.layers,
        "num_attention_heads": heads, "num_key_value_heads": heads, "max_position_embeddings": 512,
        "tie_word_embeddings": False, "bos_token_id": BEGIN, "eos_token_id": END, "pad_token_id": PAD,
        "sliding_window": None,
    }  # fmt: skip
    if recipe.dense:  # its feed-forward block is as wide as the two experts that a token uses
        return Phi3ForCausalLM(Phi3Config(intermediate_size=USED * recipe.width, **shape))
    config = PhimoeConfig(
        intermediate_size=recipe.width, num_local_experts=recipe.experts, num_experts_per_tok=USED,
        router_jitter_noise=float(recipe.jitter), input_jitter_noise=0.0,
        router_aux_loss_coef=float(recipe.balance),  # the config takes no whole numbers here
        **shape,
    )  # fmt: skip
    model = PhimoeForCausalLM(config)
    model.set_experts_implementation("grouped_mm")  # on a CPU batched_mm takes some eighty times as long
    return model


def batch_of(texts: Mapping[str, np.ndarray], recipe: Recipe, step: int):
    """The rows of a step: BEGIN and `length` bytes, as many of each domain. The step alone decides which."""
    import torch

    chance, names = np.random.default_rng([recipe.seed, step]), list(texts)
    rows = np.full((recipe.batch, recipe.length + 1), BEGIN, dtype=np.int64)
    for number in range(recipe.batch):
        text = texts[names[number % len(names)]]
        start = int(chance.integers(0, len(text) - recipe.length))
        rows[number, 1:] = text[start : start + recipe.length]
    return torch.from_numpy(rows)


def balance_loss(router_logits):
    """1 when all experts are equally busy, more the more they differ.

    For each layer over the whole batch, then the mean: pooled over the layers, as the library's own loss is, one
    layer's excess would hide another's; counted text by text, no expert could have a domain of its own.
    """
    import torch

    losses = []
    for logits in router_logits:
        shares = logits.float().softmax(-1)
        chosen = torch.zeros_like(shares).scatter_(1, logits.topk(USED, -1).indices, 1 / USED)
        losses.append(shares.shape[-1] * (chosen.mean(0) * shares.mean(0)).sum())
    return torch.stack(losses).mean()


def learning_rate(recipe: Recipe, step: int) -> float:
    """Up in a line, then down along half a cosine to a tenth."""
    down = 0.1 + 0.45 * (1 + math.cos(math.pi * step / recipe.steps))
    return recipe.learning_rate * min(1.0, (step + 1) / recipe.warm_up) * down


class Training:
    """A model on its way. `advance()` takes a step and says how it went."""

    def __init__(self, recipe: Recipe, texts: Mapping[str, np.ndarray], device: str = "cpu"):
        import torch

        self.recipe, self.texts, self.device, self.step = recipe, texts, device, 0
        self.model = new_model(recipe).to(device).train()
        flat, deep = ([one for one in self.model.parameters() if (one.dim() > 1) is kind] for kind in (False, True))
        groups = [{"params": deep, "weight_decay": recipe.weight_decay}, {"params": flat, "weight_decay": 0.0}]
        self.optimiser = torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(0.9, 0.95))

    def advance(self) -> Moment:
        import torch

        recipe = self.recipe
        ids = batch_of(self.texts, recipe, self.step).to(self.device)
        torch.manual_seed(recipe.seed * 1_000_003 + self.step)  # what the routers draw, also after a restart
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(recipe, self.step)
        options = {} if recipe.dense else {"output_router_logits": True}
        # 16 bits only where the processor computes in them: elsewhere they are imitated, at a tenth of the speed
        half = self.device != "cpu" or torch.backends.cpu.get_cpu_capability() == "AVX512"
        with torch.autocast(self.device, dtype=torch.bfloat16, enabled=half):
            answer = self.model(ids[:, :-1], use_cache=False, **options)
        loss = torch.nn.functional.cross_entropy(answer.logits.float().flatten(0, 1), ids[:, 1:].flatten())
        balance = None if recipe.dense else balance_loss(answer.router_logits)
        (loss if recipe.dense else loss + recipe.balance * balance).backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.step += 1
        bits = loss.item() / math.log(2)
        if not math.isfinite(bits):
            raise BadRequest(f"At step {self.step} the loss is no number any more: take a smaller learning rate.")
        if recipe.dense:
            return Moment(self.step, bits, None, None)
        return Moment(self.step, bits, balance.item(), _load(answer.router_logits))


def _load(router_logits) -> np.ndarray:
    """Each expert's share of the two best of every token, (layers, experts)."""
    chosen = [logits.topk(USED, -1).indices.flatten().bincount(minlength=logits.shape[-1]) for logits in router_logits]
    return np.array([(counts / counts.sum()).tolist() for counts in chosen])
