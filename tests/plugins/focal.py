"""Focal loss: clips that the model already gets right weigh less.

Source: T. Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017.
"""

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Focal:
    """Binary cross-entropy, each term weighted by how far its probability is from the target.

    Args:
        gamma: Power of that distance; 0 gives plain binary cross-entropy.
    """

    gamma: float = 2.0

    def __call__(self, logits: Tensor, targets: Tensor, training: bool) -> Tensor:
        """Return the loss of logits (B, C) for targets (B, C) between 0 and 1."""
        distance = (targets - logits.sigmoid()).abs()
        terms = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
        return (distance**self.gamma * terms).mean()
