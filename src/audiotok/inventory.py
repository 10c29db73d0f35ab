"""An inventory of a cache folder: what each entry is made of, whether it is intact, and whether it is in use.

It reads sidecars, not settings, so it needs neither a configuration nor a corpus. Damaged entries and strange
files are listed as far as they can be read.
"""

import time
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

import numpy as np
from rich.table import Table

from audiotok.disk.parsing import read_json
from audiotok.errors import UserError
from audiotok.kinds import CENTROIDS, FRAMES, INSPECTIONS, KINDS, MANIFESTS, ROWS, TOKENS
from audiotok.loader.rows import Rows
from audiotok.store import Entry, StaleError, Store, check_entry, readable_size

_DAY = 24 * 60 * 60  # s
_AGAIN = "it will be made again when needed"


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
    fitted = {str(_sidecar(entry).get("checksum")) for entry in entries if entry.kind == CENTROIDS.name}
    items = []
    for entry in entries:
        with suppress(FileNotFoundError):  # another process has just removed it
            items.append(_describe(entry, fitted))
    return items


def faults_of(item: Item) -> list[str]:
    """Check the content of an entry against its checksums, and describe each fault in a sentence.

    What killed processes have left, folders of unknown kinds, and an entry that another process removes
    meanwhile have no faults.
    """
    entry = item.entry
    if entry.is_abandoned or entry.kind not in KINDS:
        return []
    try:
        check_entry(entry.folder)
        damaged = Rows(entry.folder).damaged() if entry.kind in ROWS else []
    except StaleError as error:
        return [f"{error}; {_AGAIN}"] if entry.folder.is_dir() else []
    return [f"row {row} does not match its checksum; {_AGAIN}" for row in damaged]


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
        sidecar = read_json(entry.folder / KINDS[entry.kind].sidecar)
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
    if kind is None:
        return ""
    if kind.sidecar and not sidecar:
        return "its sidecar is missing"
    if kind in (FRAMES, TOKENS) and sidecar.get("version") != kind.version:
        return f"outdated version {sidecar.get('version')}"
    if not entry.has_checksums:
        return "an earlier version, without checksums"
    if kind is TOKENS and str(_part(sidecar, "made_of").get("checksum")) not in fitted:
        return "its centroids are gone"
    return ""


def _part(sidecar: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a dictionary inside a sidecar, empty if there is none."""
    part = sidecar.get(name)
    return part if isinstance(part, dict) else {}


def _about(kind: str, sidecar: dict[str, Any]) -> str:
    """Describe what an entry is made of; "" if its sidecar does not say so."""
    made_of = _part(sidecar, "made_of")
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
