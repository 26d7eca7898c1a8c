"""engines/experts: what routers decide, against a computation by hand; experts switched off; who is refused."""

import numpy as np
import pytest
import torch

from course import inside
from course.inside import experts
from slmlab.catalog import card_of_folder
from slmlab.engines.transformers import TransformersEngine
from slmlab.errors import BadRequest, NotHere, SlmLabError
from tests.conftest import MIXTURES, write_tiny_model

TEXT = "def f(x):\n  return x é"


def inputs_of(model, path):
    """What a module of the model is given while TEXT is read."""
    seen = []
    module = model._model.get_submodule(path)
    hook = module.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach().clone()))
    inside.routing(model, TEXT)
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


@pytest.mark.parametrize("noise", [0.01, 0.3])
def test_phis_choices_and_weights_are_those_computed_by_hand(tmp_path, noise):
    folder = write_tiny_model(tmp_path / "m", "phimoe", seed=3)
    config = folder / "config.json"
    config.write_text(config.read_text().replace('"router_jitter_noise": 0.3', f'"router_jitter_noise": {noise}'))
    model = TransformersEngine(card_of_folder(folder), folder)
    routing = inside.routing(model, TEXT)
    sums = set()
    for layer in routing.layers:
        block = model._model.model.layers[layer].mlp
        scores = inputs_of(model, f"model.layers.{layer}.mlp").double() @ block.router.weight.double().T
        for token, row in enumerate(scores.detach().numpy()):
            chosen, weights = phi_routes(row, noise)
            assert routing.experts[layer, token].tolist() == chosen
            assert routing.weights[layer, token].tolist() == pytest.approx(weights, abs=1e-4)
            sums.add(round(sum(weights), 2))
    assert len(sums) > 1, "the two weights have softmaxes of their own and need not add up to 1"


