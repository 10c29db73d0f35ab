"""Learning-rate schedules: the interface, and the options of the config group `schedule`."""

import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from audiotok.errors import UserError
from audiotok.errors.ranges import Share, ShareBelowOne


@runtime_checkable
class Schedule(Protocol):
    """What every option of the config group `schedule` builds."""

    def factor(self, step: int, n_steps: int) -> float:
        """Return the factor that scales the learning rate at a step, counted from 0."""
        ...


@dataclass(frozen=True)
class Constant:
    """Keep the learning rate constant after a linear warm-up.

    Args:
        warmup: Share of the training steps over which the rate rises linearly.

    Raises:
        UserError: The warm-up is not a share.
    """

    warmup: ShareBelowOne = 0.0

    def __post_init__(self) -> None:
        _check_warmup(self.warmup)

    def factor(self, step: int, n_steps: int) -> float:
        """Return the factor that scales the learning rate at a step."""
        return _warmup_factor(step, _warmup_steps(self.warmup, n_steps))


@dataclass(frozen=True)
class Cosine:
    """Warm up linearly, then decay along half a cosine.

    Source: I. Loshchilov, F. Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR 2017.

    Args:
        warmup: Share of the training steps over which the rate rises linearly.
        final: Factor that the rate decays to at the last step.

    Raises:
        UserError: One of the two is not a share.
    """

    warmup: ShareBelowOne = 0.1
    final: Share = 0.0

    def __post_init__(self) -> None:
        _check_warmup(self.warmup)
        if not 0 <= self.final <= 1:
            raise UserError(f"schedule.final={self.final} must lie between 0 and 1; change it.")

    def factor(self, step: int, n_steps: int) -> float:
        """Return the factor that scales the learning rate at a step."""
        n_warmup = _warmup_steps(self.warmup, n_steps)
        if step < n_warmup:
            return _warmup_factor(step, n_warmup)
        progress = min(1.0, (step - n_warmup) / max(1, n_steps - n_warmup))
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * progress)) / 2


def _warmup_steps(warmup: float, n_steps: int) -> int:
    """Return how many of the steps warm up, from a share between 0 and 1."""
    return round(warmup * n_steps)


def _warmup_factor(step: int, n_warmup: int) -> float:
    """Return the factor at a step of the warm-up: above 0 at the first step, 1 once it is over."""
    return min(1.0, (step + 1) / (n_warmup + 1))


def _check_warmup(warmup: float) -> None:
    if not 0 <= warmup < 1:
        raise UserError(f"schedule.warmup={warmup} must be at least 0 and below 1; change it.")
