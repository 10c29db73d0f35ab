"""The settings in which runs differ: one column for each that is not implied by another."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from audiotok.run.jobs import REPLICATED, short_names

ABSENT = None  # for a key that a run's configuration lacks; null in YAML becomes the text "null"
Value = float | str | None


@dataclass(frozen=True, slots=True)
class Setting:
    """One key in which runs differ.

    Args:
        key: Dotted, as on the command line.
        label: The shortest end of the key that no other setting has.
        values: The value in every run: a finite number, a text, or ABSENT.
        implied: Other keys that follow from this one, and have no column of their own.
    """

    key: str
    label: str
    values: tuple[Value, ...]
    implied: tuple[str, ...]

    @property
    def replicated(self) -> bool:
        """Whether runs that differ only in it are replicates of each other."""
        return self.key in REPLICATED


def differing(configurations: Sequence[dict[str, Any]]) -> list[Setting]:
    """Return the settings that are not the same in all runs, in the order of their keys.

    A key that follows from another one is left out: it has the same name and the same values (it was
    interpolated), or it belongs to an option, so that some runs lack it, and separates runs no further than a
    key of the same group does.

    Args:
        configurations: One flat dictionary a run; an empty one, of a run without a configuration, is ignored.
    """
    known = [bool(configuration) for configuration in configurations]
    keys = dict.fromkeys(key for configuration in configurations for key in configuration)
    columns = {
        key: tuple(
            _plain(configuration.get(key, ABSENT), key in configuration) for configuration in configurations
        )
        for key in _targets_first(keys)
    }
    kept: dict[str, list[str]] = {}
    for key, values in columns.items():
        if len({value for value, counts in zip(values, known, strict=True) if counts}) < 2:
            continue
        leader = next((other for other in kept if _follows(key, other, columns, known)), None)
        kept.setdefault(leader or key, []).extend([key] if leader else [])
    order = {key: place for place, key in enumerate(keys)}
    plain = [key.removesuffix("._target_") for key in kept]  # the key of a class is named by its group
    labels = dict(zip(kept, short_names(plain), strict=True))
    return [
        Setting(key, labels[key], _shown(key, columns[key]), tuple(kept[key]))
        for key in sorted(kept, key=order.__getitem__)
    ]


def _targets_first(keys: dict[str, None]) -> list[str]:
    """Put seeds and options before the keys that follow from them."""
    return sorted(keys, key=lambda key: (key not in REPLICATED, not key.endswith("_target_"), key.count(".")))


def _follows(key: str, leader: str, columns: dict[str, tuple[Value, ...]], known: list[bool]) -> bool:
    own, led = columns[key], columns[leader]
    if own == led and key.rpartition(".")[2] == leader.rpartition(".")[2]:
        return True
    if key.partition(".")[0] != leader.partition(".")[0]:
        return False
    pairs = [(b, a) for a, b, counts in zip(own, led, known, strict=True) if counts]
    lacking = any(a is ABSENT for _, a in pairs)
    return lacking and len(set(pairs)) == len({b for b, _ in pairs})


def _plain(value: Any, present: bool) -> Value:
    if not present:
        return ABSENT
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    is_number = isinstance(value, int | float) and math.isfinite(value)
    return value if is_number else str(value)  # nan becomes text: JSON lacks it, and it equals nothing


def _shown(key: str, values: tuple[Value, ...]) -> tuple[Value, ...]:
    """Shorten the paths of classes to their names, if these still differ."""
    if not key.endswith("_target_"):
        return values
    short = {value: value.rpartition(".")[2] for value in values if isinstance(value, str)}
    if len(set(short.values())) < len(short):
        return values
    return tuple(short[value] if isinstance(value, str) else value for value in values)
