"""A corpus by its name: fetched, checked, unpacked, and the command to go on with."""

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from audiotok.data.layout.segments import SEGMENTS
from audiotok.download.archive import unpack
from audiotok.download.audioset import AUDIO_REPOSITORY, TABLES
from audiotok.download.esc50 import ESC50
from audiotok.download.fetch import fetch
from audiotok.download.fsd50k import FSD50K
from audiotok.download.hub import fetch_folders
from audiotok.download.record import Record
from audiotok.download.release import Archive, Source
from audiotok.errors import UserError

log = logging.getLogger(__name__)
SOURCES: dict[str, Source] = {"esc50": ESC50, "fsd50k": FSD50K, "audioset-csv": TABLES, "audioset": TABLES}
_WORK = ".download"  # what is not whole yet, below the destination


@dataclass(frozen=True, slots=True)
class Downloaded:
    """What lies where, and how it is trained on."""

    title: str
    root: Path
    command: str


def download(
    name: str, destination: Path, mirror: str | None = None, sets: list[str] | None = None
) -> Downloaded:
    """Bring a corpus, or what is missing of it.

    Args:
        name: A key of `SOURCES`; "audioset" is its tables and its audio.
        destination: Folder that it goes into, made if need be.
        mirror: Where the files are instead of where their publisher has them; for AudioSet's audio, another
            server of the Hub's kind.
        sets: Of AudioSet's audio: bal_train, unbal_train, eval; None for bal_train and eval.

    Raises:
        UserError: The name is unknown, the server or the disk is at fault, or a checksum is wrong.
    """
    if name not in SOURCES:
        raise UserError(f"{name} is no corpus that can be downloaded; choose one of {', '.join(SOURCES)}.")
    if sets and name != "audioset":
        raise UserError(f"--set={sets[0]} chooses among the sets of audioset, not of {name}; leave it out.")
    sets = sets or ["bal_train", "eval"]
    for chosen in sets:
        if chosen not in SEGMENTS:
            raise UserError(f"--set={chosen} is no set of AudioSet; choose of {', '.join(SEGMENTS)}.")
    source, title = SOURCES[name], SOURCES[name].title
    with _at_work_in(destination):
        record = Record(destination)
        _fetch_source(source, destination, record, None if name == "audioset" else mirror)
        overrides = f"{source.data} data.root={destination / source.root}"
        if name == "audioset":
            folders = [f"data/{chosen}" for chosen in sets]
            fetch_folders(AUDIO_REPOSITORY, folders, destination, record, mirror)
            title = f"AudioSet ({', '.join(sets)}; from {AUDIO_REPOSITORY})"
            overrides += " data.audio_folder=data"
            train_sets = [chosen for chosen in sets if chosen != "eval"]
            if train_sets != ["bal_train"] and train_sets:
                overrides += f" data.train_sets=[{','.join(train_sets)}]"
    return Downloaded(title, destination / source.root, f"python train.py {overrides}")


def _fetch_source(source: Source, destination: Path, record: Record, mirror: str | None) -> None:
    base_url, work = mirror or source.base_url, destination / _WORK
    archives = [archive for archive in source.archives if not _is_unpacked(archive, destination, record)]
    _require_room(source, archives, destination)
    for remote in source.files:
        fetch(remote, base_url, destination / source.files_folder, record, work)
    for archive in archives:
        parts = [fetch(part, base_url, work, record, work) for part in archive.parts]
        n_files = unpack(parts, destination / archive.folder, work / archive.folder)
        record.add_folder(archive.folder, [part.name for part in parts], n_files)
        shutil.rmtree(work / archive.folder, ignore_errors=True)
        for part in parts:
            part.unlink()


def _is_unpacked(archive: Archive, destination: Path, record: Record) -> bool:
    if not (destination / archive.folder).exists():
        return False
    if archive.folder not in record.folders:
        raise UserError(
            f"--to={destination} has a {archive.folder} that this command has not made; move it away, or "
            "give another folder."
        )
    return True


def _require_room(source: Source, archives: list[Archive], destination: Path) -> None:
    to_fetch = sum(part.size for archive in archives for part in archive.parts)
    needed = to_fetch + sum(archive.unpacked_size for archive in archives)
    if not needed:
        return
    log.info("%.1f GB are to come, and take %.1f GB while they are unpacked.", to_fetch / 1e9, needed / 1e9)
    if shutil.disk_usage(destination).free < needed:
        raise UserError(
            f"--to={destination} has less than {needed / 1e9:.1f} GB free, which {source.title} takes while "
            "it is unpacked; give another disk."
        )


@contextmanager
def _at_work_in(destination: Path) -> Iterator[None]:
    """Hold a destination for one process, and say in a sentence when its disk is at fault."""
    try:
        work = destination / _WORK
        work.mkdir(parents=True, exist_ok=True)
        with FileLock(work / "lock", timeout=0):
            yield
    except Timeout as error:
        raise UserError(
            f"--to={destination} is being filled by another audiotok download; wait for it."
        ) from error
    except OSError as error:
        raise UserError(
            f"--to={destination} cannot be written ({error.strerror or error}); free some space, or give "
            "another folder."
        ) from error
