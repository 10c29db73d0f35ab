"""Locks between processes, which leave no file behind.

A lock is the operating system's (`flock`, or `LockFileEx` on Windows) on a file, so that a process that dies
releases it. The file is deleted with the lock. That is safe because every process opens and locks files of a
folder only while it has the folder's guard, `.guard.lock`, for which it waits milliseconds: nobody has a file
open that has been deleted. Getting and releasing a lock costs about 1 ms.
"""

import os
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

GUARD = ".guard.lock"
_PAUSE = 0.05  # s between two attempts


@contextmanager
def locked(path: Path, timeout: float = -1) -> Iterator[None]:
    """Run a block while no other process, and no other thread, has the lock of this path.

    Args:
        path: The file of the lock, in a folder that exists; it is deleted afterwards.
        timeout: Seconds to wait for the lock; negative to wait for ever.

    Raises:
        Timeout: Another has the lock for longer.
        OSError: The folder cannot be written.
    """
    lock = _acquired(path, timeout)
    try:
        yield
    finally:
        try:
            with _guard(path):
                lock.release()
                path.unlink(missing_ok=True)
        except OSError:  # the folder has been removed, or may no longer be written
            lock.release()


def _acquired(path: Path, timeout: float) -> FileLock:
    deadline = time.monotonic() + timeout
    while True:
        with _guard(path), suppress(Timeout):
            lock = FileLock(path, timeout=0)
            lock.acquire()
            return lock
        if timeout >= 0 and deadline <= time.monotonic():
            raise Timeout(str(path))
        time.sleep(_PAUSE)


def _guard(path: Path) -> FileLock:
    return FileLock(path.with_name(GUARD), poll_interval=0.002)


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
