"""Losses: the interface, and the options of the config group `loss`."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor
from torch.nn import functional as F

from audiotok.errors import UserError
from audiotok.errors.ranges import ShareBelowOne


@runtime_checkable
class Loss(Protocol):
    """What every option of the config group `loss` builds."""

    def __call__(self, logits: Tensor, targets: Tensor, training: bool) -> Tensor:
        """Return the loss of logits (B, C) for targets (B, C) between 0 and 1, a scalar.

        Args:
            logits: float32
            targets: Labels; mixed clips have weighted means of labels.
            training: Whether a training batch is scored, or clips of validation or test.
        """
        ...


@dataclass(frozen=True)
class BCE:
    """Binary cross-entropy of each class by itself, averaged over clips and classes.

    Args:
        label_smoothing: Share of a target that is replaced by 0.5, in training only (C. Szegedy et al.,
            "Rethinking the Inception Architecture for Computer Vision", CVPR 2016).

    Raises:
        UserError: The smoothing is not a share.
    """

    label_smoothing: ShareBelowOne = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.label_smoothing < 1:
            raise UserError(
                f"loss.label_smoothing={self.label_smoothing} is not a share; choose 0 or more, and less "
                "than 1."
            )

    def __call__(self, logits: Tensor, targets: Tensor, training: bool) -> Tensor:
        """Return the loss of logits (B, C) for targets (B, C) between 0 and 1."""
        smoothing = self.label_smoothing if training else 0.0
        return F.binary_cross_entropy_with_logits(logits, targets * (1 - smoothing) + smoothing / 2)
