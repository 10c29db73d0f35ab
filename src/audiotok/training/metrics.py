"""Scores of tagging: the interface, and the options of the config group `metrics`.

A class without a positive in a split has no average precision. torchmetrics counts it as 0 in the macro
mean (versions before 1.4 left it out). Here macro means are over the classes that occur, and
`n_scored_classes` says how many those are. Exact ranking takes memory for all probabilities of a split,
129 MB for AudioSet's test clips.
"""

from abc import ABC, abstractmethod
from typing import Any, cast

import torch
from torch import Tensor
from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import MultilabelF1Score, MultilabelHammingDistance

from audiotok.errors import UserError
from audiotok.errors.ranges import InnerShare
from audiotok.training.ranking import LabelRanking, MeanArea, MeanAveragePrecision, d_prime

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

    @property
    def names(self) -> set[str]:
        """Names of the scores that `compute` returns."""
        return set(map(str, self.keys()))

    @abstractmethod
    def gathered(self) -> tuple[Tensor, Tensor]:
        """Return the probabilities and targets (clips, C) of all processes since the last reset."""

    @abstractmethod
    def average_precision(self) -> Tensor:
        """Return the average precision of every class (C,), over all processes; NaN without a positive."""


class TaggingMetrics(Metrics):
    """mAP, AUROC, d', lwlrap, F1, Hamming loss and top-1 accuracy.

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
                "auroc": MeanArea(n_classes),
                "lwlrap": LabelRanking(),
                "f1_micro": MultilabelF1Score(n_classes, threshold, average="micro", **_TRUSTED),
                "f1_macro": MacroF1(n_classes, threshold),
                "hamming_loss": MultilabelHammingDistance(n_classes, threshold, average="micro", **_TRUSTED),
                "top1": TopOne(),
                "n_scored_classes": ScoredClasses(n_classes),
            },
            prefix=prefix,
        )
        self.threshold = threshold

    @property
    def names(self) -> set[str]:
        """Names of the scores that `compute` returns."""
        return {*super().names, f"{self.prefix}d_prime"}

    def compute(self) -> dict[str, Any]:
        """Return all scores; d' is that of the mean area under the ROC curve."""
        scores = super().compute()
        return {**scores, f"{self.prefix}d_prime": d_prime(scores[f"{self.prefix}auroc"]).float()}

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


def f1_of(heard: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return micro F1, and macro F1 over the classes that occur; 0 where nothing is heard.

    Args:
        heard: Which classes count as heard, bool (clips, C).
        targets: (clips, C), 0 or 1.
    """
    targets = targets.bool()
    hits = (heard & targets).sum(0).double()
    counted = heard.sum(0) + targets.sum(0)  # hits count twice
    per_class = 2 * hits / counted.clamp(min=1)
    micro = 2 * hits.sum() / counted.sum().clamp(min=1)
    return micro.float(), per_class[targets.any(0)].mean().float()
