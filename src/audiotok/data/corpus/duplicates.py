"""Duplicates: clips in different splits with the same sound, for which scores only measure memorisation.

They have the same bytes, or are stretches of one recording that overlap.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations, groupby
from typing import Any

import numpy as np
import pyarrow.compute as pc

from audiotok.data.clip import SPLITS, Split
from audiotok.data.corpus.catalogue import Catalogue

_SHOWN = 3  # pairs in `examples`
_TOUCHING = 0.01  # s; stretches that share less lie side by side
_WORDS: dict[Split, str] = {"train": "training", "val": "validation", "test": "test"}


@dataclass(frozen=True, slots=True)
class Duplicates:
    """The clips of one split that have the same bytes as a clip of another split, or overlap with one.

    Args:
        split: Their split.
        of: The other split.
        n: Number of such clips.
        examples: The first three pairs of ids: a clip of this split, and one of the other.
        overlap: Whether they share some seconds of a recording, and not their bytes.
    """

    split: Split
    of: Split
    n: int
    examples: list[list[str]]
    overlap: bool = False

    def __str__(self) -> str:
        one, other = self.examples[0]
        share = "overlap in their recording with" if self.overlap else "have the same bytes as"
        return (
            f"{self.n:,} {_WORDS[self.split]} clips {share} a {_WORDS[self.of]} clip, "
            f"for example {one} and {other}"
        )


def find_duplicates(usable: Catalogue) -> list[Duplicates]:
    """Find clips with the digest of a clip of an earlier split, or that overlap with one.

    If only headers were read, a long file counts as a duplicate only if its name, size and time are equal,
    too.

    Args:
        usable: Usable clips of all splits.
    """
    clips = {split: usable.select(usable.where("split", split)) for split in SPLITS}
    found = []
    for of, split in combinations(SPLITS, 2):
        order = np.argsort(clips[of].digests, kind="stable")
        known, asked = clips[of].digests[order], clips[split].digests
        first = np.searchsorted(known, asked)
        places = np.flatnonzero(first < np.searchsorted(known, asked, "right"))
        if len(places):
            some = places[:_SHOWN]
            pairs = zip(clips[split].ids(some), clips[of].ids(order[first[some]]), strict=True)
            found.append(Duplicates(split, of, len(places), [list(pair) for pair in pairs]))
    return [*found, *_overlaps(usable)]


def _overlaps(usable: Catalogue) -> list[Duplicates]:
    """Find stretches that overlap with a clip of an earlier split in their recording."""
    columns = ["path", "entry", "start", "id", "split", "end", "seconds", "digest"]
    table = usable.table().select(columns)
    is_stretch = pc.or_(pc.greater(table["start"], 0.0), pc.is_valid(table["end"]))
    recordings = pc.unique(table.filter(is_stretch)["path"])
    if not len(recordings):
        return []
    table = table.filter(pc.is_in(table["path"], recordings))
    rows = table.sort_by([(name, "ascending") for name in columns[:4]]).to_pylist()
    pairs: dict[tuple[Split, Split], dict[str, str]] = {}
    for _, group in groupby(rows, key=lambda row: (row["path"], row["entry"])):
        clips = list(group)
        for clip, other in (*_earlier(clips), *_later(clips)):
            of, split = sorted((clip["split"], other["split"]), key=SPLITS.index)
            if split == clip["split"] and clip["digest"] != other["digest"]:
                pairs.setdefault((split, of), {}).setdefault(clip["id"], other["id"])
    return [
        Duplicates(split, of, len(found), [list(pair) for pair in sorted(found.items())[:_SHOWN]], True)
        for (split, of), found in sorted(pairs.items(), key=lambda item: [SPLITS.index(s) for s in item[0]])
    ]


def _earlier(clips: Iterable[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Pair clips, sorted by start, with those of other splits that start before them and end within them."""
    latest: dict[Split, dict[str, Any]] = {}  # the clip that ends last
    for clip in clips:
        for split, other in latest.items():
            if split != clip["split"] and _end(other) > clip["start"] + _TOUCHING:
                yield clip, other
        known = latest.get(clip["split"])
        if known is None or _end(clip) > _end(known):
            latest[clip["split"]] = clip


def _later(clips: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Pair clips, sorted by start, with the next ones of other splits, if these start before they end."""
    following: dict[Split, dict[str, Any]] = {}
    for clip in reversed(clips):
        for split, other in following.items():
            if split != clip["split"] and other["start"] < _end(clip) - _TOUCHING:
                yield clip, other
        following[clip["split"]] = clip


def _end(clip: dict[str, Any]) -> float:
    return float(clip["start"] + clip["seconds"])
