"""How a learning rate is judged by the losses at its multiples."""

import math

import pytest

from audiotok.doctor.short_training import FACTORS, judge


@pytest.mark.parametrize(
    ("relative", "state", "words"),
    [
        ((0.9, 0.7, 0.8), "good", ""),
        ((0.99, 0.97, 0.6), "good", ""),
        ((0.9, 1.5, 40.0), "bad", "Lower optimizer.lr"),
        ((0.9, math.inf, math.inf), "bad", "Lower optimizer.lr"),
        ((0.9, math.nan, 1.0), "bad", "Lower optimizer.lr"),
        ((0.7, 0.95, 1.4), "doubtful", "A tenth of optimizer.lr"),
        ((1.0, 0.999, 0.7), "doubtful", "Ten times optimizer.lr"),
        ((1.0, 1.0, 1.0), "doubtful", "No rate learns"),
    ],
)
def test_a_learning_rate_is_judged_by_its_multiples(relative, state, words):
    found, advice = judge(dict(zip(FACTORS, relative, strict=True)))
    assert found == state
    assert advice.startswith(words)
