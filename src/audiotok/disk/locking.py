"""Locks between processes, which leave no file behind.

A lock is the operating system's (`flock`, or `LockFileEx` on Windows) on a file, so that a process that dies
releases it. The file is deleted with the lock. That is safe because every process opens and locks files of a
folder only while it has the folder's guard, `.guard.lock`, for which it waits milliseconds: nobody has a file
open that has been deleted. Getting and releasing a lock costs about 1 ms.
"""

import time
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
