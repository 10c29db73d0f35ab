"""Twins: clips of different splits that have the same bytes; their scores are of what was learnt by heart."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from audiotok.data.clip import SPLITS, Split
from audiotok.data.corpus.catalogue import Catalogue

_SHOWN = 3  # pairs that are kept
_WORDS: dict[Split, str] = {"train": "training", "val": "validation", "test": "test"}


@dataclass(frozen=True, slots=True)
class Twins:
    """The clips of a split that have the bytes of a clip of another.

    Args:
        split: Theirs.
        of: The other.
        n: How many there are.
        examples: Ids of the first three, each with one that has its bytes.
    """

    split: Split
    of: Split
    n: int
    examples: list[list[str]]

    def __str__(self) -> str:
        one, other = self.examples[0]
        return (
            f"{self.n:,} clips of the {_WORDS[self.split]} split have the bytes of a {_WORDS[self.of]} clip, "
            f"for example {one} and {other}"
        )


def find_twins(usable: Catalogue) -> list[Twins]:
    """Find the clips that have the digest of a clip of a split before theirs, pair of splits by pair.

    Where only headers were read, these are the short files of equal bytes, and of longer ones those whose
    names, sizes and times are equal, too.

    Args:
        usable: Clips of all splits.
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
            found.append(Twins(split, of, len(places), [list(pair) for pair in pairs]))
    return found
