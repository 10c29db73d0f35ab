"""What lies in a cache folder: what each thing is made of, whether it is whole, and what may go.

Reads sidecars, not settings: it needs no configuration and no corpus.
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

from audiotok.data.corpus import manifest, parts
from audiotok.errors import UserError
from audiotok.loader.rows import SIDECAR, VERSIONS, Rows
from audiotok.store import Entry, StaleError, Store, arrays_key, readable_size

_DAY = 24 * 60 * 60  # s
_TABLES = {manifest.KIND: manifest.read_manifest, parts.KIND: parts.read_part}
SIDECARS = {"centroids": "vocabulary.json", "manifests": "manifest.json", **dict.fromkeys(VERSIONS, SIDECAR)}
KINDS = (*SIDECARS, parts.KIND, "synthetic")


@dataclass(frozen=True)
class Item:
    """One thing in a cache, described.

    Args:
        entry: Where it lies.
        about: What it is made of, for people; "" where nothing says so.
        n_bytes: What it takes on the disk.
        last_use: When it was last loaded or made, in seconds since 1970.
        n_rows: How many rows are kept, and of how many; None where there are no rows.
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
    """Describe all that lies in a store; one that is not there is empty.

    Raises:
        UserError: It is a file.
    """
    if store.root.is_file():
        raise UserError(f"--cache-dir={store.root} is a file; give the folder of a cache.")
    entries = store.entries()
    fitted = {_sidecar(entry).get("checksum") for entry in entries if entry.kind == "centroids"}
    items = []
    for entry in entries:
        with suppress(FileNotFoundError):  # another process has removed it just now
            items.append(_describe(entry, fitted))
    return items


def faults_of(item: Item) -> list[str]:
    """Read what a thing holds against its sums, and return what is wrong with it, a sentence each.

    The clips of the embedded dataset have no sums, and are left alone.
    """
    folder = item.entry.folder
    try:
        if item.entry.kind in VERSIONS:
            damaged = Rows(folder).damaged()
            return [f"row {row} does not fit its sum; it is made again when it is needed" for row in damaged]
        if item.entry.kind == "centroids":
            arrays = {path.stem: np.load(path) for path in sorted(folder.glob("*.npy"))}
            if arrays_key(arrays) != _sidecar(item.entry).get("checksum"):
                return ["the arrays do not fit their sum; they are fitted again when they are needed"]
        if item.entry.kind in _TABLES:
            _TABLES[item.entry.kind](folder)
    except (StaleError, OSError, ValueError, EOFError) as error:
        return [f"it cannot be read ({error}); it is made again when it is needed"]
    return []


def chosen(
    items: Collection[Item], kinds: Collection[str], days: float = 0.0, unused: bool = False
) -> list[Item]:
    """Return the things that all conditions hold for.

    Args:
        items: To choose from.
        kinds: Of one of these; of any where there are none.
        days: Not used for so many days.
        unused: Only what nothing will read any more.

    Raises:
        UserError: There is no such kind.
    """
    known = sorted({*KINDS, *(item.entry.kind for item in items)})  # earlier versions may have left others
    for kind in kinds:
        if kind not in known:
            raise UserError(f"--kind={kind} is not known; choose from {', '.join(known)}.")
    return [
        item
        for item in items
        if (not kinds or item.entry.kind in kinds) and item.days >= days and (item.unused or not unused)
    ]


def table_of(items: Sequence[Item], title: str) -> Table:
    """Lay things out in a table; parts of inspections, of which there may be thousands, are one row."""
    table = Table(title=f"{title}: {readable_size(sum(item.n_bytes for item in items))}")
    for name in ("kind", "key", "made of"):
        table.add_column(name, overflow="fold", no_wrap=name == "key")
    for name in ("rows", "size", "last use"):
        table.add_column(name, justify="right", no_wrap=True)
    for kind, group in groupby(items, key=lambda item: item.entry.kind):
        of_kind = list(group)
        if kind == parts.KIND:
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
    """Return what the sidecar of an entry says, nothing where it cannot be read."""
    try:
        sidecar = json.loads((entry.folder / SIDECARS[entry.kind]).read_text(encoding="utf-8"))
    except (KeyError, OSError, ValueError):
        return {}
    return sidecar if isinstance(sidecar, dict) else {}


def _n_rows(entry: Entry) -> tuple[int, int] | None:
    if entry.kind not in VERSIONS:
        return None
    try:
        rows = Rows(entry.folder)
    except StaleError:
        return None
    return int(np.count_nonzero(rows.lengths())), len(rows)


def _unused(entry: Entry, sidecar: dict[str, Any], fitted: set[Any]) -> str:
    """Say why nothing will read an entry any more, or "" where something may."""
    if entry.is_abandoned:
        return "left by a process that was killed"
    if entry.kind in SIDECARS and not sidecar:
        return "without its sidecar"
    if entry.kind in VERSIONS and sidecar.get("version") != VERSIONS[entry.kind]:
        return f"of version {sidecar.get('version')}"
    if entry.kind == "tokens" and sidecar["made_of"].get("checksum") not in fitted:
        return "its centroids are gone"
    return ""


def _about(kind: str, sidecar: dict[str, Any]) -> str:
    """Say in a few words what a thing is made of."""
    made_of = sidecar.get("made_of", {})
    try:
        if kind == "frames":
            return (
                f"{made_of['n_mels']} mel bins every {made_of['hop_length']} samples at "
                f"{made_of['sample_rate']} Hz, clips of {made_of['clip_seconds']:g} s"
            )
        if kind == "tokens":
            return f"{_vocabulary(made_of)}, clips of {made_of['clip_seconds']:g} s"
        if kind == "centroids":
            report = sidecar["report"]
            return f"{_vocabulary(sidecar['settings'])}, of {report['n_frames']:,} frames"
        if kind == "manifests":
            return f"{made_of['source']} {made_of.get('root', '')}"
    except (KeyError, TypeError, ValueError):
        return ""
    return ""


def _vocabulary(settings: dict[str, Any]) -> str:
    names = ("clustering.n_codebooks", "clustering.n_clusters", "clustering.kind")
    n_codebooks, n_clusters, kind = (settings[name] for name in names)
    return f"{n_codebooks} x {n_clusters} {kind}"
