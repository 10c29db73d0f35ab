"""A cache on disk: folders of computed results, each under a key made from what it was computed from.

Guarantees: a folder under its key is complete or absent, even if a process is killed while it writes. Of
several processes that want the same key, one computes and the others wait for it. Locks are the operating
system's (`flock`, or `LockFileEx` on Windows), so a process that dies releases its locks. An entry that some
process is making or holding is never removed; only a broken entry is rebuilt even while it is held.
"""

import errno
import hashlib
import json
import logging
import math
import os
import shutil
import tempfile
import uuid
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock, Timeout

from audiotok.errors import UserError

log = logging.getLogger(__name__)
Loaded = TypeVar("Loaded")
DEFAULT_ROOT = "~/.cache/audiotok"


class StaleError(Exception):
    """An entry cannot be used; the message says why. Readers raise it, and Store catches it."""


def arrays_key(arrays: Mapping[str, Any]) -> str:
    """Return 16 hex digits that identify named numpy arrays: their names and their bytes."""
    return content_key({name: array.tobytes().hex() for name, array in arrays.items()})


def content_key(content: object) -> str:
    """Return 16 hex digits that identify a JSON-like value; equal values give equal keys."""
    text = json.dumps(_whole_as_int(content), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _whole_as_int(content: object) -> object:
    """Replace 1.0 by 1: they are equal in YAML and in Python, but not in JSON."""
    if isinstance(content, float) and content.is_integer():
        return int(content)
    if isinstance(content, dict):
        return {key: _whole_as_int(value) for key, value in content.items()}
    return [_whole_as_int(value) for value in content] if isinstance(content, list | tuple) else content


def first_difference(expected: dict[str, object], found: dict[str, object]) -> str:
    """Describe the first key in which two flat dictionaries differ, or return "" if they are equal."""
    for key in sorted(expected.keys() | found.keys()):
        if expected.get(key) != found.get(key):
            return f"{key} is {found.get(key)!r}, not {expected.get(key)!r}"
    return ""


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
        found = [path.lstat() for path in self.folder.rglob("*")]
        return sum(512 * stat.st_blocks if hasattr(stat, "st_blocks") else stat.st_size for stat in found)

    @property
    def last_use(self) -> float:
        """Time of the last load, or of its making: seconds since 1970."""
        return self.folder.stat().st_mtime

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
        self.root = Path(root).expanduser()

    def folder(self, kind: str, key: str) -> Path:
        """Return the folder of an entry, whether or not it exists yet."""
        return self.root / kind / key

    def load(self, kind: str, key: str, load: Callable[[Path], Loaded]) -> Loaded | None:
        """Load an entry, or return None if it is absent or stale."""
        folder = self.folder(kind, key)
        try:
            return _used(folder, load) if folder.is_dir() else None
        except StaleError:
            return None

    def load_or_make(
        self, kind: str, key: str, load: Callable[[Path], Loaded], make: Callable[[Path], None]
    ) -> Loaded:
        """Load an entry, making it first if it is absent or stale.

        Args:
            kind: Name of its kind, which is a folder of the store.
            key: Content key.
            load: Reads a folder; raises `StaleError` if its content cannot be used.
            make: Writes the content into the empty folder that it is given.

        Raises:
            UserError: The cache cannot be written.
        """
        folder = self.folder(kind, key)
        if folder.is_dir():
            try:
                return _used(folder, load)
            except StaleError as reason:
                if folder.is_dir():  # otherwise it has just been removed
                    log.warning("%s: %s; it is made again.", folder, reason)
        with self._writable():
            folder.parent.mkdir(parents=True, exist_ok=True)
            with _lock(folder):
                return self._load_or_make_locked(folder, load, make)

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

    def hold(self, kind: str, key: str) -> "Hold":
        """Keep an entry that is read for a long time from being removed.

        Where no lock can be written, for example in another user's cache, nothing is held.
        """
        folder = self.folder(kind, key)
        lock = FileLock(_beside(folder, f".{uuid.uuid4().hex}{_HOLD}"), thread_local=False)
        try:
            with _lock(folder):
                _is_held(folder)  # deletes what killed processes have left
                lock.acquire()
        except OSError:
            return Hold()
        return Hold(lock)

    def remove(self, entry: Entry) -> bool:
        """Remove an entry unless a process is making or holding it, and return whether it is gone.

        It is also gone if another process has removed it first. Its empty lock file stays: another process
        may be waiting at it.
        """
        try:
            with _lock(entry.folder, timeout=0):
                if _is_held(entry.folder):
                    return False
                if entry.folder.is_dir():
                    doomed = entry.folder.with_name(f".{entry.key.lstrip('.')}-removed")
                    entry.folder.rename(doomed)  # so that nobody sees half of it
                    shutil.rmtree(doomed)
        except Timeout:
            return False
        return True

    def _load_or_make_locked(
        self, folder: Path, load: Callable[[Path], Loaded], make: Callable[[Path], None]
    ) -> Loaded:
        if folder.is_dir():  # another process was first, or the entry is stale
            try:
                return _used(folder, load)
            except StaleError:
                shutil.rmtree(folder)
        for abandoned in folder.parent.glob(f".{folder.name}-*"):  # left by a process that was killed
            shutil.rmtree(abandoned, ignore_errors=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        temporary.chmod(0o777 & ~_umask())  # mkdtemp makes private folders; caches may be shared
        try:
            make(temporary)
            temporary.rename(folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return load(folder)

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
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EROFS}:
            return True
        name = error.filename
        return isinstance(name, str | bytes | os.PathLike) and (
            Path(os.fsdecode(name)).absolute().is_relative_to(self.root.absolute())
            or self.root.absolute().is_relative_to(Path(os.fsdecode(name)).absolute())
        )


class Hold:
    """Keeps an entry from being removed: until it is released or collected, or its process ends.

    A copy of it in another process, forked or unpickled, holds nothing.

    Args:
        lock: The lock that others look for, acquired; None to hold nothing.
    """

    def __init__(self, lock: FileLock | None = None) -> None:
        self._finalizer = weakref.finalize(self, _release, lock, os.getpid()) if lock else None

    def __reduce__(self) -> tuple[type["Hold"], tuple[()]]:
        return Hold, ()

    def release(self) -> None:
        """Allow the entry to be removed."""
        if self._finalizer is not None:
            self._finalizer()


def _release(lock: FileLock, process: int) -> None:
    if os.getpid() == process:
        lock.release()
        with suppress(OSError):
            Path(lock.lock_file).unlink()


_HOLD = ".hold"  # suffix of the files whose locks say that a process holds an entry, one file for each hold


def _beside(folder: Path, suffix: str) -> Path:
    """Return a file beside the folder of a key, also for a folder that is being made or removed."""
    key = folder.name.lstrip(".").partition("-")[0]
    return folder.with_name(key + suffix)


def _lock(folder: Path, timeout: float = -1) -> FileLock:
    """Return the lock of the process that makes, removes or begins to hold an entry."""
    return FileLock(_beside(folder, ".lock"), timeout)


def _is_held(folder: Path) -> bool:
    """Tell whether a process holds an entry, and delete the files of holds whose processes have ended.

    To be called under the lock of the entry, so that no hold begins meanwhile.
    """
    for path in folder.parent.glob(_beside(folder, f".*{_HOLD}").name):
        try:
            with FileLock(path, timeout=0):
                pass
            path.unlink(missing_ok=True)
        except (Timeout, OSError):  # locked, or another user's
            return True
    return False


def _used(folder: Path, load: Callable[[Path], Loaded]) -> Loaded:
    """Load a folder, and set its time to now."""
    with suppress(OSError):  # the cache may be another user's
        os.utime(folder)
    return load(folder)
