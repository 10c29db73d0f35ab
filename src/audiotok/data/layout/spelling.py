"""Matching the names of files to listed clips, and choosing among several files of a clip."""

import re
from collections.abc import Container, Iterable

from audiotok.data.clip import Findings, Location
from audiotok.data.layout.layout import Found
from audiotok.data.reading.audio import EXTENSIONS

# The eleven characters of a YouTube id and an optional _start or _start-end; optionally after a Y.
_ID_AND_TIMES = r"([A-Za-z0-9_-]{11})(?:_\d+(?:\.\d+)?(?:-\d+(?:\.\d+)?)?)?"
_STEMS = (re.compile(_ID_AND_TIMES), re.compile("Y" + _ID_AND_TIMES))


def id_of_stem(stem: str, ids: Container[str] | None) -> str | None:
    """Return the listed YouTube id that a file name stands for, or None; without a list, the first match.

    The forms `<id>`, `Y<id>`, `<id>_<start>` and `<id>_<start>-<end>` are recognised. Ids may themselves
    begin with `Y`, `-` or `_` and contain `_`, so a name is never split: the list decides.
    """
    if ids is not None and stem in ids:
        return stem
    for pattern in _STEMS:
        match = pattern.fullmatch(stem)
        if match and (ids is None or match[1] in ids):
            return match[1]
    return None


def locate(
    found: Iterable[Found], ids: Container[str], findings: Findings, left_over: dict[str, str]
) -> dict[str, Location]:
    """Return the locations of listed clips among those found in a folder, by id.

    Of several files of a clip, the one with the first extension in `EXTENSIONS` is taken, and among equals
    the first that was found.

    Args:
        found: The clips in the folder.
        ids: The listed ids.
        findings: Receives the clips that were found more than once.
        left_over: Receives the names of clips that are not listed, by location.
    """
    locations: dict[str, Location] = {}
    for clip in found:
        id_ = id_of_stem(clip.name, ids)
        if id_ is None:
            left_over[str(clip.location)] = clip.name
            continue
        if id_ in locations:
            findings.found_twice.add(id_)
        if id_ not in locations or _rank(clip.location) < _rank(locations[id_]):
            locations[id_] = clip.location
    return locations


def _rank(location: Location) -> int:
    extension = location.path.rpartition(".")[2].lower()
    return EXTENSIONS.index(extension) if extension in EXTENSIONS else len(EXTENSIONS)
