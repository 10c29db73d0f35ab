"""Matching the names of files to listed clips, and choosing among several files of a clip."""

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from audiotok.data.audio import EXTENSIONS
from audiotok.data.clip import Findings, Location
from audiotok.data.layout.layout import Found

# The eleven characters of a YouTube id, and an optional _start, _start-end or _start_end; perhaps after a Y.
_ID_AND_TIMES = r"([A-Za-z0-9_-]{11})(?:_(\d+(?:\.\d+)?)(?:[-_]\d+(?:\.\d+)?)?)?"
_STEMS = (re.compile(_ID_AND_TIMES), re.compile("Y" + _ID_AND_TIMES))


class Spelling(NamedTuple):
    """A YouTube id, and the start in the name, if it has one."""

    id: str
    start: float | None = None


def read_stem(stem: str, ids: Container[str] | None) -> Spelling | None:
    """Return the listed YouTube id that a file name stands for, or None; without a list, the first match.

    The forms `<id>`, `Y<id>`, `<id>_<start>`, `<id>_<start>-<end>` and `<id>_<start>_<end>` are recognised.
    Ids may themselves begin with `Y`, `-` or `_` and contain `_`, so a name is never split: the list decides.
    """
    if ids is not None and stem in ids:
        return Spelling(stem)
    for pattern in _STEMS:
        match = pattern.fullmatch(stem)
        if match and (ids is None or match[1] in ids):
            return Spelling(match[1], float(match[2]) if match[2] else None)
    return None


def id_of_stem(stem: str, ids: Container[str] | None) -> str | None:
    """Return the id of `read_stem`."""
    spelling = read_stem(stem, ids)
    return spelling.id if spelling else None


def locate(
    found: Iterable[Found],
    ids: Container[str],
    findings: Findings,
    left_over: dict[str, str],
    starts: Mapping[str, float | None] = MappingProxyType({}),
    further: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> dict[str, Location]:
    """Return the locations of listed clips among those found in a folder, by id.

    Of several files of a clip, an empty one is taken last; of the others the one with the first extension in
    `EXTENSIONS`, and among equals the first that was found. A file whose name has a start other than the
    listed one is another segment of the video, and is not taken. Where several segments of a video are
    listed, the start in the name tells which one a file is; without a start it is the first.

    Args:
        found: The clips in the folder.
        ids: The listed ids.
        findings: Receives the clips that were found more than once.
        left_over: Receives the names of clips that are not listed, by location.
        starts: Where the listed clips start in their videos, s; None if that is not known.
        further: Ids of the further segments of videos, by the id of the video; each has a start.
    """
    clips, spelled, named = list(found), [], {}
    for place, clip in enumerate(clips):
        spelling = read_stem(clip.name, ids)
        id_ = spelling and _segment(spelling, starts, further)
        spelled.append(id_)
        # few have a start, and there may be millions
        if spelling and id_ and spelling.start is not None and starts.get(id_) is not None:
            named[place] = spelling.start, starts[id_]
    others = _other_segments(named)
    chosen: dict[str, Found] = {}
    for place, (clip, id_) in enumerate(zip(clips, spelled, strict=True)):
        if id_ is None or place in others:
            left_over[str(clip.location)] = clip.name
            continue
        if id_ in chosen:
            findings.found_twice.add(id_)
        if id_ not in chosen or _rank(clip) < _rank(chosen[id_]):
            chosen[id_] = clip
    return {id_: clip.location for id_, clip in chosen.items()}


def _segment(
    spelling: Spelling, starts: Mapping[str, float | None], further: Mapping[str, Sequence[str]]
) -> str:
    """Return the id of the listed segment that a spelling means."""
    if spelling.id not in further:
        return spelling.id
    listed = [id_ for id_ in (spelling.id, *further[spelling.id]) if id_ in starts]
    agreeing = (id_ for id_ in listed if spelling.start is not None and _agrees(spelling.start, starts[id_]))
    return next(agreeing, listed[0])


def _other_segments(named: Mapping[int, tuple[float, float | None]]) -> set[int]:
    """Return the places of clips whose names have another start than the list, from both starts by place.

    A number in a name is taken for a start, s or ms, only if at least half of them agree with the list.
    """
    others = {place for place, (start, listed) in named.items() if not _agrees(start, listed)}
    return others if 2 * len(others) <= len(named) else set()


def _agrees(named: float, listed: float | None) -> bool:
    listed = listed or 0.0
    return abs(named - listed) < 1 or abs(named / 1000 - listed) < 0.001  # some names are rounded


def _rank(clip: Found) -> tuple[bool, int]:
    extension = clip.location.path.rpartition(".")[2].lower()
    return clip.is_empty, EXTENSIONS.index(extension) if extension in EXTENSIONS else len(EXTENSIONS)
