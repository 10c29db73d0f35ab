"""Checksums of the text files in a run's folder, compared when they are read: CRC-32 and size.

These files change while the run lasts, unlike those of `audiotok.disk.checksum`, whose folders are written
once. So `checksums.json` is written before each file, with the old checksum and the new one: whenever the
process is killed, one of them matches. Checkpoints and other archives have checksums of their own. Writing a
file costs one more write of a few hundred bytes.
"""

import os
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

from audiotok.disk.checksum import CHECKSUMS
from audiotok.disk.parsing import MOST_BYTES, read_bytes, read_json
from audiotok.disk.writing import write_json, write_text

_ABOUT = "CRC-32 and size of each file: of the one before and of this one"


class DamagedError(ValueError):
    """A file is not what was written."""


def write_summed(path: Path, text: str) -> None:
    """Write a text file in one step, and its checksum before it.

    Raises:
        OSError: The folder cannot be written, or the disk is full.
    """
    record(path.parent, path.name, text.encode())
    write_text(path, text)


def record(folder: Path, name: str, content: bytes) -> None:
    """Record that a file of a folder is about to have some content, or has it."""
    sums = _read(folder)
    before: Any = None
    with suppress(OSError, ValueError):
        before = _sum(read_bytes(folder / name))
    new = _sum(content)
    known = [before] if before in sums.get(name, ()) and before != new else []
    write_json(folder / CHECKSUMS, {"about": _ABOUT, "files": {**sums, name: [*known, new]}})


def check(folder: Path, name: str, content: bytes) -> None:
    """Compare what was read of a file with what was written; a file without a sum is taken as it is.

    Raises:
        DamagedError: They differ.
    """
    known = _read(folder).get(name)
    if known is not None and _sum(content) not in known:
        raise DamagedError("it does not match its checksum: it was damaged, or changed by hand")


def read_summed(path: Path, folder: Path | None = None, most_bytes: int = MOST_BYTES) -> bytes:
    """Read a file of a run's folder and compare it with its checksum.

    Args:
        path: The file.
        folder: The run's folder, if the file is not directly in it.
        most_bytes: A larger file is refused.

    Raises:
        OSError: It cannot be read.
        ValueError: It is not a regular file of the folder, or too large. DamagedError: It is not what was
            written.
    """
    folder = folder or path.parent
    check_inside(path, folder)
    content = read_bytes(path, most_bytes)
    check(folder, path.relative_to(folder).as_posix(), content)
    return content


def check_inside(path: Path, folder: Path) -> None:
    """Check that a file is not a link out of its folder: a folder of somebody's may link to what is secret.

    Raises:
        ValueError: It is one.
    """
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
        raise ValueError("it is a link to a place outside the folder")


def fault_of(folder: Path) -> str | None:
    """Say why the checksums of a folder cannot be read; None if they can, or there are none."""
    try:
        _entries(read_json(folder / CHECKSUMS))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        return f"{CHECKSUMS} cannot be read ({error}), so that nothing was compared with it"
    return None


def _read(folder: Path) -> dict[str, Any]:
    try:
        return _entries(read_json(folder / CHECKSUMS))
    except (OSError, ValueError):
        return {}


def _entries(content: Any) -> dict[str, Any]:
    entries = content.get("files") if isinstance(content, dict) else None
    if not isinstance(entries, dict) or not all(isinstance(entry, list) for entry in entries.values()):
        raise ValueError("it is damaged")
    return entries


def _sum(content: bytes) -> list[int]:
    return [zlib.crc32(content), len(content)]
