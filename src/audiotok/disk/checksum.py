"""Checksums of the files in a folder: written once when the folder is complete, checked when it is read.

`checksums.json` in the folder has the size and the CRC-32 of each file. A file that is filled later, as the
rows of a cache are, counts with its header only, and its content needs checksums of its own. Checking reads
every file once, at about 1 GB/s from memory.
"""

import json
import stat
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from audiotok.disk.parsing import read_json
from audiotok.disk.writing import naming

CHECKSUMS = "checksums.json"
_PIECE = 2**20  # bytes that are read at a time
_MOST_BYTES = 2**30  # of checksums.json; a file takes about 60
_NOTHING_FILLED: Mapping[str, int] = {}


def crc32_of(path: Path, n_bytes: int) -> int:
    """Return the CRC-32 of the first bytes of a file.

    Raises:
        OSError: It cannot be read.
        ValueError: It is shorter.
    """
    crc32, left = 0, n_bytes
    piece = memoryview(bytearray(min(_PIECE, n_bytes)))
    with path.open("rb", buffering=0) as file:
        while left:
            n_read = file.readinto(piece[: min(left, _PIECE)])
            if not n_read:
                raise ValueError(f"{path.name} is cut short")
            crc32, left = zlib.crc32(piece[:n_read], crc32), left - n_read
    return crc32


def write_checksums(folder: Path, filled: Mapping[str, int] = _NOTHING_FILLED) -> None:
    """Write the checksums of all files in a folder, for `check_checksums`.

    Args:
        folder: Complete, and read by nobody yet.
        filled: Files that are written to later, and the length of their headers in bytes.

    Raises:
        OSError: A file cannot be read, or the disk is full.
    """
    files = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path != folder / CHECKSUMS:
            name, size = path.relative_to(folder).as_posix(), path.stat().st_size
            n_summed = filled.get(name, size)
            files[name] = [size, n_summed, crc32_of(path, n_summed)]
    text = json.dumps({"files": files}) + "\n"
    with naming(folder / CHECKSUMS):
        (folder / CHECKSUMS).write_text(text, encoding="utf-8")


def check_checksums(folder: Path) -> None:
    """Check the files of a folder; files that were added to it later are ignored.

    Raises:
        FileNotFoundError: The folder has no checksums, or a file is missing.
        OSError: A file cannot be read.
        ValueError: A file is not what it was, named in the sentence.
    """
    try:
        found = read_json(folder / CHECKSUMS, _MOST_BYTES)["files"]
        files = [
            (str(name), int(size), int(summed), int(crc32)) for name, (size, summed, crc32) in found.items()
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{CHECKSUMS} is damaged") from error
    for name, size, n_summed, _ in files:
        place = PurePosixPath(name)
        if place.is_absolute() or ".." in place.parts or not 0 <= n_summed <= size:
            raise ValueError(f"{CHECKSUMS} is damaged")
        status = (folder / name).stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size != size:
            raise ValueError(f"{name} has another size than when it was written")
    for name, _, n_summed, crc32 in files:
        if crc32_of(folder / name, n_summed) != crc32:
            raise ValueError(f"{name} does not match its checksum")
