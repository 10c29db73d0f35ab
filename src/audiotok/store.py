"""A cache on disk: folders of computed results, each under a key made from what it was computed from.

Guarantees: a folder under its key is complete or absent, even if a process is killed while it writes. Its
files are checked against their checksums (`audiotok.disk.checksum`) whenever it is loaded; a damaged entry,
and one of an earlier version without checksums, is reported in one line and made again. Of several processes
that want the same key, one computes and the others wait for it. A process that dies releases its locks, and
what it leaves is deleted when the next entry of its kind is made. An entry that some process is making or
holding is never removed; only a broken entry is rebuilt even while it is held.
"""

import errno
import logging
import math
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from filelock import FileLock, Timeout

from audiotok.disk.checksum import CHECKSUMS, check_checksums, write_checksums
from audiotok.disk.locking import GUARD, Hold, locked
from audiotok.errors import UserError

log = logging.getLogger(__name__)
Loaded = TypeVar("Loaded")
DEFAULT_ROOT = "~/.cache/audiotok"


class StaleError(Exception):
    """An entry cannot be used; the message says why. Readers raise it, and Store catches it."""


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@dataclass(frozen=True, slots=True)
class Entry:
    """One computed result in a store.

    Args:
        kind: Name of its kind.
        key: Content key.
        folder: Where it is.
    """

    kind: str
    key: str
    folder: Path

    @property
    def n_bytes(self) -> int:
        """Space on disk, bytes; holes in sparse files take none, where the system says so."""
        found = []
        for path in self.folder.rglob("*"):
            with suppress(PermissionError):  # another user's
                found.append(path.lstat())
        return sum(512 * stat.st_blocks if hasattr(stat, "st_blocks") else stat.st_size for stat in found)

    @property
    def last_use(self) -> float:
        """Time of the last load, or of its making: seconds since 1970."""
        return self.folder.stat().st_mtime

    @property
    def has_checksums(self) -> bool:
        """Whether its files can be checked; entries of earlier versions have no checksums."""
        return (self.folder / CHECKSUMS).exists()

    @property
    def is_abandoned(self) -> bool:
        """Whether a process was killed while it made or removed the entry."""
        return self.key.startswith(".")


def readable_size(n_bytes: float) -> str:
    """Format a number of bytes for people: 812 kB, 5.4 MB, 31.0 GB."""
    units = ("bytes", "kB", "MB", "GB", "TB")
    power = min(int(math.log10(max(1, n_bytes)) / 3), len(units) - 1)
    return f"{n_bytes / 1000**power:.{int(power > 1)}f} {units[power]}"


