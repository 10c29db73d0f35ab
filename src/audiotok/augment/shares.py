"""The check of all keys that say how often something happens."""

from audiotok.errors import UserError


def check_shares(**shares: float) -> None:
    """Raise `UserError` for a key of the group `augment` that is no share; `sound__mix` is `sound.mix`."""
    for name, share in shares.items():
        if not 0 <= share <= 1:
            key = name.replace("__", ".")
            raise UserError(f"augment.{key}={share} is no share; choose 0 to 1.")
