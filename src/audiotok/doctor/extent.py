"""How much the doctor examines: bounds that keep it under two minutes on two cores."""

from dataclasses import dataclass

from audiotok.errors import UserError
from audiotok.errors.ranges import Count, Seconds, Seed


@dataclass(frozen=True)
class Extent:
    """Bounds of what is read, trained and timed.

    Args:
        n_clips: Most clips that are read, of the training split and of the validation split.
        n_steps: Most steps of each short training.
        n_batches: Batches over which waiting for data is timed.
        n_permutations: Permutations of the labels from which chance is estimated.
        seconds: Most time for reading a split, for each short training and for each timing, s.
        seed: Seed of the draws.
    """

    n_clips: Count = 600
    n_steps: Count = 40
    n_batches: Count = 8
    n_permutations: Count = 20
    seconds: Seconds = 10.0
    seed: Seed = 0

    def __post_init__(self) -> None:
        least = {"n_clips": 2, "n_steps": 10, "n_batches": 2, "n_permutations": 5}
        for key, bound in least.items():
            if getattr(self, key) < bound:
                raise UserError(f"doctor.{key}={getattr(self, key)} is too small; choose {bound} or more.")
        if self.seconds <= 0:
            raise UserError(f"doctor.seconds={self.seconds} is too short; choose more than 0.")
        if self.seed < 0:
            raise UserError(f"doctor.seed={self.seed} is negative; choose 0 or more.")
