"""The manifest of a corpus: the location and condition of every listed clip, determined once.

`<cache_dir>/manifests/<key>/` contains `manifest.parquet` with a row for each clip (`catalogue.SCHEMA`), and
`manifest.json`, which says what it is made of. The key depends on the settings of the data option, on the
bytes of the metadata, and on the names, sizes and times of the audio files, so that a run whose corpus has
not changed reads one file and starts. Checking two million files can take minutes: with `data.scan=once`, a
run starts from the manifest that was used last, whether or not the files have changed.

Clips are inspected in parts (`audiotok.data.corpus.conditions`), so that an interrupted inspection continues
where it stopped.
"""

import gc
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa

from audiotok.data.clip import Findings, Listing, SoundClass, Tally
from audiotok.data.corpus.catalogue import SCHEMA, USABLE, table_of
from audiotok.data.corpus.conditions import CONDITIONS, conditions_of, groups_of, is_unread
from audiotok.data.corpus.segmentation import cut_long_files
from audiotok.data.corpus.tables import read_table, write_table
from audiotok.data.inspection import Condition
from audiotok.data.limits import Limits
from audiotok.data.source import Source
from audiotok.disk.keys import content_key
from audiotok.disk.parsing import read_json
from audiotok.disk.writing import write_json
from audiotok.engine.engine import Engine
from audiotok.engine.local import Local
from audiotok.kinds import MANIFESTS
from audiotok.store import StaleError, Store

log = logging.getLogger(__name__)
TABLE = "manifest.parquet"
_IRRELEVANT = {"clip_seconds", "cache", "scan"}  # settings that no row depends on
_SLOW = 10.0  # s; if checking files takes longer, the log recommends data.scan=once


@dataclass(frozen=True)
class Manifest:
    """The clips of a data source as they were found.

    Args:
        folder: The manifest's folder in the cache.
        classes: The classes that labels refer to.
        table: The clips, a table of `catalogue.SCHEMA`, sorted by id.
        findings: Disagreements between the metadata and the files.
    """

    folder: Path
    classes: tuple[SoundClass, ...]
    table: pa.Table
    findings: Findings


def open_manifest(source: Source, store: Store) -> Manifest:
    """Read the manifest of a data source: the last used one if `scan` is "once", else that of the files now.

    Args:
        source: An option of the config group `data`.
        store: Where manifests and inspected parts are kept.

    Raises:
        UserError: The metadata is missing or broken, or the cache cannot be written.
    """
    source = source.anchored()
    if source.scan == "once":
        manifest = _used_last(source, store)
        if manifest is not None:
            log.info("Reused the manifest %s without checking any file (data.scan=once).", manifest.folder)
            return manifest
        log.info("No manifest of this corpus exists for these settings yet, so all files are checked.")
    return update_manifest(source, store)


def update_manifest(source: Source, store: Store, engine: Engine | None = None) -> Manifest:
    """Check the files of a data source and read its manifest, making it first if it is absent or stale.

    Args:
        source: An option of the config group `data`.
        store: Where manifests and inspected parts are kept.
        engine: Inspects the clips that have not been inspected; None for processes on this machine.

    Raises:
        UserError: The metadata is missing or broken, the cache cannot be written, or a part fails.
    """
    source = source.anchored()
    ingredients = made_of(source)
    is_new = False

    def load(folder: Path) -> Manifest:
        manifest = read_manifest(folder)
        if is_unread(manifest.table["status"]) and not is_new:
            raise StaleError("some clips could not be read when it was made, and may be readable now")
        return manifest

    def make(folder: Path) -> None:
        nonlocal is_new
        is_new = True
        with _without_garbage_collection():
            listing = cut_long_files(source.read(), source, store, engine or Local())
            clips = sorted(listing.clips, key=lambda clip: clip.id.encode())
            listed = table_of(clips)
            groups = groups_of(clips, listed, source.check)
        longest = source.limits.max_seconds
        conditions = conditions_of(listed, groups, source.check, longest, store, engine or Local())
        with _without_garbage_collection():
            table = _table(listed, conditions, source.limits)
        write_manifest(folder, table, listing, ingredients)

    return store.load_or_make(MANIFESTS.name, content_key(ingredients), load, make)


