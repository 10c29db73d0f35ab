"""The manifest of a corpus: every listed clip, where it is and what it is like, found out once.

`<cache_dir>/manifests/<key>/` holds `manifest.parquet`, a row for each clip (columns: `catalogue.SCHEMA`),
and `manifest.json`, which says what it is made of. The key names the settings of the data option and what
lies on the disk (the bytes of the metadata; names, sizes and times of files or shards), so that a run whose
corpus has not changed reads one file and starts. To look at two million files takes a disk a while: with
`data.scan=once` a run starts from the manifest that was used last, whatever has become of the files.

Clips are inspected in parts, each kept under a key of its own, by the names, sizes and times of its clips:
what was stopped goes on where it was, and a corpus that has grown is inspected where it has. An engine
(`audiotok.engine`) is handed the parts that are wanting, maps `inspect_part` over them wherever it likes (a
`Part` and its table pickle, and neither knows of the store), and yields each with its table when it is done,
in any order. All else, keys, progress and keeping, is done here.
"""

import gc
import json
import logging
import re
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache, partial
from itertools import groupby
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from audiotok.data import inspection
from audiotok.data.catalogue import SCHEMA, USABLE, table_of
from audiotok.data.clip import Check, Clip, Findings, Listing, Location, SoundClass, Source, Tally
from audiotok.data.files import Entry, Files
from audiotok.data.inspection import Condition, inspect_clip
from audiotok.data.limits import Limits
from audiotok.engine.engine import Engine
from audiotok.engine.local import Local
from audiotok.store import StaleError, Store, content_key

log = logging.getLogger(__name__)
KIND, TABLE, SIDECAR, PART = "manifests", "manifest.parquet", "manifest.json", "part.parquet"
# Raise the number when a column comes to mean something else. A manifest of which either part differs is made
# again: its rows hold what inspection found.
_VERSION = f"1.{inspection.VERSION}"
_ELSEWHERE = {"clip_seconds", "cache", "scan"}  # settings that no row depends on
_SLOW = 10.0  # s of looking at files, from which on another setting is named
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


@dataclass(frozen=True)
class Manifest:
    """The clips of a data source, as they were found.

    Args:
        folder: Where it lies.
        classes: What the labels stand for.
        table: Of `catalogue.SCHEMA`, in the order of the ids.
        findings: Where what is listed and what is there disagree.
    """

    folder: Path
    classes: tuple[SoundClass, ...]
    table: pa.Table
    findings: Findings


def open_manifest(source: Source, store: Store) -> Manifest:
    """Read the manifest of a data source: with `scan` "once" the one used last, else that of the files now.

    Args:
        source: An option of the config group `data`.
        store: Where manifests and inspected parts are kept.

    Raises:
        UserError: The metadata is missing or broken, or the cache cannot be written.
    """
    if source.scan == "once":
        manifest = _used_last(source, store)
        if manifest is not None:
            log.info("Took the manifest %s, and looked at no file (data.scan=once).", manifest.folder)
            return manifest
        log.info("No manifest of this corpus with these settings is there yet, so all files are looked at.")
    return update_manifest(source, store)


def update_manifest(source: Source, store: Store, engine: Engine | None = None) -> Manifest:
    """Look at the files of a data source, and read its manifest, made first where it is absent or stale.

    Args:
        source: An option of the config group `data`.
        store: Where manifests and inspected parts are kept.
        engine: Inspects the parts that are wanting; None for processes on this machine.

    Raises:
        UserError: The metadata is missing or broken, the cache cannot be written, or a part fails.
    """
    start = time.monotonic()
    ingredients = made_of(source)
    seconds = time.monotonic() - start
    if seconds > _SLOW:
        log.info(
            "Looking at the files took %.0f s; data.scan=once would take the manifest as it is.", seconds
        )

    def make(folder: Path) -> None:
        with _uncollected():
            listing = source.read()
            clips = sorted(listing.clips, key=lambda clip: clip.id.encode())
            parts = parts_of(clips, source.check)
        conditions = _inspect(len(clips), parts, store, engine or Local())
        with _uncollected():
            table = _table(clips, conditions, source.limits)
        write_manifest(folder, table, listing, ingredients)

    return store.load_or_make(KIND, content_key(ingredients), read_manifest, make)


