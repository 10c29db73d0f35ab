"""The folder of a run, or of a sweep, belongs to one process at a time.

A claim is a lock of the operating system on the folder itself, which ends with the process however that ends
and leaves no file. On Windows, and on disks without such locks, nothing is locked.
"""

import errno
import os
from contextlib import suppress
from itertools import count
from pathlib import Path

from audiotok.errors import UserError

_claims: dict[str, int] = {}  # open folders, by their real paths


def claim(folder: Path, key: str) -> None:
    """Create a folder, and keep other processes from claiming it until `release` or the end of this process.

    Args:
        folder: The folder.
        key: The setting that names it, for errors.

    Raises:
        UserError: Another process has claimed it.
        OSError: It cannot be created.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not _lock(folder):
        raise UserError(
            f"{key}={folder} is being written by another process; wait until that one ends, or choose "
            "another folder."
        )


def claim_new(folder: Path) -> Path:
    """Create and claim a folder that does not exist yet, with _2, _3 and so on behind its name if it does.

    Raises:
        OSError: It cannot be created.
    """
    for number in count(1):
        path = folder if number == 1 else folder.with_name(f"{folder.name}_{number}")
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            path.mkdir()
            if _lock(path):
                return path
    raise AssertionError("there is always another number")


def release(folder: Path) -> None:
    """Let other processes claim a folder."""
    opened = _claims.pop(os.path.realpath(folder), None)
    if opened is not None:
        os.close(opened)


def _lock(folder: Path) -> bool:
    """Lock a folder, unless this process has; tell whether no other process has."""
    try:
        import fcntl
    except ImportError:  # Windows
        return True
    name = os.path.realpath(folder)
    if name in _claims:
        return True
    opened = os.open(name, os.O_RDONLY)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(opened)
        return error.errno not in (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)
    _claims[name] = opened
    return True


def _forget() -> None:
    """Close the folders in a process that was forked: their locks would last as long as that one."""
    for opened in _claims.values():
        os.close(opened)
    _claims.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
