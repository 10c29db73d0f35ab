"""The classes of data among those of a run: by their ids, and else by their names."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from audiotok.data.clip import SoundClass
from audiotok.errors import UserError

_SHOWN = 5  # names in a message


@dataclass(frozen=True)
class Matching:
    """Classes that both sides know, C.

    Args:
        classes: As the data has them.
        of_data: Their places among the classes of the data, (C,).
        of_run: Their places among the classes of the run, (C,).
        only_data: Classes that the run does not know.
        only_run: Classes that the data does not have.
    """

    classes: list[SoundClass]
    of_data: np.ndarray
    of_run: np.ndarray
    only_data: list[SoundClass]
    only_run: list[SoundClass]

    def sentences(self) -> list[str]:
        """Say which classes are left out, and why."""
        sides = (
            ("of the data are not known to the run, and are not scored", self.only_data),
            ("of the run are not in the data, and their scores are left out", self.only_run),
        )
        return [f"{len(left):,} classes {why}: {_names(left)}." for why, left in sides if left]


def match(data: Sequence[SoundClass], run: Sequence[SoundClass]) -> Matching:
    """Match classes by id, then by name, whatever its capitals.

    Raises:
        UserError: None matches.
    """
    by_id = {one.id: place for place, one in enumerate(run)}
    pairs = {place: by_id[one.id] for place, one in enumerate(data) if one.id in by_id}
    taken = set(pairs.values())
    by_name = {one.name.casefold(): place for place, one in enumerate(run) if place not in taken}
    for place, one in enumerate(data):
        if place not in pairs and one.name.casefold() in by_name:
            pairs[place] = by_name.pop(one.name.casefold())
    if not pairs:
        raise UserError(
            f"No class of the data is known to the run: the data has {_names(data)}, and the run "
            f"{_names(run)}; give data with classes of these ids or names."
        )
    of_data, of_run = np.array(sorted(pairs.items())).T
    return Matching(
        [data[place] for place in of_data],
        of_data,
        of_run,
        [one for place, one in enumerate(data) if place not in pairs],
        [one for place, one in enumerate(run) if place not in set(of_run.tolist())],
    )


def _names(classes: Sequence[SoundClass]) -> str:
    more = f" and {len(classes) - _SHOWN:,} more" if len(classes) > _SHOWN else ""
    return ", ".join(one.name for one in classes[:_SHOWN]) + more
