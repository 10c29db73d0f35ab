"""The check of all keys of the group `augment` that are shares."""

from audiotok.errors import UserError


def check_shares(**shares: float) -> None:
    """Raise `UserError` for a share outside 0 .. 1; `sound__mix` stands for the key `augment.sound.mix`."""
    for name, share in shares.items():
        if not 0 <= share <= 1:
            key = name.replace("__", ".")
            raise UserError(f"augment.{key}={share} is not a share; choose 0 to 1.")
