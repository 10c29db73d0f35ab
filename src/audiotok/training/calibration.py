"""From logits to probabilities that mean something: the map that validation has chosen, and thresholds.

It is kept in a run's folder and applied wherever the run tags sounds. Importing this takes neither Lightning
nor torchmetrics.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from audiotok.model.activation import ACTIVATIONS, Activation, activate


@dataclass(frozen=True)
class Calibration:
    """The probabilities of logits, and the threshold of each class.

    Logits are scaled and shifted, each class by its own numbers, before the activation: equal scales and
    offsets of 0 are a temperature (C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017),
    others Platt scaling (J. Platt, "Probabilistic Outputs for Support Vector Machines", 1999).

    Args:
        activation: How logits become probabilities.
        scale: What the logits of each class are multiplied by, more than 0, (C,).
        offset: What is added to them then, (C,).
        thresholds: Probability above which each class counts as heard, (C,).
    """

    activation: Activation
    scale: tuple[float, ...]
    offset: tuple[float, ...]
    thresholds: tuple[float, ...]

    @classmethod
    def plain(
        cls, n_classes: int, activation: Activation = "sigmoid", threshold: float = 0.5
    ) -> "Calibration":
        """Return the map that leaves logits as they are, with one threshold for all classes."""
        return cls(activation, (1.0,) * n_classes, (0.0,) * n_classes, (threshold,) * n_classes)

    def probabilities(self, logits: Tensor) -> Tensor:
        """Return the probabilities (..., C), float32, of logits (..., C)."""
        logits = logits.float()
        return activate(
            logits * logits.new_tensor(self.scale) + logits.new_tensor(self.offset), self.activation
        )

    def heard(self, probabilities: Tensor) -> Tensor:
        """Tell which classes count as heard, bool (..., C): any number of them, or none.

        With softmax only the most probable class can be.
        """
        candidates = only_candidates(probabilities, self.activation)
        return candidates > candidates.new_tensor(self.thresholds)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], n_classes: int) -> "Calibration":
        """Read what `as_dict` gave for a number of classes.

        Raises:
            ValueError: It is damaged, or of another number of classes.
        """
        activation = content.get("activation")
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation {activation!r:.20} is not one of {', '.join(ACTIVATIONS)}")
        scale, offset, thresholds = (
            _numbers(content, name, n_classes) for name in ("scale", "offset", "thresholds")
        )
        if min(scale) <= 0 or not all(0 <= threshold <= 1 for threshold in thresholds):
            raise ValueError("a scale is not above 0, or a threshold not a probability")
        return cls(activation, scale, offset, thresholds)


def only_candidates(probabilities: Tensor, activation: Activation) -> Tensor:
    """Return probabilities (..., C) with 0 for every class that cannot count as heard.

    That is none with sigmoid, and all but the most probable class with softmax.
    """
    if activation == "sigmoid":
        return probabilities
    best = probabilities.max(-1, keepdim=True)
    return probabilities.new_zeros(probabilities.shape).scatter(-1, best.indices, best.values)


def _numbers(content: Mapping[str, Any], name: str, n_classes: int) -> tuple[float, ...]:
    values = content.get(name)
    if not isinstance(values, Sequence) or isinstance(values, str) or len(values) != n_classes or not values:
        raise ValueError(f"{name} is not a list of {n_classes} numbers")
    if not all(type(value) in (int, float) and abs(value) < 1e30 for value in values):
        raise ValueError(f"{name} holds what is not a finite number")
    return tuple(map(float, values))
