"""Fitted calibrations, and how they are measured: torchmetrics and scikit-learn are the oracles."""

import time

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor
from torchmetrics.functional.classification import binary_calibration_error, multiclass_calibration_error

from audiotok.training.reliability import reliability
from audiotok.training.scaling import _newton, fit_calibration


def draw(n_clips: int, scale: list[float], offset: list[float], seed: int = 0) -> tuple[Tensor, Tensor]:
    """Draw logits (clips, C), and labels with the probabilities that scaled and shifted logits have."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(n_clips, len(scale), generator=generator) - 2
    probabilities = (logits * torch.tensor(scale) + torch.tensor(offset)).sigmoid()
    return logits, (torch.rand(logits.shape, generator=generator) < probabilities).int()


def errors(logits: Tensor, targets: Tensor, activation: str = "sigmoid") -> tuple[float, float]:
    """Return the calibration error of the last half before and after a fit on the first half."""
    first, last = slice(0, len(logits) // 2), slice(len(logits) // 2, None)
    calibration = fit_calibration(logits[first], targets[first], activation)
    plain = logits.sigmoid() if activation == "sigmoid" else logits.softmax(1)
    after = calibration.probabilities(logits[last])
    return tuple(reliability(p, targets[last], activation).error() for p in (plain[last], after))


def test_a_shared_map_is_found():
    calibration = fit_calibration(*draw(4000, [0.5] * 4, [1.0] * 4), "sigmoid")
    assert len(set(calibration.scale)) == 1
    assert calibration.scale[0] == pytest.approx(0.5, abs=0.03)
    assert calibration.offset[0] == pytest.approx(1.0, abs=0.1)


def test_a_map_of_each_class_is_found_where_clips_are_many():
    logits, targets = draw(8000, [0.5, 2.0], [1.0, -1.0])
    calibration = fit_calibration(logits, targets, "sigmoid")
    assert calibration.scale == pytest.approx([0.5, 2.0], abs=0.15)
    assert calibration.offset == pytest.approx([1.0, -1.0], abs=0.2)
    before, after = errors(logits, targets)
    assert after < 0.03 < before


def test_a_line_is_scikit_learns_logistic_regression():
    logits, targets = draw(300, [0.7], [0.4])
    oracle = LogisticRegression(C=1e6, tol=1e-9).fit(logits.numpy(), targets[:, 0].numpy())
    [line] = _newton(logits.double(), targets.double(), torch.tensor([[1.0, 0.0]]).double(), 1e-6)
    assert line.tolist() == pytest.approx([oracle.coef_[0, 0], oracle.intercept_[0]], abs=1e-3)


@pytest.mark.parametrize("scale", [0.4, 2.5])
def test_a_temperature_is_found_and_keeps_the_most_probable_class(scale):
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(3000, 5, generator=generator)
    labels = torch.multinomial((scale * logits).softmax(1), 1, generator=generator)[:, 0]
    targets = torch.eye(5).int()[labels]
    calibration = fit_calibration(logits, targets, "softmax")
    assert calibration.scale == pytest.approx([scale] * 5, rel=0.1)
    assert calibration.offset == (0.0,) * 5
    assert torch.equal(calibration.probabilities(logits).argmax(1), logits.argmax(1))
    before, after = errors(logits, targets, "softmax")
    assert after < 0.05 < before


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
@pytest.mark.parametrize("n_clips", [1, 2, 6])
def test_few_clips_change_little_and_none_of_it_is_infinite(activation, n_clips):
    logits = torch.randn(n_clips, 3, generator=torch.Generator().manual_seed(0))
    targets = torch.eye(3).int()[logits.argmax(1)]  # separable: without restraint, the scale is infinite
    for labels in (targets, 1 - targets):
        calibration = fit_calibration(logits, labels, activation)
        assert 0 < min(calibration.scale) <= max(calibration.scale) < 5
        assert np.isfinite(calibration.offset).all()
        assert all(0 < threshold < 1 for threshold in calibration.thresholds)


def test_a_model_that_knows_nothing_is_given_the_shares_of_the_classes():
    logits = torch.zeros(500, 2)
    targets = (
        torch.rand(500, 2, generator=torch.Generator().manual_seed(0)) < torch.tensor([0.1, 0.4])
    ).int()
    found = fit_calibration(logits, targets, "sigmoid").probabilities(logits[:1])[0]
    assert found.tolist() == pytest.approx(targets.double().mean(0).tolist(), abs=0.03)


def test_a_fit_of_527_classes_takes_seconds():
    logits, targets = draw(200, [0.6] * 527, [-0.5] * 527)
    start = time.perf_counter()
    fit_calibration(logits[:200], targets[:200], "sigmoid")
    assert time.perf_counter() - start < 20


@pytest.mark.parametrize("seed", range(3))
def test_the_calibration_error_is_torchmetrics(seed):
    logits, targets = draw(200, [0.5] * 3, [0.3] * 3, seed)
    probabilities = logits.sigmoid()
    each = [binary_calibration_error(probabilities[:, c], targets[:, c], n_bins=15) for c in range(3)]
    assert reliability(probabilities, targets, "sigmoid").error() == pytest.approx(np.mean(each), abs=1e-6)
    labels = torch.eye(3).int()[torch.randint(3, (200,), generator=torch.Generator().manual_seed(seed))]
    shares = logits.softmax(1)
    expected = multiclass_calibration_error(shares, labels.argmax(1), 3, n_bins=15)
    assert reliability(shares, labels, "softmax").error() == pytest.approx(float(expected), abs=1e-6)


def test_classes_that_do_not_occur_do_not_count():
    logits, targets = draw(200, [0.5] * 3, [0.3] * 3)
    targets[:, 2] = 0
    without = reliability(logits[:, :2].sigmoid(), targets[:, :2], "sigmoid").error()
    assert reliability(logits.sigmoid(), targets, "sigmoid").error() == pytest.approx(without)