def test_a_layers_output_is_its_experts_outputs_times_these_weights(tiny_mixture):
    routing = inside.routing(tiny_mixture, TEXT)
    block = tiny_mixture._model.model.layers[1].mlp
    inputs = inputs_of(tiny_mixture, "model.layers.1.mlp")
    with torch.inference_mode():
        found = block(inputs[None])[0]
        for token, given in enumerate(inputs):
            expected = torch.zeros_like(given)
            for expert, weight in zip(routing.experts[1, token], routing.weights[1, token], strict=True):
                gate, up = (block.experts.gate_up_proj[expert] @ given).chunk(2)
                expected += float(weight) * (block.experts.down_proj[expert] @ (torch.nn.functional.silu(gate) * up))
            assert torch.allclose(found[token], expected, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("family", sorted(set(MIXTURES) - {"jetmoe"}))
def test_any_family_is_watched_by_the_same_call(family, tmp_path):
    folder = write_tiny_model(tmp_path / "m", family)
    model = TransformersEngine(card_of_folder(folder), folder)
    routing = inside.routing(model, TEXT)
    config = model._model.config
    used, layers = config.num_experts_per_tok, (1,) if family == "deepseek_v3" else (0, 1)
    assert routing.layers == layers, "DeepSeek's first layer is dense"
    assert routing.experts.shape == (len(layers), len(TEXT.encode()), used)
    counts = [MIXTURES[family].get(name) for name in ("num_local_experts", "num_experts", "n_routed_experts")]
    assert routing.expert_count in counts
    assert family == "phimoe" or (np.diff(routing.weights, axis=-1) <= 0).all(), "the one that counts most comes first"
    assert 0 <= routing.experts.min() and routing.experts.max() < routing.expert_count
    assert routing.text == TEXT and (routing.weights > 0).all()
    before = model.logprobs(TEXT)
    with inside.without_expert(model, layers[-1], range(routing.expert_count)):
        assert model.logprobs(TEXT) != before
    assert model.logprobs(TEXT) == before


def test_a_character_of_two_tokens_has_its_text_at_the_second(tiny_mixture):
    assert [piece.text for piece in inside.routing(tiny_mixture, "é!").pieces] == ["", "é", "!"]


def test_what_a_tokenizer_adds_is_no_part_of_the_text():
    import slmlab

    with slmlab.load("tiny-moe") as model:
        assert len(model.format.ids("ab")) == 3
        routing = inside.routing(model, "ab")
        assert [piece.text for piece in routing.pieces] == ["a", "b"]
        assert routing.experts.shape == (4, 2, 2)


def test_an_expert_may_be_named_by_a_number_of_numpy(tiny_mixture):
    first = inside.routing(tiny_mixture, TEXT).experts[1, 0, 0]
    with inside.without_expert(tiny_mixture, np.int64(1), first), inside.without_expert(tiny_mixture, 0, np.array([0, 1])):
        assert tiny_mixture.logprobs(TEXT)


def test_marks_of_a_chat_keep_their_text(tiny_mixture):
    prompt = tiny_mixture.prompt("hi")
    routing = inside.routing(tiny_mixture, prompt)
    assert routing.text == prompt and routing.pieces[0].text == "<|user|>"


def test_an_expert_switched_off_is_missed_where_it_was_called_and_nowhere_else(tiny_mixture):
    routing = inside.routing(tiny_mixture, TEXT)
    called = [expert in row for row in routing.experts[1].tolist() for expert in [int(routing.experts[1, 0, 0])]]
    expert = int(routing.experts[1, 0, 0])
    whole = tiny_mixture._forward(tiny_mixture.format.ids(TEXT)).logits[0]
    with inside.without_expert(tiny_mixture, 1, expert):
        less = tiny_mixture._forward(tiny_mixture.format.ids(TEXT)).logits[0]
    changed = [not torch.equal(one, other) for one, other in zip(whole, less, strict=True)]
    assert changed == called, "layer 1 is the last: a token's logits change only if the token went through this expert"


def test_without_its_experts_a_layer_adds_nothing(tiny_mixture):
    with inside.without_expert(tiny_mixture, 0, range(6)):
        block = tiny_mixture._model.model.layers[0].mlp
        assert torch.equal(block(torch.randn(1, 3, 64)), torch.zeros(1, 3, 64))


def test_what_the_lesser_model_cached_is_not_kept_for_the_whole_one(tiny_mixture):
    list(tiny_mixture.complete("ab", max_tokens=6))
    assert tiny_mixture._cached_session is not None, "the whole model keeps its own for the next turn"
    with inside.without_expert(tiny_mixture, 0, [0, 1, 2]):
        assert tiny_mixture._cached_session is None
        assert len(list(tiny_mixture.complete("ab", max_tokens=6))) >= 1 and tiny_mixture._cached_session is not None
    assert tiny_mixture._cached_session is None


def test_a_reply_is_read_where_it_was_asked(tiny_mixture):
    before = tiny_mixture.complete("ab", max_tokens=6)
    with inside.without_expert(tiny_mixture, 0, [0, 1, 2]):
        unread, begun = tiny_mixture.complete("ab", max_tokens=6), iter(tiny_mixture.complete("ab", max_tokens=6))
        next(begun)
        with pytest.raises(BadRequest, match="Read a reply inside the block"):
            list(before)
    for reply in (unread, begun):
        with pytest.raises(BadRequest, match="Read a reply inside the block"):
            list(reply)
    assert list(tiny_mixture.complete("ab", max_tokens=2)), "and the model answers as before"


def test_other_threads_ask_inside_the_block_as_well(tiny_mixture):
    from concurrent.futures import ThreadPoolExecutor

    with inside.without_expert(tiny_mixture, 0, 3), ThreadPoolExecutor(2) as pool:
        assert len(list(pool.map(lambda text: inside.routing(tiny_mixture, text), ["a", "b"], timeout=30))) == 2


def test_a_block_left_from_another_thread_is_left(tiny_mixture):
    import threading

    def block():
        with inside.without_expert(tiny_mixture, 0, range(6)):
            yield

    before, held = tiny_mixture.logprobs(TEXT), block()
    next(held)
    leaver = threading.Thread(target=held.close)
    leaver.start()
    leaver.join(timeout=10)
    assert not leaver.is_alive() and tiny_mixture.logprobs(TEXT) == before


def test_what_the_router_decided_is_seen_also_where_an_expert_is_silent(tmp_path):
    folder = write_tiny_model(tmp_path / "m", "mixtral")
    model = TransformersEngine(card_of_folder(folder), folder)
    routing = inside.routing(model, TEXT)
    with inside.without_expert(model, 1, int(routing.experts[1, 0, 0])):
        again = inside.routing(model, TEXT)
    assert again.experts.tolist() == routing.experts.tolist() and (again.weights > 0).all()


def test_closing_waits_for_what_is_under_way_and_refuses_the_rest(tmp_path):
    import threading

    folder = write_tiny_model(tmp_path / "m", "phimoe")
    model, faults = TransformersEngine(card_of_folder(folder), folder), []

    def ask():
        try:
            while True:
                inside.routing(model, TEXT)
        except Exception as fault:  # whatever it is, it is looked at below
            faults.append(fault)

    asker = threading.Thread(target=ask)
    asker.start()
    model.close()
    asker.join(timeout=10)
    assert [type(fault) for fault in faults] == [SlmLabError] and "was closed" in str(faults[0])


def test_to_switch_nobody_off_changes_nothing(tiny_mixture):
    before = tiny_mixture.logprobs(TEXT)
    with inside.without_expert(tiny_mixture, 0, []):
        assert tiny_mixture.logprobs(TEXT) == before


def test_after_a_fault_inside_the_expert_works_again(tiny_mixture):
    before = tiny_mixture.logprobs(TEXT)
    with pytest.raises(KeyError), inside.without_expert(tiny_mixture, 0, 0):
        raise KeyError("the reader's own")
    assert tiny_mixture.logprobs(TEXT) == before


@pytest.mark.parametrize(
    ("layer", "expert", "says"),
    [
        (0, 6, "no expert 6: layer 0 has experts 0 to 5"), (0, -1, "no expert -1"), (0, True, "no expert True"),
        (0, "3", "no expert '3'"), (2, 0, "no experts in layer 2. There are some in: 0, 1"), (None, 0, "layer None"),
        (0, 1.0, "no expert 1.0"), (True, 0, "layer True"), ([0], 1, "layer \\[0\\]"), (0, None, "no expert None"),
    ],
)  # fmt: skip
def test_an_expert_that_does_not_exist_is_refused(tiny_mixture, layer, expert, says):
    with pytest.raises(BadRequest, match=says), inside.without_expert(tiny_mixture, layer, expert):
        pytest.fail("the block was entered")


def test_a_dense_model_has_no_routing_and_says_so(tiny_transformers):
    for ask in (lambda: inside.routing(tiny_transformers, "a"), lambda: inside.without_expert(tiny_transformers, 0, 0).__enter__()):
        with pytest.raises(BadRequest, match="no mixture of experts.*tiny-moe"):
            ask()


def test_an_engine_that_shows_no_routing_says_which_one_does(tiny_onnx):
    with pytest.raises(BadRequest, match="no mixture of experts.*tiny-moe"):
        inside.routing(tiny_onnx, "a")
    from dataclasses import replace

    from slmlab.engines.base import Engine

    with pytest.raises(BadRequest, match="no mixture"):
        inside.without_expert(tiny_onnx, 0, 1)
    with pytest.raises(BadRequest, match="engine='transformers'"):
        inside.untrained(tiny_onnx)
    engine = Engine(replace(tiny_onnx.card, kind="moe"))
    with pytest.raises(BadRequest, match="engine='transformers'"):
        inside.routing(engine, "a")


def test_a_family_that_does_not_say_whom_it_calls_is_named(tmp_path):
    folder = write_tiny_model(tmp_path / "m", "jetmoe")
    model = TransformersEngine(card_of_folder(folder), folder)
    with pytest.raises(BadRequest, match="JetMoe.* is a mixture of experts whose code doesn't say"):
        inside.routing(model, "a")


def test_layers_that_use_different_numbers_of_experts_are_told_apart(tiny_mixture, monkeypatch):
    ranked = experts.ranked

    def fewer_once(choices, weights, family, seen=[]):  # noqa: B006 - it remembers that it was called
        seen.append(1)
        cut = slice(None, 1 if len(seen) == 1 else None)
        return ranked(choices[:, cut], weights[:, cut], family)

    monkeypatch.setattr(experts, "ranked", fewer_once)
    with pytest.raises(BadRequest, match="more experts in some layers"):
        inside.routing(tiny_mixture, "abc")


def test_a_text_that_is_empty_or_too_long_is_refused(tiny_mixture):
    with pytest.raises(BadRequest, match="empty"):
        inside.routing(tiny_mixture, "")
    with pytest.raises(BadRequest, match="256"):
        inside.routing(tiny_mixture, "x" * 256)


def test_weights_that_are_no_numbers_are_named_wherever_they_show(tmp_path):
    from safetensors.torch import load_file, save_file

    folder = write_tiny_model(tmp_path / "m", "phimoe")
    tensors = load_file(folder / "model.safetensors")
    tensors["model.layers.0.block_sparse_moe.gate.weight"][0, 0] = float("nan")
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    model = TransformersEngine(card_of_folder(folder), folder)
    asks = (
        lambda text: inside.routing(model, text), model.logprobs, lambda text: model.complete(text, max_tokens=2).text,
        lambda text: model.complete(text, max_tokens=2, beams=2).text,
    )  # fmt: skip
    for ask in asks:
        with pytest.raises(NotHere, match="NaN.*damaged"):
            ask("abc")


def test_infinite_weights_are_named_as_well(tmp_path):
    from safetensors.torch import load_file, save_file

    folder = write_tiny_model(tmp_path / "m", "phimoe")
    tensors = load_file(folder / "model.safetensors")
    tensors["lm_head.weight"][:, 0] = float("inf")
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(NotHere, match="infinite"):
        TransformersEngine(card_of_folder(folder), folder).logprobs("abc")


@pytest.mark.parametrize(
    "change",
    [
        {"num_local_experts": "16"}, {"vocab_size": 100}, {"num_attention_heads": 0}, {"hidden_act": "zzz"},
        {"num_hidden_layers": 1}, {"num_local_experts": 3}, {"model_type": "mixtral"},
    ],
)  # fmt: skip
def test_a_configuration_that_does_not_fit_its_weights_is_refused(tmp_path, change):
    import json

    folder = write_tiny_model(tmp_path / "m", "phimoe")
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(settings | change))
    with pytest.raises(NotHere, match="Fetch it again"):
        TransformersEngine(card_of_folder(folder), folder).logprobs("abc")