def made_of(source: Source) -> dict[str, object]:
    """Return what the manifest of a source currently depends on; the manifest's key is made from this."""
    listed = _listed_by(source)  # may write the embedded dataset, which is not to be timed
    start = time.monotonic()
    audio = source.fingerprint_of_audio()
    seconds = time.monotonic() - start
    if seconds > _SLOW:
        log.info(
            "Checking the files took %.0f s; data.scan=once would skip this and reuse the manifest.", seconds
        )
    return {**listed, "audio": audio}


def _listed_by(source: Source) -> dict[str, object]:
    settings = {name: value for name, value in asdict(source).items() if name not in _IRRELEVANT}
    return {"source": type(source).__name__, **settings, "tables": source.fingerprint_of_tables()}


def _used_last(source: Source, store: Store) -> Manifest | None:
    """Read the last used manifest of these settings and tables, or return None if there is none."""
    wanted = _listed_by(source)
    for entry in sorted(store.entries(MANIFESTS.name), key=lambda entry: entry.last_use, reverse=True):
        if not entry.is_abandoned and _may_be_of(entry.folder / MANIFESTS.sidecar, wanted):
            return store.load(MANIFESTS.name, entry.key, read_manifest)
    return None


def _may_be_of(path: Path, wanted: dict[str, object]) -> bool:
    """Tell whether a sidecar has these ingredients, not considering the audio, or is damaged."""
    try:
        made_of = read_json(path)["made_of"]
        return content_key({**made_of, "audio": None}) == content_key({**wanted, "audio": None})
    except (OSError, ValueError, KeyError, TypeError):
        return True  # perhaps the last used one of these; an earlier one in its place would be silently wrong


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Pause the garbage collector while millions of objects are made, which saves a third of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _table(listed: pa.Table, conditions: pa.Table, limits: Limits) -> pa.Table:
    """Join the listing and the conditions of clips into the columns of a manifest."""
    reasons = [
        Condition(**row).reason_to_skip(limits)
        for batch in conditions.to_batches(max_chunksize=4096)  # few clips are dictionaries at a time
        for row in batch.to_pylist()
    ]
    found = {name: conditions.column(name) for name in CONDITIONS.names if name in SCHEMA.names}
    found["status"] = pa.array([status or USABLE for status, _ in reasons], SCHEMA.field("status").type)
    found["detail"] = pa.array([detail for _, detail in reasons], pa.string())
    return pa.table([found.get(name, listed.column(name)) for name in SCHEMA.names], schema=SCHEMA)


# ---- reading and writing ----


def write_manifest(folder: Path, table: pa.Table, listing: Listing, ingredients: dict[str, object]) -> None:
    """Write a manifest, for `read_manifest`.

    Args:
        folder: An empty folder.
        table: The clips, a table of `catalogue.SCHEMA`, sorted by id.
        listing: Its classes and findings.
        ingredients: What `made_of` returned.
    """
    sidecar = {
        "version": MANIFESTS.version,
        "n_clips": len(table),
        "classes": [[sound_class.id, sound_class.name] for sound_class in listing.classes],
        "findings": asdict(listing.findings),
        "made_of": ingredients,
    }
    write_json(folder / MANIFESTS.sidecar, sidecar)
    write_table(table, folder / TABLE)


def read_manifest(folder: Path) -> Manifest:
    """Read a manifest.

    Raises:
        StaleError: It has another version, or cannot be read.
    """
    try:
        sidecar = read_json(folder / MANIFESTS.sidecar)
        if sidecar["version"] != MANIFESTS.version:
            raise StaleError(f"the manifest has version {sidecar['version']}, not {MANIFESTS.version}")
        classes = tuple(SoundClass(id_, name) for id_, name in sidecar["classes"])
        findings = Findings(**{name: Tally(**tally) for name, tally in sidecar["findings"].items()})
        table = read_table(folder / TABLE)
        if not table.schema.equals(SCHEMA) or len(table) != sidecar["n_clips"]:
            raise ValueError(f"its columns or its {len(table)} rows are not those of {MANIFESTS.sidecar}")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, pa.ArrowException) as error:
        raise StaleError(f"the manifest cannot be read ({error!r})") from error
    return Manifest(folder, classes, table, findings)
