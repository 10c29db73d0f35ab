"""Parts of a corpus: clips that are inspected together, and kept together when they have been.

Each part is kept under a key of its own, by the names, sizes and times of its clips: what was stopped goes
on where it was, and a corpus that has grown is inspected where it has. An engine (`audiotok.engine`) is
handed the parts that are wanting, maps `inspect_part` over them wherever it likes (a `Part` and its table
pickle, and neither knows of the store), and yields each with its table when it is done, in any order. All
else, keys, progress and keeping, is done here.
"""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from tqdm import tqdm

from audiotok.data.clip import Clip, Location
from audiotok.data.corpus.catalogue import Catalogue, table_of
from audiotok.data.corpus.inspection import UNREAD, Condition, inspect_clip
from audiotok.data.corpus.tables import read_table, write_table
from audiotok.data.reading.files import Entry, Files
from audiotok.data.source import Check
from audiotok.engine.engine import Engine
from audiotok.kinds import INSPECTIONS
from audiotok.store import StaleError, Store, content_key

TABLE = "part.parquet"
PART_CLIPS = 256  # a few seconds of decoding; what is lost where a run is stopped

CONDITIONS = pa.schema(
    {
        "fault": pa.string(),
        "detail": pa.string(),
        "seconds": pa.float64(),
        "rate": pa.int32(),
        "channels": pa.int16(),
        "peak": pa.float32(),
        "digest": pa.uint64(),
    }
)


@dataclass(frozen=True, slots=True)
class Part:
    """Clips that are inspected together: neighbours in a container, or files whose ids hash alike.

    Args:
        key: Names them, their sizes and times, and the check.
        locations: Where they are.
        check: How they are inspected.
    """

    key: str
    locations: tuple[Location, ...]
    check: Check


def inspect_part(part: Part) -> pa.Table:
    """Inspect the clips of a part: a row of `CONDITIONS` for each, a function of their bytes alone."""
    conditions = [asdict(inspect_clip(location, part.check)) for location in part.locations]
    return pa.Table.from_pylist(conditions, CONDITIONS)


def parts_of(clips: Sequence[Clip], check: Check) -> list[tuple[Part, list[int]]]:
    """Group the clips that are there, and say of each part which clips it has."""
    parts = []
    stat = cache(Files().stat)
    for group in _groups(clips):
        stamped = [(row, location, stat(location.path)) for row, location in group]
        there = [(row, location, entry) for row, location, entry in stamped if entry is not None]
        if there:
            stamps = [_stamp(location, entry) for _, location, entry in there]
            key = content_key([INSPECTIONS.version, check, stamps])
            parts.append(
                (Part(key, tuple(place for _, place, _ in there), check), [row for row, *_ in there])
            )
    return parts


def _groups(clips: Sequence[Clip]) -> Iterator[list[tuple[int, Location]]]:
    located = [(row, clip.location) for row, clip in enumerate(clips) if clip.location is not None]
    files = [(row, location) for row, location in located if not location.entry]
    mask = (1 << (len(files) // PART_CLIPS).bit_length()) - 1  # enough, or up to twice that: few regroupings
    groups: list[list[tuple[int, Location]]] = [[] for _ in range(mask + 1)]
    for row, location in files:
        groups[zlib.crc32(clips[row].id.encode()) & mask].append((row, location))
    yield from groups
    inside = [(row, location) for row, location in located if location.entry]
    order = Catalogue(table_of([clips[row] for row, _ in inside])).as_they_lie()
    for _, group in groupby((inside[i] for i in order), key=lambda place: place[1].path):
        neighbours = list(group)
        yield from (neighbours[i : i + PART_CLIPS] for i in range(0, len(neighbours), PART_CLIPS))


def _stamp(location: Location, entry: Entry) -> tuple[str, str, int, int | str]:
    """Say what tells a clip from others and from itself at another time, wherever its folder lies."""
    return location.path.rpartition("/")[2], location.entry, entry.size, entry.version


def conditions_of(
    n_clips: int, parts: Sequence[tuple[Part, list[int]]], store: Store, engine: Engine
) -> pa.Table:
    """Return the conditions of clips, a row of `CONDITIONS` for each, inspecting the parts that are wanting.

    A part with a clip that could not be read is not kept.

    Args:
        n_clips: All clips, in parts or missing.
        parts: What `parts_of` returned of them.
        store: Where parts are kept.
        engine: Inspects them.

    Raises:
        UserError: The cache cannot be written, or a part fails.
    """
    known = {part.key: store.load(INSPECTIONS.name, part.key, read_part) for part, _ in parts}
    wanting = [part for part, _ in parts if known[part.key] is None]
    n_wanting = sum(len(part.locations) for part in wanting)
    with tqdm(total=n_wanting, desc="Inspecting clips", unit="clip", disable=None, leave=False) as progress:
        for part, table in engine.map(inspect_part, wanting):
            known[part.key] = table
            if not is_unread(table["fault"]):
                known[part.key] = store.load_or_make(
                    INSPECTIONS.name, part.key, read_part, partial(_write_part, table)
                )
            progress.update(len(part.locations))
    rows = np.fromiter((row for _, rows in parts for row in rows), np.int64)
    absent = np.setdiff1d(np.arange(n_clips), rows)
    missing = pa.Table.from_pylist([asdict(Condition("missing"))], CONDITIONS).take(np.zeros_like(absent))
    conditions = pa.concat_tables([*(known[part.key] for part, _ in parts), missing])
    return conditions.take(np.argsort(np.concatenate([rows, absent])))


def is_unread(faults: Any) -> bool:
    """Tell whether any clip of a column of faults could not be read, and may be another time."""
    return bool(pc.any(pc.equal(faults, UNREAD)).as_py())


def _write_part(table: pa.Table, folder: Path) -> None:
    write_table(table, folder / TABLE)


def read_part(folder: Path) -> pa.Table:
    """Read what inspection found of a part.

    Raises:
        StaleError: It cannot be read.
    """
    try:
        table = read_table(folder / TABLE)
    except (OSError, pa.ArrowException) as error:
        raise StaleError(f"{TABLE} cannot be read ({error!r})") from error
    if not table.schema.equals(CONDITIONS):
        raise StaleError(f"{TABLE} has other columns")
    return table
