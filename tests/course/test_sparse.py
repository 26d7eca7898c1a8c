"""The balance loss by hand, steps that a seed repeats, a recipe that makes no sense."""

import numpy as np
import pytest
import torch

from course.sparse import BEGIN, Recipe, Training, balance_loss, batch_of, new_model
from slmlab.errors import BadRequest

SMALL = {"steps": 20, "batch": 4, "length": 16, "layers": 2, "width": 64, "experts": 4, "warm_up": 2}
TEXTS = {"letters": np.frombuffer(b"abcdefgh" * 50, np.uint8), "digits": np.frombuffer(b"0123456789" * 50, np.uint8)}
pytestmark = pytest.mark.usefixtures("one_thread")


def test_the_balance_loss_is_1_when_the_work_is_even_and_grows_to_half_the_experts():
    even = torch.stack([torch.roll(torch.tensor([9.0, 9.0, -9.0, -9.0]), turn) for turn in range(4)])
    left, right = torch.tensor([[9.0, 9.0, -9.0, -9.0]] * 4), torch.tensor([[-9.0, -9.0, 9.0, 9.0]] * 4)
    for layers, loss, why in (
        ([even], 1.0, "evenly spread"),
        ([left], 2.0, "two of four experts do everything"),
        ([even, left], 1.5, "layers are not pooled"),
        ([left, right], 2.0, "layers that lean opposite ways do not hide each other"),
    ):
        assert balance_loss(layers) == pytest.approx(loss, abs=1e-4), why


def test_a_batch_has_as_many_texts_of_each_domain_and_depends_on_the_step_alone():
    recipe = Recipe(**SMALL)
    rows = batch_of(TEXTS, recipe, 3)
    assert rows.shape == (4, 17) and (rows[:, 0] == BEGIN).all()
    assert [chr(row[1]).isdigit() for row in rows.tolist()] == [False, True, False, True]
    assert torch.equal(rows, batch_of(TEXTS, recipe, 3)) and not torch.equal(rows, batch_of(TEXTS, recipe, 4))


def test_it_learns_tells_what_its_experts_did_and_does_the_same_again():
    runs = [Training(Recipe(**SMALL, learning_rate=0.01), TEXTS) for _ in range(2)]
    moments, again = ([one.advance() for _ in range(8)] for one in runs)
    assert moments[-1].bits_per_byte < moments[0].bits_per_byte - 1
    assert moments[-1].step == 8 and np.allclose(moments[-1].load.sum(axis=1), [1, 1])
    assert [one.bits_per_byte for one in moments] == [one.bits_per_byte for one in again]


def test_the_dense_opponent_has_no_experts_and_the_active_size():
    moment = Training(Recipe(**SMALL, dense=True), TEXTS).advance()
    assert moment.load is None and moment.balance is None
    dense = sum(one.numel() for one in new_model(Recipe(dense=True)).parameters())
    assert dense == pytest.approx(1_590_144, rel=0.01), "tiny-moe's active parameters: router and norms differ"


def test_a_loss_that_is_no_number_ends_the_training():
    training = Training(Recipe(**SMALL), TEXTS)
    training.model.lm_head.weight.data.fill_(float("inf"))
    with pytest.raises(BadRequest, match="no number any more"):
        training.advance()
