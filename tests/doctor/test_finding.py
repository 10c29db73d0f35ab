import math

import pytest

from audiotok.doctor.finding import graded, worst


@pytest.mark.parametrize(
    ("value", "doubtful", "bad", "state"),
    [
        (0.1, 0.2, 0.5, "good"),
        (0.2, 0.2, 0.5, "doubtful"),
        (0.5, 0.2, 0.5, "bad"),
        (0.9, 0.8, 0.5, "good"),
        (0.8, 0.8, 0.5, "doubtful"),
        (0.5, 0.8, 0.5, "bad"),
        (math.nan, 0.2, 0.5, "bad"),
        (math.nan, 0.8, 0.5, "bad"),
        (math.inf, 0.2, 0.5, "bad"),
    ],
)
def test_limits_count_as_reached(value, doubtful, bad, state):
    assert graded(value, doubtful, bad) == state


def test_one_bad_state_makes_all_bad():
    assert worst("good", "bad", "doubtful") == "bad"
    assert worst("good", "doubtful") == "doubtful"
    assert worst("good") == "good"
