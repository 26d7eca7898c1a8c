"""The exercises of lesson 11: the size of a LoRA, exact answers, the loss of DPO."""

import math

import numpy as np

from course.exercises.registry import exercise


@exercise("tune-1", told="for {rows} × {columns} and rank {rank} it gave {value:,.0f}",
          otherwise=", and {right:,.0f} is right", cases=[(576, 1536, 8), (576, 576, 1)], mistakes=[
    ("that makes it larger than the matrix", lambda rows, columns, rank: rows * columns * rank),
    ("that is one of the two thin matrices", lambda rows, columns, rank: rank * columns),
    ("that is one of the two thin matrices", lambda rows, columns, rank: rank * rows),
])  # fmt: skip
def lora_size(rows, columns, rank):
    return rank * rows + columns * rank


_RIGHT = np.array([[-100, -100, 7, 4, 2], [-100, 5, 5, 2, -100], [-100, 9, 2, -100, -100]])
_ALL = np.where(_RIGHT == -100, 3, _RIGHT)
_ONE = _ALL.copy()
_ONE[1, 2] = 6


@exercise("tune-2", told="{why} it gave {value:.2g}", cases=[
    (_ALL, _RIGHT, "where every place that is asked is right"),
    (_ONE, _RIGHT, "where one place of the second row is wrong"),
    (np.full_like(_ALL, 3), _RIGHT, "where nothing is right"),
], mistakes=[
    ("that counts places, and those that aren't asked as well", lambda likeliest, labels: np.mean(likeliest == labels)),
    ("that asks the places of the question too; where `labels` is -100, anything will do",
     lambda likeliest, labels: np.mean((likeliest == labels).all(axis=1))),
    ("that is the share of places; a row with one wrong place is wrong",
     lambda likeliest, labels: np.mean((likeliest == labels)[labels != -100])),
])  # fmt: skip
def exact(likeliest, labels):
    fine = (likeliest == labels) | (labels == -100)
    return fine.all(axis=1).mean()


@exercise("tune-3", told="{why} it gave {value:.3g}", otherwise=", and {right:.3g} is right", cases=[
    ([0.0], [0.0], 0.1, "where nothing has changed"),
    ([2.0, 5.0], [-3.0, 1.0], 0.5, "where both pairs have gained"),
    ([-4.0], [3.0], 1.0, "where the worse answer has gained"),
], mistakes=[
    ("good and bad have changed places", lambda good, bad, beta: dpo_loss(bad, good, beta)),
    ("beta is missing", lambda good, bad, beta: dpo_loss(good, bad, 1.0)),
    ("that is the sum, and the mean is wanted", lambda good, bad, beta: dpo_loss(good, bad, beta) * len(good)),
])  # fmt: skip
def dpo_loss(good, bad, beta):
    gained = [beta * (one - other) for one, other in zip(good, bad, strict=True)]
    return sum(math.log(1 + math.exp(-each)) for each in gained) / len(gained)