def made_of(source: Source) -> dict[str, object]:
    """Return what the manifest of a source depends on, as it is now: its key is the content key of this."""
    return {**_listed_by(source), "audio": source.fingerprint_of_audio()}


def _listed_by(source: Source) -> dict[str, object]:
    settings = {name: value for name, value in asdict(cast(Any, source)).items() if name not in _ELSEWHERE}
    return {"source": type(source).__name__, **settings, "tables": source.fingerprint_of_tables()}


def _used_last(source: Source, store: Store) -> Manifest | None:
    """Read the manifest that was last used with these settings and tables; None where there is none."""
    wanted = _listed_by(source)
    for entry in sorted(store.entries(KIND), key=lambda entry: entry.last_use, reverse=True):
        if not entry.is_abandoned and _is_of(entry.folder / SIDECAR, wanted):
            manifest = store.load(KIND, entry.key, read_manifest)
            if manifest is not None:
                return manifest
    return None


def _is_of(path: Path, wanted: dict[str, object]) -> bool:
    """Tell whether a sidecar is of what is wanted, whatever the audio was like then."""
    try:
        made_of = json.loads(path.read_text(encoding="utf-8"))["made_of"]
        return content_key({**made_of, "audio": None}) == content_key({**wanted, "audio": None})
    except (OSError, ValueError, KeyError, TypeError):
        return False


# ---- inspecting ----