def test_a_tokenizer_of_another_model_is_named(tmp_path, tiny_mixture):
    folder = write_tiny_model(tmp_path / "m", "phimoe")
    model = TransformersEngine(card_of_folder(folder), folder)
    model._model_vocabulary = 50
    with pytest.raises(NotHere, match="of different models"):
        inside.routing(model, "abc")


def test_tensors_that_are_missing_are_not_made_up(tmp_path):
    from safetensors.torch import load_file, save_file

    folder = write_tiny_model(tmp_path / "m", "phimoe")
    tensors = load_file(folder / "model.safetensors")
    gone = [name for name in tensors if "layers.1" in name and "experts" in name]
    save_file({name: one for name, one in tensors.items() if name not in gone}, folder / "model.safetensors")
    with pytest.raises(NotHere, match=r"lacks \d+ of the model's tensors.*layers.1.*cut short"):
        TransformersEngine(card_of_folder(folder), folder)


def test_a_text_without_tokens_is_refused(tiny_mixture, monkeypatch):
    monkeypatch.setattr(tiny_mixture.format, "own_places", lambda text: [])
    with pytest.raises(BadRequest, match="no tokens"):
        inside.routing(tiny_mixture, "a")


def test_a_twin_that_does_not_fit_is_refused_before_it_is_made(tiny_mixture, monkeypatch):
    from slmlab.catalog import card

    monkeypatch.setattr(tiny_mixture, "card", card("phi-3.5-moe"))
    monkeypatch.setattr("slmlab.engines.transformers.will_it_fit", lambda *_, **__: [Fit()])
    with pytest.raises(NotHere, match="begins in fp32. Too large."):
        inside.untrained(tiny_mixture)


