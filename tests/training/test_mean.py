import pytest
import torch

from audiotok.training.metrics import Mean


def test_a_mean_is_weighted_by_what_it_is_of():
    mean = Mean()
    mean.update(torch.tensor(1.0), 9)
    mean.update(torch.tensor(5.0), torch.tensor(1))
    assert mean.compute().item() == pytest.approx(1.4)
    mean.reset()
    mean.update(torch.tensor(2.0), 3)
    assert mean.compute().item() == 2