class Store:
    """A cache folder on disk, `<root>/<kind>/<key>/`.

    Args:
        root: The folder; it is created at the first write, and `~` is expanded.
    """

    def __init__(self, root: str | Path = DEFAULT_ROOT) -> None:
        try:
            self.root = Path(root).expanduser()
        except RuntimeError as error:  # neither HOME nor an entry in /etc/passwd
            raise UserError(
                f"cache_dir={root} is in a home folder, and this user has none; set AUDIOTOK_CACHE."
            ) from error
        self._tidied: set[str] = set()  # kinds whose leftovers have been deleted
        self._outdated: set[str] = set()  # kinds with entries of an earlier version, reported
        self._reported: set[Path] = set()  # damaged entries, reported and not yet made again

    def folder(self, kind: str, key: str) -> Path:
        """Return the folder of an entry, whether or not it exists yet."""
        return self.root / kind / key

    def load(self, kind: str, key: str, load: Callable[[Path], Loaded]) -> Loaded | None:
        """Load an entry, or return None if it is absent or, which is reported in one line, stale."""
        folder = self.folder(kind, key)
        try:
            return _used(folder, load) if folder.is_dir() else None
        except StaleError as reason:
            self._report(folder, reason)
            return None

    def load_or_make(
        self,
        kind: str,
        key: str,
        load: Callable[[Path], Loaded],
        make: Callable[[Path], None],
        filled: Mapping[str, int] | None = None,
    ) -> Loaded:
        """Load an entry, making it first if it is absent or stale.

        Args:
            kind: Name of its kind, which is a folder of the store.
            key: Content key.
            load: Reads a folder; raises `StaleError` if its content cannot be used.
            make: Writes the content into the empty folder that it is given.
            filled: Files that are written to later, and the length of their headers in bytes; their content
                has checksums of its own.

        Raises:
            UserError: The cache cannot be written, or does not give back what was written.
        """
        folder = self.folder(kind, key)
        if folder.is_dir():
            try:
                return _used(folder, load)
            except StaleError as reason:
                self._report(folder, reason)
        elif os.path.lexists(folder):
            self._report(folder, StaleError("it is not a folder"))
        with self._writable():
            folder.parent.mkdir(parents=True, exist_ok=True)
            self._tidy_once(kind)
            with _lock(folder):
                return self._load_or_make_locked(folder, load, make, filled or {})

    def free_bytes(self) -> int:
        """Return the free space on the disk of the store."""
        existing = next(folder for folder in (self.root, *self.root.absolute().parents) if folder.is_dir())
        return shutil.disk_usage(existing).free

    def entries(self, kind: str = "[!.]*") -> list[Entry]:
        """Return the entries, or those of one kind, sorted by kind and key; links are ignored."""
        root = self.root.resolve()
        return [
            Entry(folder.parent.name, folder.name, folder)
            for folder in sorted(self.root.glob(f"{kind}/*/"))
            if folder.resolve() == root / folder.parent.name / folder.name
        ]

    def hold(self, kind: str, key: str) -> Hold:
        """Keep an entry that is read for a long time from being removed.

        Where no lock can be written, for example in another user's cache, nothing is held.
        """
        folder = self.folder(kind, key)
        name = f".{_key(folder)}.{uuid.uuid4().hex}{_HOLD}"
        lock = FileLock(folder.with_name(name), thread_local=False)
        try:
            with _lock(folder):
                _is_held(folder)  # deletes what killed processes have left
                lock.acquire()
        except OSError:
            return Hold()
        return Hold(lock)

    def remove(self, entry: Entry) -> bool:
        """Remove an entry unless a process is making or holding it, and return whether it is gone.

        It is also gone if another process has removed it first.

        Raises:
            UserError: The cache cannot be written.
        """
        try:
            with self._writable(), _lock(entry.folder, timeout=0):
                if _is_held(entry.folder):
                    return False
                _discard(entry.folder)
        except Timeout:
            return False
        return True

    def tidy(self, kind: str) -> None:
        """Delete what killed processes have left beside the entries of a kind: parts of them, and locks."""
        with suppress(OSError):  # the cache may be another user's
            for key in sorted({_key(path) for path in (self.root / kind).iterdir() if _may_be_left(path)}):
                with suppress(Timeout), _lock(self.folder(kind, key), timeout=0):
                    _delete_leftovers(self.folder(kind, key))

    def _tidy_once(self, kind: str) -> None:
        """Tidy a kind before this store makes its first entry, and report entries of an earlier version."""
        if kind in self._tidied:
            return
        self._tidied.add(kind)
        self.tidy(kind)
        entries = [entry for entry in self.entries(kind) if not entry.is_abandoned]
        n_outdated = sum(not entry.has_checksums for entry in entries)
        if n_outdated and kind not in self._outdated:
            self._outdated.add(kind)
            log.warning(
                "%s: %d entries were made by an earlier version and are not read any more; "
                "`audiotok cache prune --unused` removes them.",
                self.root / kind,
                n_outdated,
            )

    def _report(self, folder: Path, reason: StaleError) -> None:
        """Log that an entry is made again: each once, and of those without checksums one of a kind."""
        is_gone = not os.path.lexists(folder)  # another process has just removed it
        is_outdated = folder.is_dir() and not (folder / CHECKSUMS).exists()
        if is_gone or folder in self._reported or (is_outdated and folder.parent.name in self._outdated):
            return
        self._reported.add(folder)
        if is_outdated:
            self._outdated.add(folder.parent.name)
        log.warning("%s: %s; it is made again.", folder, reason)

    def _load_or_make_locked(
        self,
        folder: Path,
        load: Callable[[Path], Loaded],
        make: Callable[[Path], None],
        filled: Mapping[str, int],
    ) -> Loaded:
        with suppress(StaleError):  # another process may have been first
            if folder.is_dir():
                return _used(folder, load)
        _discard(folder)
        _delete_leftovers(folder)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        temporary.chmod(0o777 & ~_umask())  # mkdtemp makes private folders; caches may be shared
        try:
            make(temporary)
            write_checksums(temporary, filled)
            temporary.rename(folder)
            self._reported.discard(folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        try:
            return load(folder)
        except StaleError as reason:
            raise UserError(
                f"cache_dir={self.root} does not give back what was written there ({folder}: {reason}); "
                "check its disk, or set cache_dir to a folder on another one."
            ) from reason

    @contextmanager
    def _writable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if not self._is_ours(error):
                raise
            raise UserError(
                f"cache_dir={self.root} cannot be written ({error.strerror or error}); "
                "free some space there, or set cache_dir to a folder that you may write."
            ) from error

    def _is_ours(self, error: OSError) -> bool:
        """Tell an error of the cache from an error of a file that is read to make an entry."""
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG}:
            return True
        name = error.filename
        return isinstance(name, str | bytes | os.PathLike) and (
            Path(os.fsdecode(name)).absolute().is_relative_to(self.root.absolute())
            or self.root.absolute().is_relative_to(Path(os.fsdecode(name)).absolute())
        )


