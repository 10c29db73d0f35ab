"""Scores of how clips and classes are ranked: average precision, area under the ROC curve, d', lwlrap.

All are exact: binned thresholds give wrong values for weak taggers. For 527 classes and 20,000 clips, each
takes seconds on one core.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.classification import MultilabelAveragePrecision
from torchmetrics.utilities import dim_zero_cat

_MOST_AREA = 1 - 2**-24  # of d', which would be infinite at 1
_PAIRS = 4096  # clips and labels that lwlrap ranks at a time


def areas(scores: Tensor, targets: Tensor) -> Tensor:
    """Return the area under the ROC curve of every class, float64 (C,).

    It is the share of pairs of a clip with the class and one without whose scores are in this order, equal
    scores counting as half (T. Fawcett, "An introduction to ROC analysis", 2006); NaN without such a pair.

    Args:
        scores: (clips, C)
        targets: (clips, C), 0 or 1.
    """
    columns, heard = scores.T.contiguous(), targets.T.bool()
    ranked = columns.sort(1).values
    found = torch.full((len(columns),), torch.nan, dtype=torch.float64)
    for c in range(len(columns)):
        positives = columns[c][heard[c]]
        n = len(positives)
        n_pairs = n * (len(scores) - n)
        if n_pairs:
            below = torch.searchsorted(ranked[c], positives)
            up_to = torch.searchsorted(ranked[c], positives, right=True)
            ranks = (below + up_to + 1).double() / 2  # the mean rank of equal scores
            found[c] = (ranks.sum() - n * (n + 1) / 2) / n_pairs
    return found


def d_prime(area: Tensor) -> Tensor:
    """Return d' = sqrt(2) Phi^-1(area): how far apart two normal distributions of that area are.

    An area of 1 counts as 1 - 2^-24, which gives 7.5. Source: S. Hershey et al., "CNN Architectures for
    Large-Scale Audio Classification", ICASSP 2017.
    """
    return math.sqrt(2) * torch.special.ndtri(area.double().clamp(1 - _MOST_AREA, _MOST_AREA))


def precisions_of_labels(scores: Tensor, targets: Tensor) -> Tensor:
    """Return for every label of every clip the share of labels among the classes ranked as high or higher.

    Args:
        scores: (clips, C)
        targets: (clips, C), 0 or 1.

    Returns:
        float64 (labels,), the labels of the first clip first.
    """
    found = []
    clips, classes = targets.nonzero(as_tuple=True)
    for rows, columns in zip(clips.split(_PAIRS), classes.split(_PAIRS), strict=True):
        as_high = scores[rows] >= scores[rows, columns][:, None]
        found.append((as_high & targets[rows].bool()).sum(1).double() / as_high.sum(1))
    return torch.cat(found) if found else torch.empty(0, dtype=torch.float64)


class MeanAveragePrecision(MultilabelAveragePrecision):
    """The mean of the average precisions of the classes with at least one positive."""

    def __init__(self, num_labels: int, **kwargs: Any) -> None:
        # Checking the values of every batch would wait for a GPU.
        super().__init__(num_labels, average="none", thresholds=None, validate_args=False, **kwargs)

    def per_class(self) -> Tensor:
        """Return the average precision of every class (C,), NaN for those without a positive."""
        present = self.targets().sum(0) > 0
        return torch.where(present, super().compute(), torch.nan)

    def compute(self) -> Tensor:  # type: ignore[override]  # torchmetrics types curves here, not areas
        """Average over the classes that occur."""
        return self.per_class().nanmean()

    def scores(self) -> Tensor:
        """Return the probabilities seen since the last reset, (clips, C)."""
        return dim_zero_cat(self.preds)

    def targets(self) -> Tensor:
        """Return the targets seen since the last reset, (clips, C)."""
        return dim_zero_cat(self.target)


class MeanArea(MeanAveragePrecision):
    """The mean area under the ROC curve of the classes with a positive and a negative: AUROC.

    A collection of metrics lets it share what `MeanAveragePrecision` keeps.
    """

    def compute(self) -> Tensor:  # type: ignore[override]
        """Average over the classes that have one."""
        return areas(self.scores(), self.targets()).nanmean().float()


class LabelRanking(Metric):
    """Label-weighted label-ranking average precision, lwlrap: the mean of `precisions_of_labels`.

    Source: E. Fonseca et al., "Audio tagging with noisy labels and minimal supervision", DCASE 2019.
    """

    total: Tensor
    n_labels: Tensor
    full_state_update = False

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_state("total", torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("n_labels", torch.tensor(0.0), dist_reduce_fx="sum")

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Add probabilities and targets (B, C)."""
        precisions = precisions_of_labels(preds, target)
        self.total = self.total + precisions.sum()
        self.n_labels = self.n_labels + len(precisions)

    def compute(self) -> Tensor:
        """Return the mean over all labels."""
        return (self.total / self.n_labels).float()
