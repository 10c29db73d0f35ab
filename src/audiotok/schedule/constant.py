"""The same learning rate from the end of the warm-up on."""

from dataclasses import dataclass

from audiotok.schedule.warmup import check_warmup, warmup_factor, warmup_steps


@dataclass(frozen=True)
class Constant:
    """Keep the learning rate.

    Args:
        warmup: Share of the training steps over which the rate rises linearly.
    """

    warmup: float

    def __post_init__(self) -> None:
        check_warmup(self.warmup)

    def factor(self, step: int, n_steps: int) -> float:
        """Return what the learning rate is multiplied by at a step."""
        return warmup_factor(step, warmup_steps(self.warmup, n_steps))
