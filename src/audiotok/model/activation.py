"""How logits become probabilities: each class by itself, or all classes together."""

from typing import Literal, get_args

from torch import Tensor

# sigmoid: classes are independent, and a clip has any number of them; softmax: a clip has one class.
Activation = Literal["sigmoid", "softmax"]
ACTIVATIONS: tuple[Activation, ...] = get_args(Activation)


def activate(logits: Tensor, activation: Activation) -> Tensor:
    """Return the probabilities (..., C) of logits (..., C)."""
    return logits.sigmoid() if activation == "sigmoid" else logits.softmax(-1)
