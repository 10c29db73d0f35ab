"""Duplicates: clips in different splits with the same bytes, for which scores only measure memorisation."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from audiotok.data.clip import SPLITS, Split
from audiotok.data.corpus.catalogue import Catalogue

_SHOWN = 3  # pairs in `examples`
_WORDS: dict[Split, str] = {"train": "training", "val": "validation", "test": "test"}


@dataclass(frozen=True, slots=True)
class Duplicates:
    """The clips of one split that have the same bytes as a clip of another split.

    Args:
        split: Their split.
        of: The other split.
        n: Number of such clips.
        examples: The first three pairs of ids: a clip of this split, and one of the other.
    """

    split: Split
    of: Split
    n: int
    examples: list[list[str]]

    def __str__(self) -> str:
        one, other = self.examples[0]
        return (
            f"{self.n:,} {_WORDS[self.split]} clips have the same bytes as a {_WORDS[self.of]} clip, "
            f"for example {one} and {other}"
        )


def find_duplicates(usable: Catalogue) -> list[Duplicates]:
    """Find clips with the digest of a clip of an earlier split, for each pair of splits.

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
    return found
