"""The conditions of the clips of a corpus, each found by inspecting the clip once, in parts.

The conditions of a part are kept under a key made from the names, sizes and times of its clips, so that
inspection continues where it was stopped, and a corpus that has grown is inspected only where it has.
"""

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import cache, partial
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from audiotok.data.clip import Clip, Location
from audiotok.data.corpus import parts
from audiotok.data.corpus.catalogue import Catalogue
from audiotok.data.corpus.parts import Part, process
from audiotok.data.corpus.tables import read_table, write_table
from audiotok.data.inspection import UNREAD, Condition, inspect_clip
from audiotok.data.reading.files import Entry, Files
from audiotok.data.source import Check
from audiotok.disk.keys import content_key
from audiotok.engine.engine import Engine
from audiotok.kinds import INSPECTIONS
from audiotok.store import StaleError, Store

TABLE = "part.parquet"
CONDITIONS = pa.schema(
    {
        "fault": pa.string(),
        "detail": pa.string(),
        "seconds": pa.float64(),
        "rate": pa.int32(),
        "channels": pa.int16(),
        "peak": pa.float32(),
        "channel_peak": pa.float32(),
        "digest": pa.uint64(),
    }
)
Place = tuple[int, Location]  # the row of a clip, and where it is
Group = tuple[str, np.ndarray]  # a content key, and the rows of the clips that it names (B,)


def groups_of(clips: Sequence[Clip], listed: pa.Table, check: Check) -> list[Group]:
    """Group the clips whose files exist into parts.

    Args:
        clips: In the order of their ids.
        listed: Their `catalogue.table_of`.
        check: How they are inspected, which is part of the keys.
    """
    groups = []
    stat = cache(Files().stat)
    for group in _groups(clips, listed):
        stamped = [(row, location, stat(location.path)) for row, location in group]
        existing = [(row, _stamp(location, entry)) for row, location, entry in stamped if entry is not None]
        if existing:
            rows, stamps = zip(*existing, strict=True)
            groups.append((content_key([INSPECTIONS.version, check, stamps]), np.array(rows)))
    return groups


def _groups(clips: Sequence[Clip], listed: pa.Table) -> Iterator[list[Place]]:
    located = [(row, clip.location) for row, clip in enumerate(clips) if clip.location is not None]
    files = [place for place in located if not place[1].entry and not place[1].is_stretch]
    yield from _spread(files, lambda place: clips[place[0]].id)
    stretches = [place for place in located if not place[1].entry and place[1].is_stretch]
    for group in _spread(_in_order(stretches, listed), lambda place: _name(place[1])):
        yield from _in_parts(group)
    inside = [place for place in located if place[1].entry]
    for _, neighbours in groupby(_in_order(inside, listed), key=lambda place: place[1].path):
        yield from _in_parts(list(neighbours))


def _spread(places: list[Place], key: Callable[[Place], str]) -> list[list[Place]]:
    """Group clips whose keys hash alike: where a corpus grows, most groups stay as they are.

    There are enough groups, or up to twice as many, so that their number seldom changes.
    """
    mask = (1 << (len(places) // parts.PART_CLIPS).bit_length()) - 1
    groups: list[list[Place]] = [[] for _ in range(mask + 1)]
    for place in places:
        groups[zlib.crc32(key(place).encode()) & mask].append(place)
    return groups


def _in_order(places: list[Place], listed: pa.Table) -> list[Place]:
    order = Catalogue(listed, np.array([row for row, _ in places], int)).storage_order()
    return [places[i] for i in order]


def _in_parts(places: list[Place]) -> Iterator[list[Place]]:
    size = parts.PART_CLIPS
    return (places[i : i + size] for i in range(0, len(places), size))


def _stamp(location: Location, entry: Entry) -> tuple[object, ...]:
    """Return what distinguishes a clip from others and from its later versions, wherever its folder is."""
    stretch = (location.start, location.end) if location.is_stretch else ()
    return (_name(location), location.entry, entry.size, entry.version, *stretch)


def _name(location: Location) -> str:
    return location.path.rpartition("/")[2]


def inspect_part(check: Check, longest: float, part: Part) -> pa.Table:
    """Inspect the clips of a part: a row of `CONDITIONS` for each, in the order of `part.order`."""
    locations = [part.clips[place].location for place in part.order]
    found = [inspect_clip(location, check, longest) for location in locations if location is not None]
    return pa.Table.from_pylist([asdict(condition) for condition in found], CONDITIONS)


def conditions_of(
    listed: pa.Table, groups: Sequence[Group], check: Check, longest: float, store: Store, engine: Engine
) -> pa.Table:
    """Return the conditions of all clips, a row of `CONDITIONS` for each; inspect those that are not known.

    The conditions of a part with a clip that could not be read are not kept.

    Args:
        listed: All clips, grouped or missing: their `catalogue.table_of`.
        groups: What `groups_of` returned for them.
        check: How clips are inspected.
        longest: Clips that are longer than this are not decoded, s.
        store: Where the conditions of parts are kept.
        engine: Inspects the parts.

    Raises:
        UserError: The cache cannot be written, or a part fails.
    """
    read = partial(read_part, longest=longest if check == "decode" else None)
    known = {key: store.load(INSPECTIONS.name, key, read) for key, _ in groups}

    def keep(part: Part, found: pa.Table) -> None:
        known[part.key] = found
        if not is_unread(found["fault"]):
            write = partial(_write_part, found)
            known[part.key] = store.load_or_make(INSPECTIONS.name, part.key, read, write)

    unknown = [Part.of(listed, rows, rows, key) for key, rows in groups if known[key] is None]
    process(partial(inspect_part, check, longest), unknown, engine, keep, "Inspecting clips")
    rows = np.concatenate([np.empty(0, int), *(rows for _, rows in groups)])
    absent = np.setdiff1d(np.arange(len(listed)), rows)
    missing = pa.Table.from_pylist([asdict(Condition("missing"))], CONDITIONS).take(np.zeros_like(absent))
    conditions = pa.concat_tables([*(known[key] for key, _ in groups), missing])
    return conditions.take(np.argsort(np.concatenate([rows, absent])))


def _is_undecoded(table: pa.Table, longest: float) -> bool:
    within = pc.less_equal(table["seconds"], longest)
    return bool(pc.any(pc.and_(pc.is_nan(table["peak"]), within)).as_py())


def is_unread(faults: Any) -> bool:
    """Tell whether any clip of a column of faults could not be read this time."""
    return bool(pc.any(pc.equal(faults, UNREAD)).as_py())


def _write_part(table: pa.Table, folder: Path) -> None:
    write_table(table, folder / TABLE)


def read_part(folder: Path, longest: float | None = None) -> pa.Table:
    """Read the conditions of a part.

    Args:
        folder: Of the part.
        longest: Clips up to this length have been decoded, s; None if that does not matter.

    Raises:
        StaleError: They cannot be read, or a clip has not been decoded.
    """
    try:
        table = read_table(folder / TABLE)
    except (OSError, pa.ArrowException) as error:
        raise StaleError(f"{TABLE} cannot be read ({error!r})") from error
    if not table.schema.equals(CONDITIONS):
        raise StaleError(f"{TABLE} has other columns")
    if longest is not None and _is_undecoded(table, longest):
        raise StaleError(f"clips of up to {longest:g} s were too long then, and have not been decoded")
    return table
