"""Download a corpus by its name: fetch, verify and unpack it, and return the command that trains on it."""

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
from audiotok.download.release import Archive, Release
from audiotok.errors import UserError

log = logging.getLogger(__name__)
RELEASES: dict[str, Release] = {"esc50": ESC50, "fsd50k": FSD50K, "audioset-csv": TABLES, "audioset": TABLES}
_WORK = ".download"  # folder for incomplete files, below the destination


@dataclass(frozen=True, slots=True)
class Downloaded:
    """A downloaded corpus: its title, its folder, and the command that trains on it."""

    title: str
    root: Path
    command: str


def download(
    name: str, destination: Path, mirror: str | None = None, sets: list[str] | None = None
) -> Downloaded:
    """Download a corpus, or the missing files of one.

    Args:
        name: A key of `RELEASES`; "audioset" includes its tables and its audio.
        destination: Folder for the corpus, created if it does not exist.
        mirror: Base URL to use instead of the publisher's; for AudioSet's audio, another server with the
            Hub's interface.
        sets: Sets of AudioSet's audio: bal_train, unbal_train, eval; None for bal_train and eval.

    Raises:
        UserError: The name is unknown, the server or the disk fails, or a checksum is wrong.
    """
    if name not in RELEASES:
        raise UserError(f"{name} is not a corpus for download; choose one of {', '.join(RELEASES)}.")
    if sets and name != "audioset":
        raise UserError(f"--set={sets[0]} applies only to audioset, not to {name}; leave it out.")
    sets = sets or ["bal_train", "eval"]
    for chosen in sets:
        if chosen not in SEGMENTS:
            raise UserError(f"--set={chosen} is not a set of AudioSet; choose from {', '.join(SEGMENTS)}.")
    release, title = RELEASES[name], RELEASES[name].title
    with _at_work_in(destination):
        record = Record(destination)
        _fetch_release(release, destination, record, None if name == "audioset" else mirror)
        overrides = f"{release.data} data.root={destination / release.root}"
        if name == "audioset":
            folders = [f"data/{chosen}" for chosen in sets]
            fetch_folders(AUDIO_REPOSITORY, folders, destination, record, mirror)
            title = f"AudioSet ({', '.join(sets)}; from {AUDIO_REPOSITORY})"
            overrides += " data.audio_folder=data"
            train_sets = [chosen for chosen in sets if chosen != "eval"]
            if train_sets != ["bal_train"] and train_sets:
                overrides += f" data.train_sets=[{','.join(train_sets)}]"
    return Downloaded(title, destination / release.root, f"python train.py {overrides}")


def _fetch_release(release: Release, destination: Path, record: Record, mirror: str | None) -> None:
    base_url, work = mirror or release.base_url, destination / _WORK
    archives = [archive for archive in release.archives if not _is_unpacked(archive, destination, record)]
    _require_room(release, archives, destination)
    for remote in release.files:
        fetch(remote, base_url, destination / release.files_folder, record, work)
    for archive in archives:
        parts = [fetch(part, base_url, work, record, work) for part in archive.parts]
        n_files = unpack(
            parts, destination / archive.folder, work / archive.folder, 2 * archive.unpacked_size
        )
        record.add_folder(archive.folder, [part.name for part in parts], n_files)
        shutil.rmtree(work / archive.folder, ignore_errors=True)
        for part in parts:
            part.unlink()


def _is_unpacked(archive: Archive, destination: Path, record: Record) -> bool:
    if not (destination / archive.folder).exists():
        return False
    if archive.folder not in record.folders:
        raise UserError(
            f"--to={destination} has a folder {archive.folder} that was not made by this command; move it "
            "away, or give another folder."
        )
    return True


def _require_room(release: Release, archives: list[Archive], destination: Path) -> None:
    to_fetch = sum(part.size for archive in archives for part in archive.parts)
    needed = to_fetch + sum(archive.unpacked_size for archive in archives)
    if not needed:
        return
    log.info(
        "Downloading %.1f GB; unpacking needs %.1f GB of free space in total.", to_fetch / 1e9, needed / 1e9
    )
    if shutil.disk_usage(destination).free < needed:
        raise UserError(
            f"--to={destination} has less than {needed / 1e9:.1f} GB free, which {release.title} needs while "
            "it is unpacked; give a folder on another disk."
        )


@contextmanager
def _at_work_in(destination: Path) -> Iterator[None]:
    """Lock a destination for this process, and report errors of its disk to the user."""
    try:
        work = destination / _WORK
        work.mkdir(parents=True, exist_ok=True)
        with FileLock(work / "lock", timeout=0):
            yield
    except Timeout as error:
        raise UserError(
            f"--to={destination} is in use by another audiotok download; wait for it to end."
        ) from error
    except OSError as error:
        raise UserError(
            f"--to={destination} cannot be written ({error.strerror or error}); free some space, or give "
            "another folder."
        ) from error
