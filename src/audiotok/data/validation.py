"""Which training clips are set aside for validation."""

import hashlib
from dataclasses import dataclass

from audiotok.errors import UserError


@dataclass(frozen=True, slots=True)
class Validation:
    """Set training clips aside by what their id begins with, or a seeded fraction of them.

    A clip's place depends on its own id alone, so that a clip that goes missing moves no other.

    Args:
        first_characters: Ids that begin with one of these validate; "" for none.
        fraction: Share of the ids that validate, 0 to 1.
        seed: Chooses which ids make up the fraction.
    """

    first_characters: str = ""
    fraction: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        if self.first_characters and self.fraction:
            raise UserError(
                f"data.validation.first_characters={self.first_characters} and "
                f"data.validation.fraction={self.fraction} exclude each other; "
                'set the fraction to 0 or first_characters to "".'
            )
        if not 0 <= self.fraction < 1:
            raise UserError(
                f"data.validation.fraction={self.fraction} is not a share of the clips; "
                "choose 0 or more, and less than 1."
            )

    def takes(self, id_: str) -> bool:
        """Tell whether the clip, or group of clips, of this id is for validation."""
        if self.first_characters:
            return id_[:1] in self.first_characters
        digest = hashlib.blake2b(f"{self.seed}:{id_}".encode(), digest_size=8).digest()
        return int.from_bytes(digest) < self.fraction * 2**64
