"""Losses: the interface, and the options of the config group `loss`."""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Protocol, runtime_checkable

from torch import Tensor
from torch.nn import functional as F

from audiotok.errors import UserError
from audiotok.errors.ranges import ShareBelowOne
from audiotok.model.activation import Activation


@runtime_checkable
class Loss(Protocol):
    """What every option of the config group `loss` builds.

    An attribute `activation` says how logits become probabilities; "sigmoid" where there is none. A
    constructor that takes `single_labels` is told whether every clip has exactly one label.
    """

    def __call__(self, logits: Tensor, targets: Tensor, training: bool) -> Tensor:
        """Return the loss of logits (B, C) for targets (B, C) between 0 and 1, a scalar.

        Args:
            logits: float32
            targets: Labels; mixed clips have weighted means of labels.
            training: Whether a training batch is scored, or clips of validation or test.
        """
        ...


def activation_of(loss: Loss) -> Activation:
    """Return how the logits that a loss is for become probabilities."""
    return getattr(loss, "activation", "sigmoid")


@dataclass(frozen=True)
class BCE:
    """Binary cross-entropy of each class by itself, averaged over clips and classes.

    Args:
        label_smoothing: Share of a target that is replaced by 0.5, in training only (C. Szegedy et al.,
            "Rethinking the Inception Architecture for Computer Vision", CVPR 2016).

    Raises:
        UserError: The smoothing is not a share.
    """

    activation: ClassVar[Activation] = "sigmoid"
    label_smoothing: ShareBelowOne = 0.0

    def __post_init__(self) -> None:
        _check_smoothing(self.label_smoothing)

    def __call__(self, logits: Tensor, targets: Tensor, training: bool) -> Tensor:
        """Return the loss of logits (B, C) for targets (B, C) between 0 and 1."""
        smoothing = self.label_smoothing if training else 0.0
        return F.binary_cross_entropy_with_logits(logits, targets * (1 - smoothing) + smoothing / 2)


@dataclass(frozen=True)
class CrossEntropy:
    """Cross-entropy of all classes together (softmax), averaged over clips: for clips of one class each.

    Targets of mixed clips may add up to more than 1, and are scaled to add up to 1.

    Args:
        label_smoothing: Share of a target that is spread over all classes alike, in training only (C. Szegedy
            et al., "Rethinking the Inception Architecture for Computer Vision", CVPR 2016).
        single_labels: Whether there are several classes and every clip has exactly one of them.

    Raises:
        UserError: The smoothing is not a share, or some clip has no label or several.
    """

    activation: ClassVar[Activation] = "softmax"
    label_smoothing: ShareBelowOne = 0.0
    single_labels: bool = True

    def __post_init__(self) -> None:
        _check_smoothing(self.label_smoothing)
        if not self.single_labels:
            raise UserError(
                "loss=cross_entropy is for two classes or more and exactly one label for every clip, which "
                "these data do not have; choose loss=bce, or auto."
            )

    def __call__(self, logits: Tensor, targets: Tensor, training: bool) -> Tensor:
        """Return the loss of logits (B, C) for targets (B, C) between 0 and 1; without any, a clip adds 0."""
        shares = targets / targets.sum(1, keepdim=True).clamp(min=1e-6)
        return F.cross_entropy(logits, shares, label_smoothing=self.label_smoothing if training else 0.0)


@dataclass(frozen=True)
class Auto:
    """`CrossEntropy` where every clip has exactly one label, `BCE` elsewhere.

    Args:
        label_smoothing: That of the loss that is chosen.
        single_labels: Whether there are several classes and every clip has exactly one of them.
    """

    label_smoothing: ShareBelowOne = 0.0
    single_labels: bool = False

    @cached_property
    def chosen(self) -> BCE | CrossEntropy:
        """The loss that the labels call for."""
        return CrossEntropy(self.label_smoothing) if self.single_labels else BCE(self.label_smoothing)

    @property
    def activation(self) -> Activation:
        """How logits become probabilities."""
        return self.chosen.activation

    def __call__(self, logits: Tensor, targets: Tensor, training: bool) -> Tensor:
        """Return the loss of logits (B, C) for targets (B, C) between 0 and 1."""
        return self.chosen(logits, targets, training)


def _check_smoothing(label_smoothing: float) -> None:
    if not 0 <= label_smoothing < 1:
        raise UserError(
            f"loss.label_smoothing={label_smoothing} is not a share; choose 0 or more, and less than 1."
        )
