import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss
from torch import Tensor

from audiotok.errors import UserError
from audiotok.training.loss import BCE, Auto, CrossEntropy, activation_of


def batch(n_clips: int = 6, n_classes: int = 4, seed: int = 1) -> tuple[Tensor, Tensor]:
    """Draw logits (B, C) and labels (B, C), one a clip."""
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(n_clips, n_classes, generator=generator)
    return logits, torch.eye(n_classes)[torch.randint(n_classes, (n_clips,), generator=generator)]


batches = st.builds(batch, st.integers(1, 8), st.integers(2, 5), st.integers(0, 10**6))


@settings(max_examples=25)
@given(drawn=batches, training=st.booleans())
def test_the_loss_is_scikit_learns_log_loss(drawn, training):
    logits, targets = drawn
    probabilities = logits.double().softmax(1).numpy()
    labels = targets.argmax(1).numpy()
    expected = log_loss(labels, probabilities, labels=np.arange(logits.shape[1]))
    assert CrossEntropy()(logits, targets, training).item() == pytest.approx(expected, rel=1e-4, abs=1e-6)


@settings(max_examples=25)
@given(drawn=batches, smoothing=st.sampled_from([0.0, 0.1, 0.5, 0.9]))
def test_smoothing_spreads_a_share_of_the_target_over_all_classes_in_training_only(drawn, smoothing):
    logits, targets = drawn
    smooth = (1 - smoothing) * targets + smoothing / targets.shape[1]
    expected = -(smooth * logits.double().log_softmax(1)).sum(1).mean()
    loss = CrossEntropy(smoothing)
    assert loss(logits, targets, True).item() == pytest.approx(expected.item(), rel=1e-4)
    assert loss(logits, targets, False) == CrossEntropy()(logits, targets, False)


def test_targets_may_be_means_of_labels():
    logits, targets = batch()
    soft = 0.3 * targets + 0.7 * targets.flip(0)
    loss = CrossEntropy(0.1)
    expected = 0.3 * loss(logits, targets, True) + 0.7 * loss(logits, targets.flip(0), True)
    torch.testing.assert_close(loss(logits, soft, True), expected)


def test_a_clip_mixed_of_two_counts_as_half_of_each():
    logits = torch.tensor([[2.0, 1.0, -1.0]])
    both, first, second = torch.tensor([[[1.0, 1.0, 0.0]], [[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]]])
    loss = CrossEntropy()
    expected = (loss(logits, first, True) + loss(logits, second, True)) / 2
    torch.testing.assert_close(loss(logits, both, True), expected)


def test_data_that_are_not_single_labelled_are_refused():
    with pytest.raises(UserError, match=r"^loss=cross_entropy is for .*; choose loss=bce, or auto\.$"):
        CrossEntropy(single_labels=False)
    with pytest.raises(UserError, match=r"^loss\.label_smoothing=1\.5 is not a share; "):
        CrossEntropy(1.5)


@pytest.mark.parametrize(("single", "kind"), [(True, CrossEntropy), (False, BCE)])
def test_auto_chooses_by_the_labels(single, kind):
    loss = Auto(0.1, single)
    assert loss.chosen == kind(0.1)
    assert activation_of(loss) == kind.activation
    assert torch.equal(loss(*batch(), True), kind(0.1)(*batch(), True))


def test_a_loss_that_does_not_say_is_for_a_sigmoid():
    assert activation_of(lambda logits, targets, training: logits.sum()) == "sigmoid"
