"""Scores of multi-label tagging, by torchmetrics: the interface, and the options of the group `metrics`.

A class without a positive in a split has no average precision. torchmetrics counts it as 0 in the macro
mean (versions before 1.4 left it out). Here macro means are over the classes that occur, and
`n_scored_classes` says how many those are. Average precision is exact, because binned thresholds give wrong
values for weak taggers; that takes memory for all probabilities of a split, 129 MB for AudioSet's test clips.
"""

from abc import ABC, abstractmethod
from typing import Any, cast

import torch
from torch import Tensor
from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import (
    MultilabelAveragePrecision,
    MultilabelF1Score,
    MultilabelHammingDistance,
)
from torchmetrics.functional.classification import multilabel_f1_score
from torchmetrics.utilities import dim_zero_cat

from audiotok.errors import UserError
from audiotok.errors.ranges import InnerShare

_TRUSTED: dict[str, Any] = {"validate_args": False}  # checking the values of every batch would wait for a GPU


class Mean(Metric):
    """The mean of values, each weighted by how many clips or tokens it stands for.

    Lightning's own `log(..., sync_dist=True)` rounds the weights of several processes down to whole numbers.
    """

    total: Tensor
    weight: Tensor
    full_state_update = False

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_state("total", torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("weight", torch.tensor(0.0), dist_reduce_fx="sum")

    def update(self, value: Tensor, weight: Tensor | int) -> None:
        """Add a value () with its weight."""
        self.total = self.total + value * weight  # in place would fail after inference mode
        self.weight = self.weight + weight

    def compute(self) -> Tensor:
        """Return the weighted mean."""
        return self.total / self.weight

    def sums(self) -> Tensor:
        """Return what was added up by this process, (2,): the values and their weights."""
        return torch.stack([torch.as_tensor(self.total), torch.as_tensor(self.weight)])

    def restore(self, sums: Tensor) -> None:
        """Continue from what `sums` returned."""
        self.reset()
        self.update(torch.zeros_like(self.total), 0)  # `compute` warns where nothing was ever added
        self.total, self.weight = sums.to(self.device).unbind()


class MeanAveragePrecision(MultilabelAveragePrecision):
    """The mean of the average precisions of the classes with at least one positive."""

    def __init__(self, num_labels: int, **kwargs: Any) -> None:
        super().__init__(num_labels, average="none", thresholds=None, **_TRUSTED, **kwargs)

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


class MacroF1(MultilabelF1Score):
    """The mean of the F1 of the classes with at least one positive."""

    def __init__(self, num_labels: int, threshold: float, **kwargs: Any) -> None:
        super().__init__(num_labels, threshold, average="none", **_TRUSTED, **kwargs)

    def compute(self) -> Tensor:
        """Average over the classes that occur."""
        true_positives, _, _, false_negatives = self._final_state()
        return super().compute()[true_positives + false_negatives > 0].mean()


class ScoredClasses(Metric):
    """How many classes have at least one positive, which macro means are taken over."""

    positives: Tensor
    full_state_update = False

    def __init__(self, num_labels: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_state("positives", torch.zeros(num_labels), dist_reduce_fx="sum")

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Add targets (B, C)."""
        self.positives = self.positives + target.sum(0)  # in place would fail after inference mode

    def compute(self) -> Tensor:
        """Count the classes that occur."""
        return (self.positives > 0).sum().float()


class TopOne(Mean):
    """Share of clips whose most probable class is among their labels: accuracy, where labels are single."""

    def update(self, preds: Tensor, target: Tensor) -> None:  # type: ignore[override]
        """Add probabilities and targets (B, C)."""
        best = preds.argmax(1, keepdim=True)
        super().update(target.gather(1, best).float().mean(), len(target))


class Metrics(MetricCollection, ABC):
    """Scores of a split: what every option of the config group `metrics` builds.

    Another option is a subclass whose constructor takes `n_classes`, `prefix` and the keys of its YAML.
    `update` takes float32 probabilities (B, C) and integer targets (B, C); `compute` returns all scores.

    Attributes:
        threshold: Probability above which a class counts as heard, until validation has chosen another.
    """

    threshold: float

    @abstractmethod
    def gathered(self) -> tuple[Tensor, Tensor]:
        """Return the probabilities and targets (clips, C) of all processes since the last reset."""

    @abstractmethod
    def average_precision(self) -> Tensor:
        """Return the average precision of every class (C,), over all processes; NaN without a positive."""


class TaggingMetrics(Metrics):
    """mAP, F1, Hamming loss and top-1 accuracy.

    Args:
        n_classes: C.
        threshold: Probability above which a class counts as heard, for F1 and Hamming loss.
        prefix: Begins every name, `val/` for example.

    Raises:
        UserError: The threshold is not between 0 and 1.
    """

    def __init__(self, n_classes: int, threshold: InnerShare = 0.5, prefix: str = "") -> None:
        if not 0 < threshold < 1:
            raise UserError(f"metrics.threshold={threshold} is not a probability; choose between 0 and 1.")
        super().__init__(
            {
                "mAP": MeanAveragePrecision(n_classes),
                "f1_micro": MultilabelF1Score(n_classes, threshold, average="micro", **_TRUSTED),
                "f1_macro": MacroF1(n_classes, threshold),
                "hamming_loss": MultilabelHammingDistance(n_classes, threshold, average="micro", **_TRUSTED),
                "top1": TopOne(),
                "n_scored_classes": ScoredClasses(n_classes),
            },
            prefix=prefix,
        )
        self.threshold = threshold

    def gathered(self) -> tuple[Tensor, Tensor]:
        """Return the probabilities and targets (clips, C) of all processes since the last reset."""
        precision = self._precision
        with precision.sync_context():
            return precision.scores(), precision.targets()

    def average_precision(self) -> Tensor:
        """Return the average precision of every class (C,), over all processes; NaN without a positive."""
        precision = self._precision
        with precision.sync_context():
            return precision.per_class()

    @property
    def _precision(self) -> MeanAveragePrecision:
        """The metric that keeps every probability and target."""
        return cast(MeanAveragePrecision, self["mAP"])


def f1_at(threshold: float, scores: Tensor, targets: Tensor) -> dict[str, Tensor]:
    """Return micro and macro F1 at a threshold that was chosen on other clips.

    Args:
        threshold: Probability above which a class counts as heard.
        scores: Probabilities (clips, C).
        targets: (clips, C), integer.
    """
    n_classes, present = targets.shape[1], targets.sum(0) > 0
    per_class = multilabel_f1_score(scores, targets, n_classes, threshold, average="none")
    return {
        "f1_micro_tuned": multilabel_f1_score(scores, targets, n_classes, threshold, average="micro"),
        "f1_macro_tuned": per_class[present].mean(),
    }


def best_threshold(scores: Tensor, targets: Tensor) -> float:
    """Return the threshold, the same for all classes, with the highest micro F1.

    The search is exact: every score is tried. At 0.5, F1 is 0 for taggers that are never that confident.

    Args:
        scores: Probabilities (clips, C).
        targets: (clips, C), 0 or 1.
    """
    ranked, order = scores.flatten().sort(descending=True, stable=True)
    hits = targets.flatten()[order].double().cumsum(0)
    n_predicted = torch.arange(1, len(ranked) + 1, device=ranked.device, dtype=torch.float64)
    f1 = 2 * hits / (n_predicted + hits[-1]).clamp(min=1)
    is_last_of_ties = torch.ones_like(ranked, dtype=torch.bool)
    is_last_of_ties[:-1] = ranked[:-1] != ranked[1:]
    best = int(torch.where(is_last_of_ties, f1, -1.0).argmax())
    below = ranked[best + 1] if best + 1 < len(ranked) else torch.zeros_like(ranked[0])
    middle = (ranked[best] + below) / 2
    return float(middle if middle < ranked[best] else below)
