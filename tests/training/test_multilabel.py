import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, average_precision_score, f1_score, hamming_loss
from torch import Tensor

from audiotok.errors import UserError
from audiotok.training.metrics import TaggingMetrics, f1_of
from audiotok.training.thresholds import best_threshold, class_thresholds

pytestmark = pytest.mark.filterwarnings("ignore:No positive samples found in target")
thresholds = pytest.mark.parametrize("threshold", [0.001, 0.1, 0.3, 0.5, 0.9])


@st.composite
def clips(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    """Draw probabilities, often tied and sometimes very weak, and targets of few classes and clips."""
    n_clips, n_classes = draw(st.integers(2, 40)), draw(st.integers(2, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_levels = draw(st.sampled_from([1, 2, 5, 1000]))
    strength = draw(st.sampled_from([1.0, 0.01]))
    scores = rng.integers(1, n_levels + 1, (n_clips, n_classes)) / (n_levels + 1) * strength
    targets = rng.random((n_clips, n_classes)) < draw(st.sampled_from([0.05, 0.3, 0.9]))
    targets[0, 0] = True  # at least one class occurs
    return torch.from_numpy(scores).float(), torch.from_numpy(targets).int()


def random_clips(
    seed: int, n_clips: int = 60, n_classes: int = 7, strength: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Return probabilities and targets; the last class never occurs."""
    rng = np.random.default_rng(seed)
    targets = rng.random((n_clips, n_classes)) < 0.2
    targets[0], targets[:, -1] = True, False
    scores = np.clip(rng.random((n_clips, n_classes)) * 0.8 + targets * 0.2, 0.0, 1.0) * strength
    return torch.from_numpy(scores).float(), torch.from_numpy(targets).int()


def measure(scores: Tensor, targets: Tensor, threshold: float = 0.5, n_batches: int = 1) -> dict[str, float]:
    metrics = TaggingMetrics(targets.shape[1], threshold, "val/")
    for batch in zip(scores.chunk(n_batches), targets.chunk(n_batches), strict=True):
        metrics.update(*batch)
    return {name: float(value) for name, value in metrics.compute().items()}


def sklearn_map(scores: Tensor, targets: Tensor) -> float:
    present = targets.sum(0) > 0
    return float(average_precision_score(targets[:, present], scores[:, present], average="macro"))


def sklearn_f1(scores: Tensor, targets: Tensor, threshold: float) -> tuple[float, float]:
    """Return micro F1, and macro F1 over the classes that occur."""
    heard = (scores > threshold).int()
    per_class = f1_score(targets, heard, average=None, zero_division=0)
    micro = f1_score(targets, heard, average="micro", zero_division=0)
    return float(micro), float(per_class[targets.sum(0) > 0].mean())


# ---- average precision ----


@given(clips())
@settings(max_examples=30)
def test_map_is_scikit_learns_over_the_classes_that_occur(case):
    assert measure(*case)["val/mAP"] == pytest.approx(sklearn_map(*case), abs=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_map_of_weak_scores_is_that_of_strong_ones(seed):
    scores, targets = random_clips(seed, n_clips=300)
    weak, _ = random_clips(seed, n_clips=300, strength=0.01)
    assert measure(weak, targets)["val/mAP"] == pytest.approx(measure(scores, targets)["val/mAP"], abs=1e-6)


def test_a_class_without_a_positive_does_not_lower_map():
    scores, targets = random_clips(0)
    assert measure(scores, targets)["val/mAP"] == pytest.approx(
        measure(scores[:, :-1], targets[:, :-1])["val/mAP"], abs=1e-6
    )


def test_per_class_average_precision_is_scikit_learns_and_nan_for_absent_classes():
    scores, targets = random_clips(1)
    metrics = TaggingMetrics(7, 0.5, "test/")
    metrics.update(scores, targets)
    per_class = metrics.average_precision()
    assert per_class.shape == (7,)
    assert per_class[-1].isnan()
    expected = average_precision_score(targets[:, :-1], scores[:, :-1], average=None)
    np.testing.assert_allclose(per_class[:-1], expected, atol=1e-6)


def test_precision_keeps_every_probability_and_target_in_order():
    scores, targets = random_clips(2)
    metrics = TaggingMetrics(7, 0.5, "test/")
    for batch in zip(scores.split(25), targets.split(25), strict=True):
        metrics.update(*batch)
    metrics.compute()
    assert torch.equal(metrics.gathered()[0], scores)
    assert torch.equal(metrics.gathered()[1], targets)


# ---- F1, Hamming loss, number of classes ----


@thresholds
@pytest.mark.parametrize("strength", [1.0, 0.01])
def test_f1_is_scikit_learns(threshold, strength):
    scores, targets = random_clips(3, strength=strength)
    measured = measure(scores, targets, threshold)
    micro, macro = sklearn_f1(scores, targets, threshold)
    assert measured["val/f1_micro"] == pytest.approx(micro, abs=1e-6)
    assert measured["val/f1_macro"] == pytest.approx(macro, abs=1e-6)


@given(clips(), st.sampled_from([0.005, 0.2, 0.5, 0.7]))
@settings(max_examples=30)
def test_f1_of_any_clips_is_scikit_learns(case, threshold):
    measured = measure(*case, threshold)
    assert [measured["val/f1_micro"], measured["val/f1_macro"]] == pytest.approx(
        sklearn_f1(*case, threshold), abs=1e-6
    )


def test_a_predicted_class_without_a_positive_lowers_micro_but_not_macro_f1():
    scores, targets = random_clips(4)
    scores[:, -1] = 0.9
    measured, without = measure(scores, targets), measure(scores[:, :-1], targets[:, :-1])
    assert measured["val/f1_micro"] < without["val/f1_micro"]
    assert measured["val/f1_macro"] == pytest.approx(without["val/f1_macro"], abs=1e-6)


@thresholds
def test_hamming_loss_is_scikit_learns(threshold):
    scores, targets = random_clips(5)
    expected = hamming_loss(targets, scores > threshold)
    assert measure(scores, targets, threshold)["val/hamming_loss"] == pytest.approx(expected, abs=1e-6)


# ---- top-1 ----


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("strength", [1.0, 1e-4])
def test_top1_of_single_labels_is_scikit_learns_accuracy(seed, strength):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, 200)
    scores = (rng.random((200, 10)) + 0.5 * np.eye(10)[labels]) * strength / 2
    expected = accuracy_score(labels, scores.argmax(1))
    assert 0.2 < expected < 0.9
    found = measure(torch.from_numpy(scores).float(), torch.from_numpy(np.eye(10, dtype=int)[labels]))
    assert found["val/top1"] == pytest.approx(expected, abs=1e-6)


@given(clips())
@settings(max_examples=40)
def test_top1_is_how_often_the_most_probable_class_is_among_the_labels(case):
    scores, targets = case
    hits = [row[best] for row, best in zip(targets.tolist(), scores.argmax(1).tolist(), strict=True)]
    assert measure(*case)["val/top1"] == pytest.approx(sum(hits) / len(hits), abs=1e-6)


def test_top1_counts_clips_without_a_label_as_missed():
    scores = torch.tensor([[0.9, 0.1], [0.9, 0.1], [0.1, 0.9], [0.2, 0.1]])
    targets = torch.tensor([[1, 0], [0, 0], [0, 1], [1, 1]])
    assert measure(scores, targets)["val/top1"] == 0.75


def test_top1_of_a_class_that_is_always_guessed_is_its_share():
    scores = torch.tensor([[0.6, 0.4]] * 10)
    targets = torch.zeros(10, 2).int()
    targets[:3, 0], targets[3:, 1] = 1, 1
    assert measure(scores, targets)["val/top1"] == pytest.approx(0.3)


# ---- number of classes ----


def test_scored_classes_are_those_with_a_positive():
    scores, targets = random_clips(6)
    targets[:, 2] = 0
    assert measure(scores, targets)["val/n_scored_classes"] == 5


@given(clips(), st.integers(2, 6))
@settings(max_examples=20)
def test_several_updates_give_what_one_gives(case, n_batches):
    n_batches = len(case[0].chunk(n_batches))  # torch gives fewer where clips are few
    assert measure(*case, n_batches=n_batches) == pytest.approx(measure(*case), abs=1e-6, nan_ok=True)


def test_reset_forgets_all_clips():
    metrics = TaggingMetrics(7, 0.5, "val/")
    metrics.update(*random_clips(7))
    metrics.compute()
    metrics.reset()
    case = random_clips(8)
    metrics.update(*case)
    assert {name: float(value) for name, value in metrics.compute().items()} == measure(*case)


def test_names_carry_the_prefix():
    assert set(measure(*random_clips(9))) == {
        "val/mAP",
        "val/auroc",
        "val/d_prime",
        "val/lwlrap",
        "val/f1_micro",
        "val/f1_macro",
        "val/hamming_loss",
        "val/top1",
        "val/n_scored_classes",
    }


@pytest.mark.parametrize("threshold", [0.0, 1.0, -0.1, 1.5])
def test_a_threshold_that_is_no_probability_is_refused(threshold):
    with pytest.raises(
        UserError, match=rf"^metrics\.threshold={threshold} is not a probability; choose .*\.$"
    ):
        TaggingMetrics(3, threshold, "val/")


# ---- thresholds chosen elsewhere ----


@thresholds
def test_f1_at_a_threshold_is_scikit_learns(threshold):
    scores, targets = random_clips(11)
    tuned = f1_of(scores > threshold, targets)
    assert [float(mean) for mean in tuned] == pytest.approx(sklearn_f1(scores, targets, threshold), abs=1e-6)


def best_micro_f1(scores: Tensor, targets: Tensor) -> float:
    """Try a threshold below and above every score."""
    ranked = np.unique(scores.double().numpy())
    candidates = [0.0, *((ranked[1:] + ranked[:-1]) / 2)]
    heard = [(scores.double() > candidate).int().flatten() for candidate in candidates]
    return max(f1_score(targets.flatten(), prediction, zero_division=0) for prediction in heard)


@given(clips())
@settings(max_examples=40)
def test_no_threshold_has_a_higher_micro_f1_than_the_best(case):
    micro, _ = f1_of(case[0] > best_threshold(*case), case[1])
    assert float(micro) == pytest.approx(best_micro_f1(*case), abs=1e-6)


def test_best_threshold_lies_midway_between_two_scores():
    scores = torch.tensor([[0.9, 0.8], [0.4, 0.1]])
    assert best_threshold(scores, torch.tensor([[1, 1], [0, 0]])) == pytest.approx(0.6, abs=1e-6)


def test_best_threshold_of_equal_scores_takes_them_all():
    scores = torch.full((4, 3), 0.02)
    threshold = best_threshold(scores, torch.eye(4, 3).int())
    assert 0 < threshold < 0.02


def test_best_threshold_does_not_split_ties():
    scores = torch.tensor([[0.7, 0.5], [0.5, 0.5], [0.2, 0.2]])
    targets = torch.tensor([[1, 1], [0, 0], [0, 0]])
    assert not 0.49999 < best_threshold(scores, targets) < 0.50001


def test_best_threshold_finds_weak_scores():
    scores, targets = random_clips(12, strength=1e-4)
    threshold = best_threshold(scores, targets)
    assert threshold < 1e-4
    assert f1_of(scores > threshold, targets)[0] > f1_of(scores > 0.5, targets)[0] == 0


@pytest.mark.parametrize("upper", [0.9, 0.3, 1e-3])
def test_best_threshold_separates_neighbouring_floats(upper):
    scores = [np.float32(upper)]
    for _ in range(3):
        scores.append(np.nextafter(scores[-1], np.float32(0)))
    columns = torch.tensor(np.array(scores))[:, None].repeat(1, 2)
    for n_positive in range(1, 4):
        targets = (torch.arange(4) < n_positive).int()[:, None].repeat(1, 2)
        assert f1_of(columns > best_threshold(columns, targets), targets)[0] == 1.0


def test_a_class_with_few_positives_has_a_threshold_near_that_of_all_classes():
    rng = np.random.default_rng(0)
    targets = torch.from_numpy(rng.random((2000, 3)) < [0.3, 0.002, 0.0]).int()
    scores = torch.from_numpy(rng.random((2000, 3)) * 0.5 + [0.4, 0.1, 0.1]).float() + 0.05 * targets
    shared = best_threshold(scores, targets)
    many, few, none = class_thresholds(scores, targets).tolist()
    assert few != pytest.approx(shared, abs=1e-3)
    assert abs(few - shared) < abs(best_threshold(scores[:, 1:2], targets[:, 1:2]) - shared) / 2
    assert many == pytest.approx(best_threshold(scores[:, :1], targets[:, :1]), abs=0.02)
    assert none == pytest.approx(shared)
