"""Limits on the length and the level of the clips that are used."""

from dataclasses import dataclass

from audiotok.errors import UserError
from audiotok.errors.ranges import Decibels, NotNegative, Positive


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits on the clips that are used, files or stretches of files; others are skipped.

    Args:
        min_seconds: Shorter clips are skipped, s. Clips between this and the clip length are padded.
        max_seconds: Longer clips are skipped, s. Clips between the clip length and this are cropped.
        silence_db: Clips whose loudest sample is below this level are skipped, dB relative to full scale.
    """

    min_seconds: NotNegative = 0.5
    max_seconds: Positive = 60.0
    silence_db: Decibels = -80.0

    def __post_init__(self) -> None:
        if not 0 <= self.min_seconds < self.max_seconds:
            raise UserError(
                f"data.limits.min_seconds={self.min_seconds} is not between 0 and "
                f"data.limits.max_seconds={self.max_seconds}; lower min_seconds or raise max_seconds."
            )
