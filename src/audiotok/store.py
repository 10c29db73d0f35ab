"""Folders of computed things, keyed by what they were computed from.

Guarantees: a folder under its key is complete or absent, whatever is killed in between; of several
processes that want the same key, one computes and the others wait and read. A process that dies while
it holds the lock frees it (the lock is the operating system's, not a file's existence). What is being made
or held is not removed; only what is broken is made again although it is held.
"""

import errno
import fcntl
import hashlib
import json
import logging
import math
import os
import shutil
import tempfile
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
    """What lies under a key cannot be used; the message says why. Raised by readers, caught by Store."""


def arrays_key(arrays: Mapping[str, Any]) -> str:
    """Return 16 hex digits that name the bytes of numpy arrays and their names."""
    return content_key({name: array.tobytes().hex() for name, array in arrays.items()})


def content_key(content: object) -> str:
    """Return 16 hex digits that name a JSON-like value; equal values give equal keys."""
    text = json.dumps(_whole_as_int(content), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _whole_as_int(content: object) -> object:
    """Write 1.0 as 1: YAML and Python take them for equal, JSON does not."""
    if isinstance(content, float) and content.is_integer():
        return int(content)
    if isinstance(content, dict):
        return {key: _whole_as_int(value) for key, value in content.items()}
    return [_whole_as_int(value) for value in content] if isinstance(content, list | tuple) else content


def first_difference(expected: dict[str, object], found: dict[str, object]) -> str:
    """Say in a few words which key of two flat dictionaries differs first, or "" where none does."""
    for key in sorted(expected.keys() | found.keys()):
        if expected.get(key) != found.get(key):
            return f"{key} is {found.get(key)!r}, not {expected.get(key)!r}"
    return ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One computed thing in a store.

    Args:
        kind: Sort of thing.
        key: Content key.
        folder: Where it lies.
    """

    kind: str
    key: str
    folder: Path

    @property
    def n_bytes(self) -> int:
        """What it takes on the disk; holes in files take nothing."""
        return sum(512 * path.lstat().st_blocks for path in self.folder.rglob("*"))

    @property
    def last_use(self) -> float:
        """When it was last loaded or made, in seconds since 1970."""
        return self.folder.stat().st_mtime

    @property
    def is_abandoned(self) -> bool:
        """Whether it is what a process that was killed has left half made, or half removed."""
        return self.key.startswith(".")


def readable_size(n_bytes: float) -> str:
    """Return a number of bytes as people read it: 812 kB, 5.4 MB, 31.0 GB."""
    units = ("bytes", "kB", "MB", "GB", "TB")
    power = min(int(math.log10(max(1, n_bytes)) / 3), len(units) - 1)
    return f"{n_bytes / 1000**power:.{int(power > 1)}f} {units[power]}"


class Store:
    """A cache folder on disk, `<root>/<kind>/<key>/`.

    Args:
        root: Folder, made when first written; `~` is expanded.
    """

    def __init__(self, root: str | Path = DEFAULT_ROOT) -> None:
        self.root = Path(root).expanduser()

    def folder(self, kind: str, key: str) -> Path:
        """Return the place of one computed thing, whether or not it exists yet."""
        return self.root / kind / key

    def load(self, kind: str, key: str, load: Callable[[Path], Loaded]) -> Loaded | None:
        """Load what lies under a key, or return None where it is absent or stale."""
        folder = self.folder(kind, key)
        try:
            return _used(folder, load) if folder.is_dir() else None
        except StaleError:
            return None

    def load_or_make(
        self, kind: str, key: str, load: Callable[[Path], Loaded], make: Callable[[Path], None]
    ) -> Loaded:
        """Load what lies under a key, making it first where it is absent or stale.

        Args:
            kind: Sub-folder, one for each sort of thing.
            key: Content key.
            load: Reads a folder; raises `StaleError` when its content cannot be used.
            make: Writes everything into an empty folder that it is handed.

        Raises:
            UserError: The cache cannot be written.
        """
        folder = self.folder(kind, key)
        if folder.is_dir():
            try:
                return _used(folder, load)
            except StaleError as reason:
                if folder.is_dir():  # or it was removed just now
                    log.warning("%s: %s; it is made again.", folder, reason)
        with self._writable():
            folder.parent.mkdir(parents=True, exist_ok=True)
            with _lock(folder):
                return self._load_or_make_locked(folder, load, make)

    def free_bytes(self) -> int:
        """Return how much room there is on the disk of the store."""
        there = next(folder for folder in (self.root, *self.root.absolute().parents) if folder.is_dir())
        return shutil.disk_usage(there).free

    def entries(self, kind: str = "[!.]*") -> list[Entry]:
        """Return all that lies in the store and not elsewhere, or what is of one kind, by kind and key."""
        root = self.root.resolve()
        return [
            Entry(folder.parent.name, folder.name, folder)
            for folder in sorted(self.root.glob(f"{kind}/*/"))
            if folder.resolve() == root / folder.parent.name / folder.name  # no link leads out of it
        ]

    def hold(self, kind: str, key: str) -> int | None:
        """Keep others from removing what is read for long, until the descriptor that this returns is closed.

        Where no lock can be written, as in a cache that others own, None is returned, and nothing is held.
        """
        try:
            descriptor = os.open(_hold_file(self.folder(kind, key)), os.O_RDWR | os.O_CREAT, 0o666)
        except OSError:
            return None
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        return descriptor

    def remove(self, entry: Entry) -> bool:
        """Remove what nobody makes or holds at this moment, and return whether it is gone.

        It is, too, where another process has removed it first.
        Its empty lock files stay: another process may just be waiting at them.
        """
        try:
            with _lock(entry.folder, timeout=0), _hold_file(entry.folder).open("a") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if entry.folder.is_dir():
                    doomed = entry.folder.with_name(f".{entry.key.lstrip('.')}-removed")
                    entry.folder.rename(doomed)  # so that it is never seen half
                    shutil.rmtree(doomed)
        except (Timeout, BlockingIOError):
            return False
        return True

    def _load_or_make_locked(
        self, folder: Path, load: Callable[[Path], Loaded], make: Callable[[Path], None]
    ) -> Loaded:
        if folder.is_dir():  # somebody else was first, or it is stale
            try:
                return _used(folder, load)
            except StaleError:
                shutil.rmtree(folder)
        for abandoned in folder.parent.glob(f".{folder.name}-*"):  # by a process that was killed
            shutil.rmtree(abandoned, ignore_errors=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        temporary.chmod(0o777 & ~_umask())  # mkdtemp's folders are the user's alone; caches may be shared
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
        """Tell an error of the cache from one of a file that is read to make something."""
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EROFS}:
            return True
        name = error.filename
        return isinstance(name, str | bytes | os.PathLike) and (
            Path(os.fsdecode(name)).absolute().is_relative_to(self.root.absolute())
            or self.root.absolute().is_relative_to(Path(os.fsdecode(name)).absolute())
        )


def _beside(folder: Path, suffix: str) -> Path:
    """Return the file of a key that lies beside its folder, and beside one that is on its way to it."""
    key = folder.name.lstrip(".").partition("-")[0]
    return folder.with_name(key + suffix)


def _lock(folder: Path, timeout: float = -1) -> FileLock:
    """Return the lock of whoever makes or removes what lies in a folder."""
    return FileLock(_beside(folder, ".lock"), timeout)


def _hold_file(folder: Path) -> Path:
    """Return the file whose shared lock says that a folder is being read."""
    return _beside(folder, ".hold")


def _used(folder: Path, load: Callable[[Path], Loaded]) -> Loaded:
    """Load a folder, and note in its time that it was used."""
    with suppress(OSError):  # a cache that others own is read all the same
        os.utime(folder)
    return load(folder)
