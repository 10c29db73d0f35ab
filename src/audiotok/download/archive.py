"""Unpacking of zip archives: nothing is written outside the folder, which is either complete or absent.

Members are unpacked into a staging folder, each under a temporary name until it is complete, and the folder
is renamed at the end; members that an earlier attempt has unpacked are skipped. Archives in several parts
(`.z01`, `.z02`, ..., `.zip`, as for FSD50K) are read in place: their directory counts offsets from the
beginning of each part, which Python's zipfile does not support (PKWARE's APPNOTE, 4.4.11 and 4.4.16).
"""

import bisect
import io
import lzma
import os
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from audiotok.errors import UserError

# What zipfile raises: RuntimeError for an encrypted member, UnicodeError for a name.
_DAMAGES = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    struct.error,
    RuntimeError,
    UnicodeError,
    OverflowError,
)
_END = struct.Struct("<4s4H2LH")  # end of central directory: signature, disk, disk of the directory, ...


def unpack(parts: list[Path], folder: Path, staging: Path, most_bytes: int = 0) -> int:
    """Unpack the one folder that an archive contains.

    Args:
        parts: The files of the archive, in order.
        folder: The folder to create; it must not exist yet.
        staging: Folder for the members in the meantime, on the same disk.
        most_bytes: The largest size of the folder that is credible; 0 if it is not known.

    Returns:
        The number of files in the folder.

    Raises:
        UserError: The archive is damaged, contains something else, would write outside the folder, or is
            larger than is credible or than the disk has room for.
    """
    with _reported(parts), _open(parts) as archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
        top = {_place(parts[-1], member).parts[0] for member in members}
        if len(top) != 1 or any(len(_place(parts[-1], member).parts) == 1 for member in members):
            raise UserError(
                f"{parts[-1]} has {len(top)} entries at the top, not one folder; is it the right archive?"
            )
        _require_size(parts[-1], sum(member.file_size for member in members), folder, most_bytes)
        for member in tqdm(members, f"Unpacking {folder.name}", unit="file", disable=None, leave=False):
            _extract(archive, member, staging / _place(parts[-1], member))
    (staging / top.pop()).rename(folder)
    return len(members)


def _require_size(archive: Path, n_bytes: int, folder: Path, most_bytes: int) -> None:
    """Reject a small archive that would fill the disk."""
    if most_bytes and n_bytes > most_bytes:
        raise UserError(
            f"{archive} unpacks to {n_bytes / 1e9:.1f} GB, where {most_bytes / 1e9:.1f} GB is too much; "
            "is it the right archive?"
        )
    if n_bytes > shutil.disk_usage(folder.parent).total:
        raise UserError(
            f"{archive} unpacks to {n_bytes / 1e9:.1f} GB, which is more than the disk of {folder.parent} "
            "has; give a folder on another disk, or another archive."
        )


def _place(archive: Path, member: zipfile.ZipInfo) -> PurePosixPath:
    """Return the path of a member inside the folder; reject a member that would be written elsewhere."""
    path = PurePosixPath(member.filename)
    links = stat.S_ISLNK(member.external_attr >> 16)
    outside = path.is_absolute() or not path.parts or ".." in path.parts or ":" in path.parts[0]
    if outside or "\\" in member.filename or links:
        raise UserError(
            f"{archive} contains {member.filename!r}, which would be written outside its folder; "
            "do not use this archive."
        )
    return path


def _extract(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> None:
    if path.is_file() and path.stat().st_size == member.file_size:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.part")
    with archive.open(member) as source, temporary.open("wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
    temporary.replace(path)


@contextmanager
def _reported(parts: list[Path]) -> Iterator[None]:
    try:
        yield
    except _DAMAGES as error:
        raise UserError(f"{parts[-1]} cannot be unpacked ({error}); delete it and start again.") from error


@contextmanager
def _open(parts: list[Path]) -> Iterator[zipfile.ZipFile]:
    if len(parts) == 1:
        with zipfile.ZipFile(parts[0]) as archive:
            yield archive
        return
    with Joined(parts) as file, zipfile.ZipFile(io.BufferedReader(file, 1 << 20)) as archive:
        origin = file.starts[_disk_of_directory(parts[-1])]  # zipfile has counted offsets from there
        for member in archive.filelist:
            member.header_offset += file.starts[member.volume] - origin
            if hasattr(member, "_end_offset"):  # newer versions check for overlaps, with the wrong offsets
                member._end_offset = None
        yield archive


def _disk_of_directory(path: Path) -> int:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _END.size - 0xFFFF))  # a comment has at most 65,535 bytes
        tail = file.read()
    return int(_END.unpack_from(tail, tail.rfind(b"PK\x05\x06"))[2])


class Joined(io.RawIOBase):
    """Several files that are read as one.

    Args:
        paths: The files, in order.
    """

    def __init__(self, paths: list[Path]) -> None:
        sizes = [path.stat().st_size for path in paths]
        self.starts = [0, *accumulate(sizes)][:-1]
        self._files = [path.open("rb") for path in paths]
        self._size, self._position = sum(sizes), 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a position relative to the beginning, to the current position, or to the end."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer) -> int:  # type: ignore[no-untyped-def]  # any writable buffer
        """Read at most to the end of the current part."""
        index = bisect.bisect_right(self.starts, self._position) - 1
        file = self._files[index]
        file.seek(self._position - self.starts[index])
        n = file.readinto(buffer)
        self._position += n
        return n

    def close(self) -> None:
        """Close all files."""
        for file in self._files:
            file.close()
        super().close()
