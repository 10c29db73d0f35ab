"""How logits become probabilities: each class by itself, or all classes together."""

from typing import Literal, get_args

from torch import Tensor

# sigmoid: classes are independent, and a clip has any number of them; softmax: a clip has one class.
Activation = Literal["sigmoid", "softmax"]
ACTIVATIONS: tuple[Activation, ...] = get_args(Activation)
_LEAST_PRIOR = 1e-3  # probability that a class begins at which no training clip has


def activate(logits: Tensor, activation: Activation) -> Tensor:
    """Return the probabilities (..., C) of logits (..., C)."""
    return logits.sigmoid() if activation == "sigmoid" else logits.softmax(-1)


def prior_logits(class_prior: Tensor, activation: Activation) -> Tensor:
    """Return the logits (C,) whose probabilities are how often each class is heard (C,)."""
    prior = class_prior.clamp(_LEAST_PRIOR, 1 - _LEAST_PRIOR)
    return prior.logit() if activation == "sigmoid" else prior.log()
