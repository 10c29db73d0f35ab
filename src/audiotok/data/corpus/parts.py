"""Parts of a corpus: clips that are processed together, by any engine, each result being kept as it comes.

Whoever has work for all clips of a corpus leaves out what has been done, groups the rest into parts, and
calls `process`: what was stopped continues where it stopped, and loses a part for each process at most. A
part and the function applied to it pickle and know nothing of the store, so that an engine may run them
anywhere; results come back and are kept here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from audiotok.data.corpus.catalogue import Catalogue
from audiotok.engine.engine import Engine

PART_CLIPS = 256  # a few seconds of work
Made = TypeVar("Made")


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Clips that are processed together: neighbours in a container, or a few hundred files.

    Args:
        clips: The clips.
        order: The order in which they are read: places in `clips`, (B,).
        rows: Where the result of each clip goes, in that order, (B,).
        key: Content key of the results, where they are kept under one.
    """

    clips: Catalogue
    order: np.ndarray
    rows: np.ndarray
    key: str = ""

    @classmethod
    def of(cls, table: pa.Table, chosen: np.ndarray, rows: np.ndarray, key: str = "") -> "Part":
        """Return the part of some clips of a table.

        Args:
            table: Of `catalogue.SCHEMA`, sorted by id.
            chosen: Rows of the table, in the order in which their clips are read, (B,).
            rows: As the attribute.
            key: As the attribute.
        """
        order = np.argsort(np.argsort(chosen))
        return cls(Catalogue(table.take(pa.array(np.sort(chosen)))), order, rows, key)

    def __len__(self) -> int:
        return len(self.rows)


def process(
    function: Callable[[Part], Made],
    parts: Sequence[Part],
    engine: Engine,
    keep: Callable[[Part, Made], None],
    title: str,
) -> None:
    """Apply a function to parts and keep each result as it comes, in any order; a progress bar counts clips.

    Args:
        function: Makes something of a part; it pickles, and depends on the bytes of the clips alone.
        parts: What is still to be done.
        engine: Applies the function.
        keep: Takes a part and what was made of it.
        title: What the progress bar says.

    Raises:
        UserError: A part fails.
    """
    n_clips = sum(map(len, parts))
    with tqdm(total=n_clips, desc=title, unit="clip", disable=None, leave=False) as progress:
        for part, made in engine.map(function, parts):
            keep(part, made)
            progress.update(len(part))
