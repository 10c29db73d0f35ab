import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss
from torch import Tensor
from torch.nn import functional as F

from audiotok.errors import UserError
from audiotok.training.loss import BCE


def batch(n_clips: int = 6, n_classes: int = 4, seed: int = 1) -> tuple[Tensor, Tensor]:
    """Draw logits (B, C) and labels (B, C)."""
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(n_clips, n_classes, generator=generator)
    return logits, (torch.rand(n_clips, n_classes, generator=generator) < 0.4).float()


batches = st.builds(batch, st.integers(1, 8), st.integers(1, 5), st.integers(0, 10**6))


@settings(max_examples=25)
@given(drawn=batches, training=st.booleans())
def test_the_loss_is_the_mean_of_scikit_learns_log_loss_of_every_class(drawn, training):
    logits, targets = drawn
    probabilities = logits.double().sigmoid().numpy()
    expected = np.mean(
        [log_loss(targets[:, c].numpy(), probabilities[:, c], labels=[0, 1]) for c in range(logits.shape[1])]
    )
    assert BCE(0.0)(logits, targets, training).item() == pytest.approx(expected, rel=1e-4, abs=1e-6)


@settings(max_examples=25)
@given(drawn=batches, smoothing=st.sampled_from([0.0, 0.1, 0.5, 0.9]))
def test_smoothing_replaces_a_share_of_the_target_by_one_half_in_training_only(drawn, smoothing):
    logits, targets = drawn
    smooth = torch.where(targets > 0.5, 1 - smoothing / 2, smoothing / 2)
    expected = F.binary_cross_entropy(logits.double().sigmoid(), smooth.double())
    loss = BCE(smoothing)
    assert loss(logits, targets, True).item() == pytest.approx(expected.item(), rel=1e-4)
    assert torch.equal(loss(logits, targets, False), F.binary_cross_entropy_with_logits(logits, targets))


def test_without_smoothing_training_and_validation_have_one_loss():
    assert torch.equal(BCE(0.0)(*batch(), True), BCE(0.0)(*batch(), False))


def test_targets_may_be_soft():
    logits, targets = batch()
    soft = 0.3 * targets + 0.7 * targets.flip(0)
    expected = 0.3 * BCE(0.1)(logits, targets, True) + 0.7 * BCE(0.1)(logits, targets.flip(0), True)
    torch.testing.assert_close(BCE(0.1)(logits, soft, True), expected)


def test_targets_stay_as_they_are():
    logits, targets = batch()
    BCE(0.1)(logits, targets, True)
    assert torch.equal(targets, batch()[1])


def test_smoothed_targets_are_best_met_at_their_own_probability():
    logit = torch.tensor(0.95).logit().reshape(1, 1).requires_grad_()
    BCE(0.1)(logit, torch.ones(1, 1), True).backward()
    assert logit.grad is not None
    assert logit.grad.abs().item() < 1e-6


def test_extreme_logits_have_a_finite_loss_and_gradient():
    logits = torch.tensor([[-200.0, 200.0]], requires_grad=True)
    loss = BCE(0.0)(logits, torch.tensor([[1.0, 0.0]]), True)
    loss.backward()
    assert loss.item() == 200
    assert logits.grad is not None
    assert logits.grad.tolist() == [[-0.5, 0.5]]


@pytest.mark.parametrize("value", [-0.1, 1.0, 1.5])
def test_smoothing_that_is_no_share_is_refused(value):
    sentence = rf"^loss\.label_smoothing={value} is not a share; choose .*\.$"
    with pytest.raises(UserError, match=sentence):
        BCE(value)
