"""What the splits of a corpus lack: classes that only others have, and clips."""

from collections.abc import Mapping, Sequence

import numpy as np

from audiotok.data.clip import SPLITS, SoundClass, Split
from audiotok.data.corpus.catalogue import Catalogue

_SHOWN = 10  # classes of a split


def sentences(classes: Sequence[SoundClass], clips: Mapping[Split, Catalogue]) -> list[str]:
    """Name the classes that one split has and another lacks, and the splits of one clip, a sentence each.

    Args:
        classes: Of the corpus, (C,).
        clips: Usable clips of each split.
    """
    counts = {split: clips[split].class_counts(len(classes)) for split in SPLITS}
    occurs = np.sum([*counts.values()], axis=0) > 0
    absent = {split: _listed(classes, occurs & (counts[split] == 0)) for split in SPLITS}
    said = [f"{split} has no {names}" for split, names in absent.items() if names and len(clips[split])]
    single = [split for split in SPLITS if len(clips[split]) == 1]
    return [
        *([f"Classes missing from a split: {'; '.join(said)}."] if said else []),
        *(f"The {split} split has 1 clip, on which no score says anything; add some." for split in single),
    ]


def _listed(classes: Sequence[SoundClass], chosen: np.ndarray) -> str:
    names = [classes[place].name for place in np.flatnonzero(chosen).tolist()]
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
