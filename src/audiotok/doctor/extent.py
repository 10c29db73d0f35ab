"""How much the doctor looks at: bounds that keep it under two minutes on two cores."""

from dataclasses import dataclass

from audiotok.errors import UserError


@dataclass(frozen=True)
class Extent:
    """Bounds of what is read, trained and timed.

    Args:
        n_clips: Most clips that are listened to, of the training split and of the validation split.
        n_steps: Most steps of each short training.
        n_batches: Batches over which waiting is timed.
        n_permutations: Shufflings of the labels that chance is estimated from.
        seconds: Most time that reading a split, each short training and each timing may take, s.
        seed: Of the draws.
    """

    n_clips: int
    n_steps: int
    n_batches: int
    n_permutations: int
    seconds: float
    seed: int

    def __post_init__(self) -> None:
        least = {"n_clips": 2, "n_steps": 10, "n_batches": 2, "n_permutations": 5}
        for key, bound in least.items():
            if getattr(self, key) < bound:
                raise UserError(
                    f"doctor.{key}={getattr(self, key)} shows nothing yet; choose {bound} or more."
                )
        if self.seconds <= 0:
            raise UserError(f"doctor.seconds={self.seconds} is no time; choose more than 0.")
        if self.seed < 0:
            raise UserError(f"doctor.seed={self.seed} is no seed; choose 0 or more.")