_LOCK = ".lock"  # suffix of the lock of an entry
_HOLD = ".hold"  # suffix of the files whose locks say that a process holds an entry, one file for each hold


def _key(folder: Path) -> str:
    """Return the key that a folder or a file in the folder of a kind belongs to, "" if it has none."""
    return re.split(r"[-.]", folder.name.lstrip("."))[0]


def _may_be_left(path: Path) -> bool:
    """Tell whether a killed process may have left this; if it is in use, its key is locked."""
    return path.name != GUARD and (path.name.startswith(".") or path.suffix == _LOCK)


def _lock(folder: Path, timeout: float = -1) -> AbstractContextManager[None]:
    """Return the lock of the process that makes, removes or begins to hold an entry."""
    return locked(folder.with_name(_key(folder) + _LOCK), timeout)


def _is_held(folder: Path) -> bool:
    """Tell whether a process holds an entry, and delete the files of holds whose processes have ended.

    To be called under the lock of the entry, so that no hold begins meanwhile.
    """
    for path in folder.parent.glob(f".{_key(folder)}.*{_HOLD}"):
        try:
            with FileLock(path, timeout=0):
                pass
            path.unlink(missing_ok=True)
        except (Timeout, OSError):  # locked, or another user's
            return True
    return False


def _delete_leftovers(folder: Path) -> None:
    """Delete what killed processes have left of an entry; to be called under its lock."""
    _is_held(folder)
    for abandoned in folder.parent.glob(f".{_key(folder)}-*"):
        shutil.rmtree(abandoned, ignore_errors=True)


def _discard(path: Path) -> None:
    """Delete an entry, or whatever has its name, so that nobody sees half of it."""
    if path.is_dir() and not path.is_symlink():
        doomed = path.with_name(f".{_key(path)}-{uuid.uuid4().hex}-removed")
        path.rename(doomed)
        shutil.rmtree(doomed)
    else:
        path.unlink(missing_ok=True)


def _used(folder: Path, load: Callable[[Path], Loaded]) -> Loaded:
    """Check and load a folder, and set its time to now."""
    with suppress(OSError):  # the cache may be another user's
        os.utime(folder)
    check_entry(folder)
    return load(folder)


def check_entry(folder: Path) -> None:
    """Check the files of an entry.

    Raises:
        StaleError: A file is damaged or missing, or the entry has no checksums.
    """
    try:
        check_checksums(folder)
    except FileNotFoundError as error:
        if Path(error.filename).name == CHECKSUMS:
            raise StaleError("an earlier version made it, without checksums") from error
        raise StaleError(f"{Path(error.filename).name} is missing") from error
    except (OSError, ValueError) as error:
        raise StaleError(str(error)) from error
