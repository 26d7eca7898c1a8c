"""Training the small vision model, one step at a time: the losses, the optimisers, the rates.

Knows nothing about files. Several processes may share a step: each takes its part of the scenes, and the sums of their
gradients are the gradient of the whole.
"""

import torch
from torch.nn import functional

from training.vision_batches import HINTS, Batch, Batches
from training.vision_model import new_model, new_processor
from training.vision_recipe import Recipe

TOLD = 7  # the sums that processes share beside their gradients: loss, weight, helper, letters right and all, twice


class VisionTraining:
    """A model on its way. `advance()` takes a step."""

    def __init__(self, recipe: Recipe, device: str = "cpu", part: int = 0, parts: int = 1):
        self.recipe, self.device, self.part, self.parts, self.step = recipe, device, part, parts, 0
        self.processor = new_processor()
        self.model = new_model(self.processor, recipe.seed, recipe.width, recipe.seeing, recipe.telling).to(device)
        self.helper = torch.nn.Linear(recipe.width, HINTS).to(device)
        self.batches = Batches(recipe, self.processor.tokenizer)
        self.optimisers = self._optimisers()
        self._seen: list[torch.Tensor] = []
        self.model.model.multi_modal_projector.register_forward_pre_hook(self._watch)

    def _watch(self, module, arguments) -> None:
        self._seen = [arguments[0]]

    @property
    def parameters(self) -> list[torch.nn.Parameter]:
        return [*self.model.parameters(), *self.helper.parameters()]

    def _optimisers(self) -> list[torch.optim.Optimizer]:
        recipe, deep, rest = self.recipe, [], []
        for name, one in self.model.named_parameters():
            hidden = one.dim() == 2 and "embed" not in name
            (deep if hidden else rest).append(one)
        rest += list(self.helper.parameters())
        return [
            torch.optim.Muon(deep, lr=recipe.muon_rate, weight_decay=recipe.weight_decay),
            torch.optim.AdamW(rest, lr=recipe.adam_rate, weight_decay=recipe.weight_decay, betas=(0.9, 0.95)),
        ]

    def losses(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The sums of the answers' weighted losses and of the helper's, and how many targets were right."""
        with torch.autocast(self.device, dtype=torch.bfloat16):
            logits = self.model(input_ids=batch.ids, pixel_values=batch.pixels, use_cache=False).logits
        chosen = batch.weights[:, 1:] > 0
        logits, targets = logits[:, :-1][chosen].float(), batch.ids[:, 1:][chosen]
        loss = (functional.cross_entropy(logits, targets, reduction="none") * batch.weights[:, 1:][chosen]).sum()
        helping = loss.new_zeros(()) if batch.hints is None else self._helping(self._seen.pop(), batch.hints)
        return loss, helping, (logits.argmax(-1) == targets).sum()

    def _helping(self, seen: torch.Tensor, hints: torch.Tensor) -> torch.Tensor:
        """How badly the helping head tells from the encoder's vectors what each patch shows: a sum."""
        with torch.autocast(self.device, dtype=torch.bfloat16):
            told = self.helper(seen)
        return functional.binary_cross_entropy_with_logits(told.float(), hints, reduction="sum")

    def rate(self) -> float:
        """The part of the rates that this step takes: up in a line, twice for the pages, level, down in a line."""
        recipe = self.recipe
        if self.step < recipe.pages:
            return 2 * min(1.0, (self.step + 1) / recipe.warm_up)
        left = (recipe.steps - self.step) / (recipe.cool_down * recipe.steps)
        return min(1.0, max(left, 0.01))

    def advance(self, add_up=None) -> dict[str, float]:
        """One step. `add_up` adds a tensor over all processes that share the step, in place."""
        recipe, told = self.recipe, torch.zeros(TOLD, device=self.device)
        if self.step < recipe.pages:
            told += self._read_pages()
        else:
            for batch in self.batches.of(self.step, self.part, self.parts):
                told += self._read_scenes(batch.to(self.device))
        self._share(told, add_up)
        for optimiser, full in zip(self.optimisers, (recipe.muon_rate, recipe.adam_rate), strict=True):
            for group in optimiser.param_groups:
                group["lr"] = full * self.rate()
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        self.step += 1
        loss, weight, helping, right, targets, found, wanted = told.tolist()
        rest = {"right": right / max(targets, 1), "found": found / max(wanted, 1)}
        return {"loss": loss / weight, "helper": helping / weight, **rest}

    def _read_scenes(self, batch: Batch) -> torch.Tensor:
        """Backward through a batch; its loss, the weight of its targets, the helper's loss, the targets that were
        right, and all targets: of scenes, then of readings without their pictures."""
        loss, helping, right = self.losses(batch)
        (loss + self.recipe.hints * helping).backward()
        weights, none = batch.weights[:, 1:], torch.zeros((), device=self.device)
        letters = [right, (weights > 0).sum()]
        letters = [none, none, *letters] if batch.pixels is None else [*letters, none, none]
        return torch.stack([loss.detach(), weights.sum(), helping.detach(), *letters])

    def _read_pages(self) -> torch.Tensor:
        pixels, hints = (one.to(self.device) for one in self.batches.pages(self.step, self.part, self.parts))
        with torch.autocast(self.device, dtype=torch.bfloat16):
            seen = self.model.model.vision_tower(pixels, output_hidden_states=True).hidden_states[-1][:, 1:]
        helping = self._helping(seen, hints)
        helping.backward()
        none = torch.zeros((), device=self.device)
        return torch.stack([none, hints.sum(), helping.detach(), none, none, none, none])

    def _share(self, told: torch.Tensor, add_up) -> None:
        """The gradients of all processes, over the weight of all targets, and clipped."""
        parameters = [one for one in self.parameters if one.grad is not None]
        flat = torch.cat([told, *(one.grad.flatten() for one in parameters)])
        if add_up:
            add_up(flat)
        told.copy_(flat[:TOLD])
        gradient = flat[TOLD:] / told[1]
        gradient *= min(1.0, 1.0 / max(gradient.norm().item(), 1e-6))
        for one, part in zip(parameters, gradient.split([one.numel() for one in parameters]), strict=True):
            one.grad.copy_(part.view_as(one))
