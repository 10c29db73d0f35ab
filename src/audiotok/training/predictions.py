"""What a tagger says of clips whose labels are known: the results of a test."""

from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from audiotok.model.activation import activate
from audiotok.training.calibration import Calibration
from audiotok.training.ranking import areas


@dataclass(frozen=True)
class Predictions:
    """Logits of clips, with their labels.

    Args:
        clips: Place of each clip in its split, ascending, (clips,).
        logits: float32 (clips, C).
        targets: Labels, bool (clips, C).
        average_precision: Average precision of each class (C,), NaN for classes that do not occur.
        calibration: How logits become probabilities.
    """

    clips: Tensor
    logits: Tensor
    targets: Tensor
    average_precision: Tensor
    calibration: Calibration

    @cached_property
    def scores(self) -> Tensor:
        """Probabilities as training knows them, not calibrated: what all scores but calibration are of."""
        return activate(self.logits, self.calibration.activation)

    @cached_property
    def probabilities(self) -> Tensor:
        """Calibrated probabilities (clips, C), as `audiotok predict` gives them."""
        return self.calibration.probabilities(self.logits)

    @cached_property
    def areas(self) -> Tensor:
        """Area under the ROC curve of each class (C,); NaN for classes of no clip, or of all."""
        return areas(self.scores, self.targets)

    @property
    def has_single_labels(self) -> bool:
        """Whether every clip has exactly one label, of several classes."""
        return self.targets.shape[1] > 1 and bool((self.targets.sum(1) == 1).all())

    def confusion(self) -> Tensor:
        """Count clips of one label each by class (rows) and most probable class (columns), (C, C)."""
        n_classes = self.targets.shape[1]
        pairs = self.targets.long().argmax(1) * n_classes + self.scores.argmax(1)
        return pairs.bincount(minlength=n_classes**2).view(n_classes, n_classes)
