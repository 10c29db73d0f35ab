import math
import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from scipy.stats import norm
from sklearn.metrics import label_ranking_average_precision_score, roc_auc_score
from test_multilabel import clips, random_clips

from audiotok.training.metrics import TaggingMetrics
from audiotok.training.ranking import areas, d_prime


def measure(scores: torch.Tensor, targets: torch.Tensor) -> dict[str, float]:
    metrics = TaggingMetrics(targets.shape[1])
    for batch in zip(scores.split(7), targets.split(7), strict=True):
        metrics.update(*batch)
    return {name: float(value) for name, value in metrics.compute().items()}


def sklearn_areas(scores: torch.Tensor, targets: torch.Tensor) -> list[float]:
    """Return the area of every class, NaN where scikit-learn has none."""
    return [
        roc_auc_score(targets[:, c], scores[:, c]) if 0 < targets[:, c].sum() < len(targets) else math.nan
        for c in range(targets.shape[1])
    ]


@given(clips())
@settings(max_examples=30)
@pytest.mark.filterwarnings("ignore:No positive samples found in target")
def test_area_d_prime_and_lwlrap_are_scikit_learns(case):
    scores, targets = case
    expected = np.array(sklearn_areas(*case))
    assert areas(*case).numpy() == pytest.approx(expected, abs=1e-12, nan_ok=True)
    found = measure(*case)
    if not np.isnan(expected).all():
        mean = np.nanmean(expected)
        assert found["auroc"] == pytest.approx(mean, abs=1e-6)
        if 1e-4 < mean < 1 - 1e-4:
            assert found["d_prime"] == pytest.approx(math.sqrt(2) * norm.ppf(mean), abs=1e-3)
    weights = targets.sum(1).numpy()
    lwlrap = label_ranking_average_precision_score(targets, scores, sample_weight=weights)
    assert found["lwlrap"] == pytest.approx(lwlrap, abs=1e-6)


def test_d_prime_of_a_perfect_ranking_is_finite_and_of_chance_0():
    assert d_prime(torch.tensor([0.5, 1.0, 0.0])).tolist() == pytest.approx([0.0, 7.5, -7.5], abs=0.1)


def test_a_class_of_every_clip_has_no_area_and_is_left_out():
    scores, targets = random_clips(0)
    targets[:, 0] = 1
    assert areas(scores, targets).isnan().tolist() == [True, *[False] * 5, True]
    assert measure(scores, targets)["auroc"] == pytest.approx(np.nanmean(sklearn_areas(scores, targets)))


def test_the_area_of_many_clips_takes_no_time():
    scores = torch.rand(5000, 200, generator=torch.Generator().manual_seed(0))
    start = time.perf_counter()
    areas(scores, scores > 0.99)
    assert time.perf_counter() - start < 10
