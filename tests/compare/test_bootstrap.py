"""The mAP of resampled clips, against scikit-learn with weights and against resampling by hand."""

import warnings

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from audiotok.compare.bootstrap import draw_resamples, resampled_map


def draw(n_clips: int, n_classes: int, rate: float, digits: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(n_clips)
    targets = rng.random((n_clips, n_classes)) < rate
    scores = np.round(rng.random((n_clips, n_classes)) + 0.3 * targets, digits).astype(np.float32)
    return scores, targets


def mean_over_present(scores, targets, weight) -> float:
    """Return what metrics/multilabel.py defines, by scikit-learn, a class at a time."""
    present = (targets * weight[:, None]).sum(0) > 0
    return np.mean(
        [
            average_precision_score(targets[:, c], scores[:, c], sample_weight=weight)
            for c in np.flatnonzero(present)
        ]
    )


@pytest.mark.parametrize("digits", [1, 7], ids=["many ties", "no ties"])
def test_every_resample_is_what_scikit_learn_gives_with_weights(digits):
    scores, targets = draw(50, 8, 0.15, digits)
    counts = draw_resamples(50, n_resamples=12)
    wanted = [mean_over_present(scores, targets, weight) for weight in counts.T]
    np.testing.assert_allclose(resampled_map(scores, targets, counts), wanted, rtol=1e-5)


def test_a_clip_of_weight_two_is_a_clip_that_is_there_twice():
    scores, targets = draw(30, 5, 0.2, 1)
    counts = draw_resamples(30, n_resamples=6)
    for value, weight in zip(resampled_map(scores, targets, counts), counts.T.astype(int), strict=True):
        drawn = np.repeat(np.arange(30), weight)
        assert value == pytest.approx(mean_over_present(scores[drawn], targets[drawn], np.ones(30)))


def test_classes_without_positives_are_left_out_of_a_resample_and_of_all():
    scores, targets = draw(20, 4, 0.3, 7)
    targets[:, 1] = False
    targets[:, 2] = np.arange(20) == 3
    counts = np.ones((20, 2), dtype=np.float32)
    counts[3, 1] = 0
    both, first = (
        resampled_map(scores, targets, counts),
        resampled_map(scores[:, [0, 3]], targets[:, [0, 3]], counts),
    )
    assert both[1] == pytest.approx(first[1])
    assert both[0] != pytest.approx(first[0])


def test_a_resample_without_any_positive_has_no_map():
    targets = np.zeros((6, 2), dtype=bool)
    targets[0, 0] = True
    counts = np.ones((6, 2), dtype=np.float32)
    counts[0, 1] = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        values = resampled_map(np.zeros((6, 2), dtype=np.float32), targets, counts)
        assert np.isnan(resampled_map(np.zeros((6, 2)), np.zeros((6, 2), dtype=bool), counts)).all()
    assert values[0] == pytest.approx(1 / 6)
    assert np.isnan(values[1])


def test_resamples_repeat_and_have_as_many_clips_as_the_test_set():
    counts = draw_resamples(25, n_resamples=9)
    assert (counts.sum(0) == 25).all()
    np.testing.assert_array_equal(counts, draw_resamples(25, n_resamples=9))


def test_classes_that_do_not_fit_into_memory_together_give_the_same(monkeypatch):
    scores, targets = draw(40, 9, 0.2, 1)
    counts = draw_resamples(40, n_resamples=5)
    together = resampled_map(scores, targets, counts)
    monkeypatch.setattr("audiotok.compare.bootstrap.MAX_BYTES", 4 * 40 * 5 * 2)
    np.testing.assert_allclose(resampled_map(scores, targets, counts), together)
