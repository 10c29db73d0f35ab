"""The linear warm-up that every schedule begins with."""

from audiotok.errors import UserError


def warmup_steps(warmup: float, n_steps: int) -> int:
    """Return how many of the steps warm up, from a share between 0 and 1."""
    return round(warmup * n_steps)


def warmup_factor(step: int, n_warmup: int) -> float:
    """Return the learning rate's factor at a step of the warm-up: above 0 at first, 1 after it."""
    return min(1.0, (step + 1) / (n_warmup + 1))


def check_warmup(warmup: float) -> None:
    """Raise `UserError` where the warm-up is no share of the training."""
    if not 0 <= warmup < 1:
        raise UserError(
            f"schedule.warmup={warmup} is no share of the training steps; choose 0 or more, and less than 1."
        )