@contextmanager
def _uncollected() -> Iterator[None]:
    """Hold the garbage collector off objects that all stay: of 2 million it takes a third of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _inspect(n_clips: int, parts: Sequence[tuple[Part, list[int]]], store: Store, engine: Engine) -> pa.Table:
    """Return the conditions of clips, in their order."""
    known = {part.key: store.load("inspections", part.key, _read_part) for part, _ in parts}
    wanting = [part for part, _ in parts if known[part.key] is None]
    n_wanting = sum(len(part.locations) for part in wanting)
    with tqdm(total=n_wanting, desc="Inspecting clips", unit="clip", disable=None, leave=False) as progress:
        for part, table in engine.map(inspect_part, wanting):
            known[part.key] = store.load_or_make(
                "inspections", part.key, _read_part, partial(_write_part, table)
            )
            progress.update(len(part.locations))
    rows = np.fromiter((row for _, rows in parts for row in rows), np.int64)
    absent = np.setdiff1d(np.arange(n_clips), rows)
    missing = pa.Table.from_pylist([asdict(Condition("missing"))], CONDITIONS).take(np.zeros_like(absent))
    conditions = pa.concat_tables([*(known[part.key] for part, _ in parts), missing])
    return conditions.take(np.argsort(np.concatenate([rows, absent])))


def parts_of(clips: Sequence[Clip], check: Check) -> list[tuple[Part, list[int]]]:
    """Group the clips that are there, and say of each part which clips it has."""
    parts = []
    stat = cache(Files().stat)
    for group in _groups(clips):
        stamped = [(row, location, stat(location.path)) for row, location in group]
        there = [(row, location, entry) for row, location, entry in stamped if entry is not None]
        if there:
            stamps = [_stamp(location, entry) for _, location, entry in there]
            key = content_key([inspection.VERSION, check, stamps])
            parts.append(
                (Part(key, tuple(place for _, place, _ in there), check), [row for row, *_ in there])
            )
    return parts


def _groups(clips: Sequence[Clip]) -> Iterator[list[tuple[int, Location]]]:
    located = [(row, clip.location) for row, clip in enumerate(clips) if clip.location is not None]
    files = [(row, location) for row, location in located if not location.entry]
    mask = (
        1 << (len(files) // PART_CLIPS).bit_length()
    ) - 1  # as many groups or twice as many: few regroupings
    groups: list[list[tuple[int, Location]]] = [[] for _ in range(mask + 1)]
    for row, location in files:
        groups[zlib.crc32(clips[row].id.encode()) & mask].append((row, location))
    yield from groups
    inside = sorted((place for place in located if place[1].entry), key=lambda place: _order(place[1]))
    for _, group in groupby(inside, key=lambda place: place[1].path):
        neighbours = list(group)
        yield from (neighbours[i : i + PART_CLIPS] for i in range(0, len(neighbours), PART_CLIPS))


def _order(location: Location) -> tuple[str, int, str]:
    """Order places in containers as they lie: entries begin with a row or an offset."""
    number = re.match(r"\d*", location.entry)
    return location.path, int(number[0] or 0) if number else 0, location.entry


def _stamp(location: Location, entry: Entry) -> tuple[str, str, int, int]:
    """Say what tells a clip from others and from itself at another time, wherever its folder lies."""
    return location.path.rpartition("/")[2], location.entry, entry.size, entry.mtime_ns


def _table(clips: Sequence[Clip], conditions: pa.Table, limits: Limits) -> pa.Table:
    """Join what is listed and what was found to the columns of a manifest."""
    reasons = [
        Condition(**row).reason_to_skip(limits)
        for batch in conditions.to_batches(max_chunksize=4096)  # not a dictionary for each clip at once
        for row in batch.to_pylist()
    ]
    found = {name: conditions.column(name) for name in CONDITIONS.names if name in SCHEMA.names}
    found["status"] = pa.array([status or USABLE for status, _ in reasons], SCHEMA.field("status").type)
    found["detail"] = pa.array([detail for _, detail in reasons], pa.string())
    listed = table_of(clips)
    return pa.table([found.get(name, listed.column(name)) for name in SCHEMA.names], schema=SCHEMA)


# ---- reading and writing ----


def write_manifest(folder: Path, table: pa.Table, listing: Listing, ingredients: dict[str, object]) -> None:
    """Write a manifest to a folder, from which `read_manifest` reads it.

    Args:
        folder: It is there, and empty.
        table: Of `catalogue.SCHEMA`, in the order of the ids.
        listing: Its classes and findings.
        ingredients: What `made_of` returned.
    """
    sidecar = {
        "version": _VERSION,
        "n_clips": len(table),
        "classes": [[sound_class.id, sound_class.name] for sound_class in listing.classes],
        "findings": asdict(listing.findings),
        "made_of": ingredients,
    }
    (folder / SIDECAR).write_text(json.dumps(sidecar, indent=1) + "\n", encoding="utf-8")
    pq.write_table(table, folder / TABLE, row_group_size=max(1, len(table)))


def read_manifest(folder: Path) -> Manifest:
    """Read a manifest.

    Raises:
        StaleError: It is of another version, or cannot be read.
    """
    try:
        sidecar = json.loads((folder / SIDECAR).read_text(encoding="utf-8"))
        if sidecar["version"] != _VERSION:
            raise StaleError(f"the manifest is of version {sidecar['version']}, and this is {_VERSION}")
        classes = tuple(SoundClass(id_, name) for id_, name in sidecar["classes"])
        findings = Findings(**{name: Tally(**tally) for name, tally in sidecar["findings"].items()})
        table = _read_table(folder / TABLE)
        if not table.schema.equals(SCHEMA) or len(table) != sidecar["n_clips"]:
            raise ValueError(f"its columns or its {len(table)} rows are not those of {SIDECAR}")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, pa.ArrowException) as error:
        raise StaleError(f"the manifest cannot be read ({error!r})") from error
    return Manifest(folder, classes, table, findings)


def _read_table(path: Path) -> pa.Table:
    """Read a file column by column, each into one chunk.

    All columns at once would take twice the memory, and `pq.read_table` imports a second's worth of modules.
    """
    with pq.ParquetFile(path) as file:
        schema = file.schema_arrow
        columns = [file.read([name]).combine_chunks().column(0) for name in schema.names]
    return pa.table(columns, schema=schema)


def _write_part(table: pa.Table, folder: Path) -> None:
    pq.write_table(table, folder / PART)


def _read_part(folder: Path) -> pa.Table:
    try:
        table = _read_table(folder / PART)
    except (OSError, pa.ArrowException) as error:
        raise StaleError(f"{PART} cannot be read ({error!r})") from error
    if not table.schema.equals(CONDITIONS):
        raise StaleError(f"{PART} has other columns")
    return table
