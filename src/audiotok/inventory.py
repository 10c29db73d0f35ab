"""An inventory of a cache folder: what each entry is made of, whether it is intact, and whether it is in use.

It reads sidecars, not settings, so it needs neither a configuration nor a corpus.
"""

import json
import time
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

import numpy as np
from rich.table import Table

from audiotok.data.corpus.conditions import read_part
from audiotok.data.corpus.manifest import read_manifest
from audiotok.errors import UserError
from audiotok.kinds import CENTROIDS, FRAMES, INSPECTIONS, KINDS, MANIFESTS, ROWS, TOKENS
from audiotok.loader.rows import Rows
from audiotok.store import Entry, StaleError, Store, arrays_key, readable_size

_DAY = 24 * 60 * 60  # s
_TABLES = {MANIFESTS.name: read_manifest, INSPECTIONS.name: read_part}


@dataclass(frozen=True)
class Item:
    """A described entry of a cache.

    Args:
        entry: The entry.
        about: What it is made of, for people; "" if its sidecar does not say so.
        n_bytes: Space on disk, bytes.
        last_use: Time of the last load, or of its making: seconds since 1970.
        n_rows: How many of its rows are filled, and how many it has; None for kinds without rows.
        unused: Why nothing will read it any more, or "".
    """

    entry: Entry
    about: str
    n_bytes: int
    last_use: float
    n_rows: tuple[int, int] | None
    unused: str

    @property
    def days(self) -> float:
        """Days since its last use."""
        return (time.time() - self.last_use) / _DAY


def take(store: Store) -> list[Item]:
    """Describe the entries of a store; a missing folder counts as an empty store.

    Raises:
        UserError: The store's folder is a file.
    """
    if store.root.is_file():
        raise UserError(f"--cache-dir={store.root} is a file; give a cache folder.")
    entries = store.entries()
    fitted = {_sidecar(entry).get("checksum") for entry in entries if entry.kind == CENTROIDS.name}
    items = []
    for entry in entries:
        with suppress(FileNotFoundError):  # another process has just removed it
            items.append(_describe(entry, fitted))
    return items


def faults_of(item: Item) -> list[str]:
    """Check the content of an entry against its checksums, and describe each fault in a sentence.

    The clips of the embedded dataset have no checksums and are not checked.
    """
    folder = item.entry.folder
    try:
        if item.entry.kind in ROWS:
            damaged = Rows(folder).damaged()
            return [
                f"row {row} does not match its checksum; it will be made again when needed" for row in damaged
            ]
        if item.entry.kind == CENTROIDS.name:
            arrays = {path.stem: np.load(path) for path in sorted(folder.glob("*.npy"))}
            if arrays_key(arrays) != _sidecar(item.entry).get("checksum"):
                return ["the arrays do not match their checksum; they will be fitted again when needed"]
        if item.entry.kind in _TABLES:
            _TABLES[item.entry.kind](folder)
    except (StaleError, OSError, ValueError, EOFError) as error:
        return [f"it cannot be read ({error}); it will be made again when needed"]
    return []


def chosen(
    items: Collection[Item], kinds: Collection[str], days: float = 0.0, unused: bool = False
) -> list[Item]:
    """Return the items that meet all conditions.

    Args:
        items: To choose from.
        kinds: Names of the kinds to choose; empty for all.
        days: Only items that were not used for this many days.
        unused: Only items that nothing will read any more.

    Raises:
        UserError: A kind is unknown.
    """
    known = sorted({*KINDS, *(item.entry.kind for item in items)})  # earlier versions may have had others
    for kind in kinds:
        if kind not in known:
            raise UserError(f"--kind={kind} is not known; choose from {', '.join(known)}.")
    return [
        item
        for item in items
        if (not kinds or item.entry.kind in kinds) and item.days >= days and (item.unused or not unused)
    ]