class Fit:
    fits_ram, sentence = False, "Too large."


def test_the_untrained_twin_is_what_a_training_begins_with():
    import slmlab
    from course.sparse import Recipe, new_model

    with slmlab.load("tiny-moe") as model, inside.untrained(model, 0) as twin, inside.untrained(model, 1) as other:
        begun = new_model(Recipe()).state_dict()
        assert all(torch.equal(value, begun[name]) for name, value in twin._model.state_dict().items())
        assert twin.name == "tiny-moe, untrained" and len(begun) == len(twin._model.state_dict())
        assert twin.logprobs("abc") != other.logprobs("abc") != model.logprobs("abc")
        for wrong in (-1, 2**64, "a", True):
            with pytest.raises(BadRequest, match="whole number"):
                inside.untrained(model, wrong)
        twin.close()
        with pytest.raises(SlmLabError, match=r"slmlab.load\('tiny-moe'\)"):
            inside.routing(twin, "abc")


def test_making_a_twin_leaves_the_readers_own_chance_alone(tiny_mixture):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    inside.untrained(tiny_mixture, 0).close()
    assert torch.equal(torch.rand(3), expected)


def test_the_hooks_are_gone_afterwards(tiny_mixture):
    inside.routing(tiny_mixture, "abc")
    assert not any(module._forward_pre_hooks for module in experts.experts_in(tiny_mixture._model).values())


def test_phi_3_5_moes_own_configuration_is_read_and_routed(tmp_path):
    """The fields of the published config.json, with small sizes: scaled positions, biases, and code that is not run."""
    import json

    folder = write_tiny_model(tmp_path / "m", "phimoe")
    half = 64 // 4 // 2
    settings = json.loads((folder / "config.json").read_text())
    settings.pop("rope_parameters", None)
    settings |= {
        "auto_map": {"AutoModelForCausalLM": "modeling_phimoe.PhiMoEForCausalLM"}, "rope_theta": 10000.0,
        "attention_bias": True, "lm_head_bias": True, "max_position_embeddings": 512,
        "original_max_position_embeddings": 256, "rope_scaling": {
            "type": "longrope", "short_factor": [1.0] * half, "long_factor": [2.0] * half,
            "short_mscale": 1.24, "long_mscale": 1.24, "original_max_position_embeddings": 256,
        },
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(settings))
    from transformers import AutoConfig, AutoModelForCausalLM

    AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder)).save_pretrained(tmp_path / "weights")
    (tmp_path / "weights" / "model.safetensors").replace(folder / "model.safetensors")
    card = card_of_folder(folder)
    model = TransformersEngine(card, folder)
    assert card.kind == "moe" and card.parameters == sum(one.numel() for one in model._model.parameters())
    assert inside.routing(model, TEXT).experts.shape == (2, len(TEXT.encode()), 2)
