"""sampling: the arithmetic of the next token, held against Transformers' own."""

import numpy as np
import pytest

from slmlab.errors import BadRequest
from slmlab.records import Sampling
from slmlab.sampling import Chooser, filter_probabilities, log_softmax, penalise_repeats, penalise_written, softmax

LOGITS = np.random.default_rng(7).normal(size=500).astype(np.float32) * 3


def test_softmax_survives_huge_logits():
    assert softmax(np.array([1e30, 0.0], dtype=np.float64)).tolist() == [1.0, 0.0]
    assert np.allclose(np.exp(log_softmax(LOGITS)), softmax(LOGITS))


def test_the_filters_agree_with_transformers():
    import torch
    from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

    warm = TemperatureLogitsWarper(0.7)(None, torch.tensor(LOGITS[None]))
    for settings in ({"top_k": 5}, {"top_p": 0.8}, {"top_k": 40, "top_p": 0.9}, {"top_p": 1e-6}):
        scores = TopKLogitsWarper(settings.get("top_k", len(LOGITS)))(None, warm)
        scores = TopPLogitsWarper(settings.get("top_p", 1.0))(None, scores)
        found = filter_probabilities(LOGITS, Sampling(temperature=0.7, **settings))
        assert np.allclose(found, scores.softmax(-1)[0].numpy(), atol=1e-6), settings


def test_the_repetition_penalty_agrees_with_transformers():
    import torch
    from transformers import RepetitionPenaltyLogitsProcessor

    seen = [3, 3, 10, 499]
    expected = RepetitionPenaltyLogitsProcessor(1.3)(torch.tensor([seen]), torch.tensor(LOGITS[None].copy()))[0].numpy()
    assert np.allclose(penalise_repeats(LOGITS, seen, 1.3), expected)


def test_temperature_zero_ignores_the_seed_and_a_tiny_one_is_as_good():
    assert {Chooser(Sampling(seed=seed)).choose(LOGITS, []) for seed in range(5)} == {int(LOGITS.argmax())}
    for temperature in (1e-320, 1e-12):
        found = filter_probabilities(LOGITS, Sampling(temperature=temperature))
        assert found.argmax() == LOGITS.argmax() and found.max() == 1.0 and np.isfinite(found).all()


def test_a_seed_repeats_the_choices_and_another_changes_them():
    def draw(seed):
        chooser = Chooser(Sampling(temperature=1.5, seed=seed))
        return [chooser.choose(LOGITS, []) for _ in range(20)]

    assert draw(1) == draw(1) != draw(2)


def test_drawn_tokens_follow_the_probabilities():
    chooser = Chooser(Sampling(temperature=1.0, seed=0))
    logits = np.log(np.array([0.5, 0.3, 0.2]))
    counts = np.bincount([chooser.choose(logits, []) for _ in range(4000)], minlength=3) / 4000
    assert np.allclose(counts, [0.5, 0.3, 0.2], atol=0.03)


def test_nothing_left_to_choose_is_an_error_that_names_the_scorer():
    for broken in (np.full(4, -np.inf), np.array([0.0, np.nan])):
        with pytest.raises(BadRequest, match="scorer"):
            Chooser(Sampling()).choose(broken, [])


def test_a_penalty_counts_how_often_or_whether_a_token_was_written():
    logits, written = np.zeros(3, np.float32), [1, 1, 2]
    assert penalise_written(logits, written, 0.5, 0).tolist() == [0, -1, -0.5]
    assert penalise_written(logits, written, 0, 0.5).tolist() == [0, -0.5, -0.5]
    asked = Sampling(frequency_penalty=2.0)
    assert Chooser(asked).choose(np.array([0.5, 2.0, 0.0]), [1, 1], [1, 1]) == 0 and not Chooser(asked).is_greedy