def table_of(items: Sequence[Item], title: str) -> Table:
    """Return a table of items; inspections, of which there may be thousands, share one row."""
    table = Table(title=f"{title}: {readable_size(sum(item.n_bytes for item in items))}")
    for name in ("kind", "key", "made of"):
        table.add_column(name, overflow="fold", no_wrap=name == "key")
    for name in ("rows", "size", "last use"):
        table.add_column(name, justify="right", no_wrap=True)
    for kind, group in groupby(items, key=lambda item: item.entry.kind):
        of_kind = list(group)
        if kind == INSPECTIONS.name:
            last = max(item.last_use for item in of_kind)
            table.add_row(kind, "", f"{len(of_kind):,} parts", "", _size(of_kind), _day(last))
            continue
        for item in of_kind:
            about = f"{item.about} ({item.unused})" if item.unused else item.about
            rows = f"{item.n_rows[0]:,} of {item.n_rows[1]:,}" if item.n_rows else ""
            table.add_row(kind, item.entry.key, about, rows, _size([item]), _day(item.last_use))
    return table


def _size(items: Iterable[Item]) -> str:
    return readable_size(sum(item.n_bytes for item in items))


def _day(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds):%Y-%m-%d}"


def _describe(entry: Entry, fitted: set[Any]) -> Item:
    sidecar = _sidecar(entry)
    return Item(
        entry,
        _about(entry.kind, sidecar),
        entry.n_bytes,
        entry.last_use,
        _n_rows(entry),
        _unused(entry, sidecar, fitted),
    )


def _sidecar(entry: Entry) -> dict[str, Any]:
    """Return the sidecar of an entry, empty if it is missing or cannot be read."""
    try:
        sidecar = json.loads((entry.folder / KINDS[entry.kind].sidecar).read_text(encoding="utf-8"))
    except (KeyError, OSError, ValueError):
        return {}
    return sidecar if isinstance(sidecar, dict) else {}


def _n_rows(entry: Entry) -> tuple[int, int] | None:
    if entry.kind not in ROWS:
        return None
    try:
        rows = Rows(entry.folder)
    except StaleError:
        return None
    return int(np.count_nonzero(rows.lengths())), len(rows)


def _unused(entry: Entry, sidecar: dict[str, Any], fitted: set[Any]) -> str:
    """Return why nothing will read an entry any more, or "" if something may."""
    if entry.is_abandoned:
        return "left by a killed process"
    kind = KINDS.get(entry.kind)
    if kind and kind.sidecar and not sidecar:
        return "its sidecar is missing"
    if kind in (FRAMES, TOKENS) and sidecar.get("version") != kind.version:
        return f"outdated version {sidecar.get('version')}"
    if kind is TOKENS and sidecar.get("made_of", {}).get("checksum") not in fitted:
        return "its centroids are gone"
    return ""


def _about(kind: str, sidecar: dict[str, Any]) -> str:
    """Describe what an entry is made of; "" if its sidecar does not say so."""
    made_of = sidecar.get("made_of", {})
    try:
        if kind == FRAMES.name:
            return f"{_analysis(made_of)}, clips of {made_of['clip_seconds']:g} s"
        if kind == TOKENS.name:
            return f"{_vocabulary(made_of)}, clips of {made_of['clip_seconds']:g} s"
        if kind == CENTROIDS.name:
            report = sidecar["report"]
            return f"{_vocabulary(sidecar['settings'])}, fitted to {report['n_frames']:,} frames"
        if kind == MANIFESTS.name:
            return f"{made_of['source']} {made_of.get('root', '')}"
    except (KeyError, TypeError, ValueError):
        return ""
    return ""


def _analysis(settings: dict[str, Any]) -> str:
    rate = f"{settings['sample_rate']} Hz"
    if "n_mels" in settings:
        return f"{settings['n_mels']} mel bins every {settings['hop_length']} samples at {rate}"
    return f"{settings['kind']} at {rate}"  # features from outside the package


def _vocabulary(settings: dict[str, Any]) -> str:
    names = ("clustering.n_codebooks", "clustering.n_clusters", "clustering.kind")
    n_codebooks, n_clusters, kind = (settings[name] for name in names)
    return f"{n_codebooks} x {n_clusters} {kind}"
