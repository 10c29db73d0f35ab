"""The control, against scikit-learn."""

import pytest
import torch
from sklearn.kernel_ridge import KernelRidge

from audiotok.doctor.control import RIDGE, control, least_squares


def test_least_squares_are_scikit_learn_s_ridge_regression():
    torch.manual_seed(0)
    known, asked, targets = torch.rand(30, 50), torch.rand(9, 50), (torch.rand(30, 3) < 0.3).float()
    mean = known.mean(0)
    centred = (known - mean).double().numpy()
    alpha = RIDGE * float((centred**2).sum(1).mean())
    ridge = KernelRidge(alpha=alpha).fit(centred, (targets - targets.mean(0)).double().numpy())
    expected = torch.from_numpy(ridge.predict((asked - mean).double().numpy()))
    torch.testing.assert_close(least_squares(known, targets, asked), expected)


@pytest.mark.parametrize(("signal", "state"), [(2.0, "good"), (0.0, "bad")])
def test_the_control_is_good_where_words_are_of_the_labels_alone(signal, state):
    generator = torch.Generator().manual_seed(0)
    targets = (torch.rand(160, 4, generator=generator) < 0.3).float()
    words = torch.rand(160, 40, generator=generator)
    words[:, :4] += signal * targets
    found = control((words[:80], targets[:80]), (words[80:], targets[80:]), 0.3, 10, generator)
    assert found.state == state
