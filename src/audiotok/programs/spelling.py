"""What a misspelt override may have meant."""

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path

from audiotok.programs.composition import compose_program, public_keys
from audiotok.programs.options import groups_of
from audiotok.run.upgrade import RENAMED, ROOT

_ALIKE, _VERY_ALIKE = 0.75, 0.9  # of difflib's ratio
_SHOWN = 3


def suggestions(name: str, overrides: Sequence[str], folders: Sequence[Path]) -> Iterator[str]:
    """Return a sentence for each override that names an option or a key that does not exist.

    Args:
        name: Of the program's YAML.
        overrides: As on its command line; those that add a key (`+key=value`) may name any.
        folders: Where options lie.
    """
    groups = groups_of(folders)
    named = [override.partition("=")[::2] for override in overrides if not override.startswith(("+", "~"))]
    options = {key: value.split(",") for key, value in named if key in groups}
    for group, values in options.items():
        for value in values:
            close = get_close_matches(value, groups[group], _SHOWN)
            if close and value not in groups[group]:
                meant = " or ".join(f"{group}={option}" for option in close)
                yield f"{group}={value} is not an option; did you mean {meant}?"
    chosen = {group: values[0] for group, values in options.items() if values[0] in groups[group]}
    config = compose_program(name, [f"{group}={option}" for group, option in chosen.items()], folders)
    keys = [key for key, value in public_keys(config).items() if not str(value).startswith("${")]
    parents = {key[:end] for key in public_keys(config) for end in range(len(key)) if key[end] == "."}
    for key, value in named:
        if key in groups or key in public_keys(config) or key in parents or key.startswith("hydra"):
            continue
        if "_target_" in key:  # not a key that is shown
            continue
        if key in RENAMED[ROOT]:
            now = RENAMED[ROOT][key]
            yield f"{key}={value} was renamed; write {now}={value}."
            continue
        group = key.partition(".")[0]
        beside = [other.removeprefix(f"{group}.") for other in keys if other.startswith(f"{group}.")]
        if close := closest(key, [k for k in keys if "." in k] if "." in key else [*keys, *groups]):
            yield f"{key}={value} is not a key; did you mean {' or '.join(close)}?"
        elif beside:
            option = config["hydra"]["runtime"]["choices"].get(group)
            where = f"{group}={option}" if option else group
            yield f"{key}={value} is not a key; those of {where} are {', '.join(beside)}."


def closest(key: str, keys: Sequence[str]) -> list[str]:
    """Return the keys that a misspelt one may have meant, the likeliest first.

    A key may also be that of another group, `model.lr` for `optimizer.lr`, or lack its group.
    """
    if likely := get_close_matches(key, keys, 1, _VERY_ALIKE):
        return likely
    last_parts = [candidate.rpartition(".")[2] for candidate in keys]
    alike = get_close_matches(key.rpartition(".")[2], set(last_parts), _SHOWN, _ALIKE)
    elsewhere = [keys[i] for part in alike for i, other in enumerate(last_parts) if other == part]
    return list(dict.fromkeys([*get_close_matches(key, keys, 1, _ALIKE), *elsewhere]))[:_SHOWN]
