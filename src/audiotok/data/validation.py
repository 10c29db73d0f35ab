"""The choice of training clips that are set aside for validation."""

import hashlib
from dataclasses import dataclass

from audiotok.errors import UserError
from audiotok.errors.ranges import Seed, ShareBelowOne


@dataclass(frozen=True, slots=True)
class Validation:
    """Set training clips aside by the first character of their ids, or by a seeded random choice.

    The choice depends on each id alone, so a clip that goes missing does not move any other.

    Args:
        first_characters: Clips whose id begins with one of these characters are for validation; "" for none.
        fraction: Fraction of the clips for validation, 0 to 1.
        seed: Seed of the random choice.
    """

    first_characters: str = ""
    fraction: ShareBelowOne = 0.1
    seed: Seed = 0

    def __post_init__(self) -> None:
        if self.first_characters and self.fraction:
            raise UserError(
                f"data.validation.first_characters={self.first_characters} and "
                f"data.validation.fraction={self.fraction} exclude each other; "
                'set the fraction to 0 or first_characters to "".'
            )
        if not 0 <= self.fraction < 1:
            raise UserError(
                f"data.validation.fraction={self.fraction} is out of range; choose 0 or more, below 1."
            )

    def takes(self, id_: str) -> bool:
        """Tell whether the clip, or group of clips, with this id is for validation."""
        if self.first_characters:
            return id_[:1] in self.first_characters
        digest = hashlib.blake2b(f"{self.seed}:{id_}".encode(), digest_size=8).digest()
        return int.from_bytes(digest) < self.fraction * 2**64
