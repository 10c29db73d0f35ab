"""Half a cosine from the highest learning rate down.

Source: I. Loshchilov, F. Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR 2017.
"""

import math
from dataclasses import dataclass

from audiotok.errors import UserError
from audiotok.schedule.warmup import check_warmup, warmup_factor, warmup_steps


@dataclass(frozen=True)
class Cosine:
    """Warm up, then fall along a cosine.

    Args:
        warmup: Share of the training steps over which the rate rises linearly.
        final: Factor that it falls towards, reached when the last step is done.
    """

    warmup: float
    final: float

    def __post_init__(self) -> None:
        check_warmup(self.warmup)
        if not 0 <= self.final <= 1:
            raise UserError(f"schedule.final={self.final} is no share of the learning rate; choose 0 to 1.")

    def factor(self, step: int, n_steps: int) -> float:
        """Return what the learning rate is multiplied by at a step."""
        n_warmup = warmup_steps(self.warmup, n_steps)
        if step < n_warmup:
            return warmup_factor(step, n_warmup)
        progress = min(1.0, (step - n_warmup) / max(1, n_steps - n_warmup))
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * progress)) / 2
