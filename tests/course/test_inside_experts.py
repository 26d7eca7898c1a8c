"""inside/experts: what routers decide, against a computation by hand; experts switched off; who is refused; shares."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import slmlab
from course import inside
from course.inside.experts import Routing, information, kind_of, kinds, shares_by
from slmlab.catalog import card_of_folder
from slmlab.chat import TokenPiece
from slmlab.engines.base import Engine
from slmlab.engines.transformers import TransformersEngine
from slmlab.errors import BadRequest, SlmLabError
from tests.conftest import MIXTURES, write_tiny_model

TEXT = "def f(x):\n  return x é"


def opened(folder, family: str, seed: int = 0) -> TransformersEngine:
    write_tiny_model(folder, family, seed)
    return TransformersEngine(card_of_folder(folder), folder)


def text_of(routing) -> str:
    return "".join(piece.text for piece in routing.pieces)


def inputs_of(model, path):
    """What a module of the model is given while TEXT is read."""
    seen = []
    module = model._model.get_submodule(path)
    hook = module.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach().clone()))
    model.logprobs(TEXT)
    hook.remove()
    return seen[0].reshape(-1, seen[0].shape[-1])


def phi_routes(scores: np.ndarray, noise: float) -> tuple[list[int], list[float]]:
    """Phi's router in evaluation, token by token and in plain words: the best expert, weighed by a softmax over those
    whose score comes within twice the noise of it, relative to the larger size; then the same among the rest."""
    chosen, weights, left = [], [], list(range(len(scores)))
    for _ in range(2):
        best = max(left, key=lambda expert: scores[expert])
        near = [one for one in left if (scores[best] - scores[one]) / max(abs(scores[one]), scores[best]) <= 2 * noise]
        chosen.append(best)
        weights.append(float(1 / sum(np.exp(scores[one] - scores[best]) for one in near)))
        left.remove(best)
    return chosen, weights


def test_phis_choices_and_weights_are_those_computed_by_hand(tmp_path):
    model, sums = opened(tmp_path / "m", "phimoe", seed=3), set()
    routing = inside.routing(model, TEXT)
    for layer in routing.layers:
        block = model._model.model.layers[layer].mlp
        scores = inputs_of(model, f"model.layers.{layer}.mlp").double() @ block.router.weight.double().T
        for token, row in enumerate(scores.detach().numpy()):
            chosen, weights = phi_routes(row, MIXTURES["phimoe"]["router_jitter_noise"])
            assert routing.experts[layer, token].tolist() == chosen
            assert routing.weights[layer, token].tolist() == pytest.approx(weights, abs=1e-4)
            sums.add(round(sum(weights), 2))
    assert len(sums) > 1, "the two weights have softmaxes of their own and need not add up to 1"


def test_any_family_is_watched_by_the_same_call(tmp_path):
    for family in sorted(set(MIXTURES) - {"jetmoe"}):
        model = opened(tmp_path / family, family)
        routing, used = inside.routing(model, TEXT), model._model.config.num_experts_per_tok
        assert routing.layers == ((1,) if family == "deepseek_v3" else (0, 1)), "DeepSeek's first layer is dense"
        assert routing.experts.shape == (len(routing.layers), len(TEXT.encode()), used), family
        counts = [MIXTURES[family].get(name) for name in ("num_local_experts", "num_experts", "n_routed_experts")]
        assert routing.expert_count in counts and routing.experts.max() < routing.expert_count
        assert family == "phimoe" or (np.diff(routing.weights) <= 0).all(), "the one that counts most comes first"
        assert text_of(routing) == TEXT and (routing.weights > 0).all()
        before = model.logprobs(TEXT)
        with inside.without_expert(model, 1, routing.experts[-1, 0, 0]):
            assert model.logprobs(TEXT) != before
        assert model.logprobs(TEXT) == before


def test_tokens_are_those_of_the_text(tiny_mixture):
    pieces = [piece.text for piece in inside.routing(tiny_mixture, "é!").pieces]
    assert pieces == ["", "é", "!"], "a character of two tokens has its text at the second"
    prompt = tiny_mixture.prompt("hi")
    routing = inside.routing(tiny_mixture, prompt)
    assert text_of(routing) == prompt and routing.pieces[0].text == "<|user|>", "marks of a chat keep their text"
    with slmlab.load("tiny-moe") as model:
        assert len(model.ids("ab")) == 3
        assert [piece.text for piece in inside.routing(model, "ab").pieces] == ["a", "b"], "what is added is no part"


def test_an_expert_switched_off_is_missed_where_it_was_called_and_nowhere_else(tiny_mixture):
    routing = inside.routing(tiny_mixture, TEXT)
    expert = routing.experts[1, 0, 0]
    called = [expert in row for row in routing.experts[1].tolist()]
    whole = next(tiny_mixture.logits(tiny_mixture.ids(TEXT)))
    with inside.without_expert(tiny_mixture, 1, expert):
        less = next(tiny_mixture.logits(tiny_mixture.ids(TEXT)))
        again = inside.routing(tiny_mixture, TEXT)
    changed = [not np.array_equal(one, other) for one, other in zip(whole, less, strict=True)]
    assert changed == called, "layer 1 is the last: a token's logits change only if the token went through this expert"
    assert again.experts[1].tolist() == routing.experts[1].tolist(), "what is seen is what the router decided"
    assert (again.weights > 0).all()


def test_a_reply_is_read_where_it_was_asked(tiny_mixture):
    before = tiny_mixture.complete("ab", max_tokens=6)
    with inside.without_expert(tiny_mixture, 0, 1):
        unread, begun = tiny_mixture.complete("ab", max_tokens=6), iter(tiny_mixture.complete("ab", max_tokens=6))
        next(begun)
        with pytest.raises(BadRequest, match="Read a reply inside its own"):
            list(before)
    for reply in (unread, begun):
        with pytest.raises(BadRequest, match="Read a reply inside its own"):
            list(reply)
    assert tiny_mixture.complete("ab", max_tokens=2).tokens, "and the model answers as before"


def test_what_does_not_exist_is_refused(tiny_mixture):
    for layer, expert, words in (
        (0, 6, "no expert 6: layer 0 has experts 0 to 5"), (0, -1, "no expert -1"), (0, "3", "no expert '3'"),
        (2, 0, "no experts in layer 2. There are some in: .0, 1"),
    ):  # fmt: skip
        with pytest.raises(BadRequest, match=words), inside.without_expert(tiny_mixture, layer, expert):
            pytest.fail("the block was entered")
    with pytest.raises(BadRequest, match="empty"):
        inside.routing(tiny_mixture, "")


def test_who_has_no_experts_to_show_says_so(tiny_transformers, tiny_onnx, tmp_path):
    for model in (tiny_transformers, tiny_onnx):
        refused = "shows no experts.*tiny-moe.*engine='transformers'"
        with pytest.raises(BadRequest, match=refused):
            inside.routing(model, "a")
        with pytest.raises(BadRequest, match=refused), inside.without_expert(model, 0, 0):
            pytest.fail("the block was entered")
    hidden = Engine(replace(tiny_onnx.card, kind="moe"))
    for ask in (lambda: inside.untrained(tiny_onnx), lambda: inside.routing(hidden, "a")):
        with pytest.raises(BadRequest, match="engine='transformers'"):
            ask()
    with pytest.raises(BadRequest, match="shows no experts"):
        inside.routing(opened(tmp_path / "m", "jetmoe"), "a")


def test_the_untrained_twin_is_what_a_training_begins_with():
    from course.sparse import Recipe, new_model

    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with slmlab.load("tiny-moe") as model, inside.untrained(model, 0) as twin, inside.untrained(model, 1) as other:
        assert torch.equal(torch.rand(3), expected), "the reader's own chance is left alone"
        begun, made = new_model(Recipe()).state_dict(), twin._model.state_dict()
        assert begun.keys() == made.keys() and all(torch.equal(made[name], begun[name]) for name in begun)
        assert twin.name == "tiny-moe, untrained"
        assert twin.logprobs("abc") != other.logprobs("abc") != model.logprobs("abc")
        twin.close()
        with pytest.raises(SlmLabError, match=r"slmlab.load\('tiny-moe'\)"):
            inside.routing(twin, "abc")


# Records, with figures that can be counted by hand


def routed(text, first, second=None, layers=(0,), count=4) -> Routing:
    """A routing in which every layer does the same: the first and second expert of each letter."""
    second = second or [(one + 1) % count for one in first]
    experts = np.array([[list(pair) for pair in zip(first, second, strict=True)]] * len(layers))
    pieces = tuple(TokenPiece(ord(letter), letter) for letter in text)
    return Routing("tiny", count, layers, pieces, experts, np.full(experts.shape, 0.5))


def test_shares_count_every_choice_and_sum_to_one():
    both = [routed("ab", [0, 0], [1, 2]), routed("cd", [3, 0], [0, 3])]
    assert shares_by(["all", "all"], both, 0)["all"].tolist() == [4 / 8, 1 / 8, 1 / 8, 2 / 8]


def test_the_information_agrees_with_a_computation_by_hand():
    # label x: experts 0 0 1 1; label y: experts 0 0 0 0. H(label) = 1 bit; I = 0.3113 bits
    half = [routed("ab", [0, 1], [0, 1]), routed("cd", [0, 0], [0, 0])]
    assert information(["x", "y"], half, 0) == pytest.approx(0.31127812)


def test_a_label_may_stand_for_a_text_or_for_each_token():
    texts = [routed("a1", [0, 1], [0, 1]), routed("b2", [0, 1], [0, 1])]
    by_text, by_token = shares_by(["x", "y"], texts, 0), shares_by([kinds(one) for one in texts], texts, 0)
    assert by_text["x"].tolist() == [0.5, 0.5, 0, 0]
    assert by_token["letter"].tolist() == [1, 0, 0, 0] and by_token["digit"].tolist() == [0, 1, 0, 0]
    assert information([kinds(one) for one in texts], texts, 0) == pytest.approx(1.0)


def test_every_token_is_of_one_kind():
    wanted = {
        "letter": ("a", " the"), "capital": ("Z",), "digit": ("7",), "space": (" ", "\t", "    "), "line end": ("\n",),
        "bracket": ("(", " ("), "other sign": ("=",), "beyond ASCII": ("é", ""),
    }  # fmt: skip
    assert all({kind_of(text) for text in texts} == {kind} for kind, texts in wanted.items())


def test_a_layer_without_experts_has_no_shares():
    for ask in (routed("ab", [0, 1]).first, lambda layer: shares_by(["x"], [routed("ab", [0, 1])], layer)):
        with pytest.raises(BadRequest, match="no experts in layer 7"):
            ask(7)
