import json
from contextlib import suppress

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from audiotok.training.calibration import Calibration

SIGMOID = Calibration("sigmoid", (0.5, 2.0), (0.0, -1.0), (0.3, 0.7))
SOFTMAX = Calibration("softmax", (2.0, 2.0), (0.0, 0.0), (0.6, 0.8))
LOGITS = torch.tensor([[0.0, 1.0], [-3.0, 2.0], [4.0, 0.1]])


def test_the_plain_map_leaves_logits_as_they_are():
    assert torch.equal(Calibration.plain(2).probabilities(LOGITS), LOGITS.sigmoid())
    assert torch.equal(Calibration.plain(2, "softmax").probabilities(LOGITS), LOGITS.softmax(-1))
    assert Calibration.plain(2, threshold=0.1).thresholds == (0.1, 0.1)


def test_each_class_has_a_scale_and_an_offset():
    expected = torch.stack([(0.5 * LOGITS[:, 0]).sigmoid(), (2 * LOGITS[:, 1] - 1).sigmoid()], 1)
    torch.testing.assert_close(SIGMOID.probabilities(LOGITS), expected)
    torch.testing.assert_close(SOFTMAX.probabilities(LOGITS), (2 * LOGITS).softmax(-1))
    assert SIGMOID.probabilities(LOGITS.half()).dtype == torch.float32


def test_with_sigmoid_any_number_of_classes_is_heard_or_none():
    probabilities = torch.tensor([[0.4, 0.8], [0.4, 0.7], [0.3, 0.7]])
    assert SIGMOID.heard(probabilities).tolist() == [[True, True], [True, False], [False, False]]


def test_with_softmax_the_most_probable_class_is_heard_or_none():
    probabilities = torch.tensor([[0.7, 0.3], [0.25, 0.75], [0.1, 0.9]])
    assert SOFTMAX.heard(probabilities).tolist() == [[True, False], [False, False], [False, True]]
    low = Calibration.plain(3, "softmax", 0.2)
    assert low.heard(torch.tensor([0.3, 0.4, 0.3])).tolist() == [False, True, False]


@pytest.mark.parametrize("calibration", [SIGMOID, SOFTMAX])
def test_it_is_read_as_it_was_written(calibration):
    assert Calibration.from_dict(json.loads(json.dumps(calibration.as_dict())), 2) == calibration


@pytest.mark.parametrize(
    "change",
    [
        {"activation": "tanh"}, {"activation": None}, {"activation": []}, {"scale": [1.0]}, {"scale": "11"},
        {"scale": [1.0, 0.0]}, {"scale": [1.0, True]}, {"offset": [1.0, "2"]},
        {"offset": [1.0, float("nan")]},
        {"offset": [1.0, float("inf")]}, {"offset": None}, {"thresholds": [0.5, 1.5]},
        {"thresholds": [0.5, -0.5]}, {"scale": [10**400, 1]},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_damaged_is_refused(change):
    with pytest.raises(ValueError, match=r"."):
        Calibration.from_dict({**SIGMOID.as_dict(), **change}, 2)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(["activation", "scale", "offset", "thresholds"]), json_values))
def test_whatever_a_file_holds_gives_a_calibration_or_a_value_error(content):
    with suppress(ValueError):
        assert len(Calibration.from_dict({**SIGMOID.as_dict(), **content}, 2).scale) == 2
