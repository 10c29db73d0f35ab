"""NumPy arrays that anybody may have written, read without trust.

A header may claim any shape. Here it is compared with the bytes that the file has before anything is
allocated, pickled objects are refused, and the checksum (CRC-32) of each member of an archive is compared.
Arrays are read into memory: this is for megabytes. What is wrong is a `ValueError` in one sentence.
"""

import errno
import math
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Literal

import numpy as np

from audiotok.disk.parsing import check_regular
from audiotok.disk.writing import naming

MOST_BYTES = 4 * 2**30  # of all arrays of an archive, which may be compressed to a thousandth
_PIECE = 2**20  # bytes
_FOLDER = 0x10  # torch would return memory as it finds it for a member with this attribute
_KINDS = "biufcU"  # of elements: truth values, numbers, text
_DEFLATED_TO = 1032  # times smaller is the most that deflate can do (zlib.net/zlib_tech.html)


def read_array(path: Path) -> np.ndarray:
    """Read an `.npy` file.

    Raises:
        OSError: It cannot be read.
        ValueError: It is not such a file, or its length is not what its header says.
    """
    check_regular(path)
    with path.open("rb") as file:
        return _read(file, path.stat().st_size)


def read_arrays(path: Path, names: Iterable[str]) -> dict[str, np.ndarray]:
    """Read arrays of an `.npz` archive by their names.

    Raises:
        OSError: It cannot be read.
        ValueError: It is not such an archive, a name is missing or damaged, or too much is in it.
    """
    with open_archive(path) as archive:
        members = {name: archive.getinfo(f"{name}.npy") for name in names}
        total = sum(member.file_size for member in members.values())
        if total > MOST_BYTES:
            raise ValueError(f"its arrays claim {total} bytes")
        return {name: _member(archive, member) for name, member in members.items()}


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    unpacked = member.compress_type == zipfile.ZIP_STORED
    if not unpacked and member.compress_type != zipfile.ZIP_DEFLATED:
        raise ValueError(f"{member.filename} is compressed in an unknown way")
    if member.file_size > member.compress_size * (1 if unpacked else _DEFLATED_TO):
        raise ValueError(f"{member.filename} claims {member.file_size} bytes, more than it can hold")
    with archive.open(member) as file:
        array = _read(file, member.file_size)
        if file.read(1):
            raise ValueError(f"{member.filename} is longer than it says")
        return array


def check_archive(path: Path) -> None:
    """Compare every member of a zip archive, a checkpoint for example, with its checksum.

    Members must lie in it uncompressed, so that none is larger than the file.

    Raises:
        OSError: It cannot be read.
        ValueError: It is not a zip archive, or damaged.
    """
    n_bytes = path.stat().st_size
    with open_archive(path) as archive:
        members = archive.infolist()
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise ValueError("its content is compressed")
        if sum(member.file_size for member in members) > n_bytes:
            raise ValueError("its parts overlap")
        if any(member.external_attr & _FOLDER for member in members):
            raise ValueError("a part of it is marked as a folder")
        for member in members:
            with archive.open(member) as content:
                while content.read(_PIECE):
                    pass


@contextmanager
def open_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip archive for reading; what is found wrong with it in the block becomes a ValueError, too.

    Raises:
        OSError: It cannot be read.
        ValueError: It is not a zip archive, or damaged.
    """
    check_regular(path)
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except _BROKEN as error:
        raise ValueError(f"it is damaged ({_said(error).rstrip('.')})") from error
    except OSError as error:
        if error.errno == errno.EINVAL:  # a member that begins before the file does
            raise ValueError("it is damaged (a part begins before the file does)") from error
        raise


# What zipfile raises for damaged archives: RuntimeError for a bit that says "encrypted", for example.
_BROKEN = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, LookupError, RuntimeError, ArithmeticError)


def _said(error: BaseException) -> str:
    return " ".join(str(error).strip("'\"").split()) or type(error).__name__


def map_array(path: Path) -> np.memmap:
    """Map an `.npy` file into memory, read-only; later writes to it are seen. Errors as `read_array`."""
    check_regular(path)
    with path.open("rb") as file:
        shape, order, dtype = _header(file, path.stat().st_size, _KINDS + "V")
        return np.memmap(path, dtype, "r", file.tell(), shape, order)


def write_array(path: Path, array: np.ndarray) -> None:
    """Write an `.npy` file; unlike that of `np.save`, the error of a full disk says that it is full.

    Raises:
        OSError: The file cannot be written, or the disk is full.
    """
    array = np.asarray(array, order="C")
    with naming(path), path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
        file.write(array.data if array.size else b"")


def _header(file: IO[bytes], size: int, kinds: str) -> tuple[tuple[int, ...], Literal["C", "F"], np.dtype]:
    """Read the header of a file of `size` bytes: shape, order and type of the array that is the rest."""
    try:
        version = np.lib.format.read_magic(file)
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        shape, in_columns, dtype = read[version](file)
    except OSError:
        raise
    except Exception as error:  # numpy evaluates the header as Python's literals, and its errors are many
        raise ValueError(f"its header is damaged ({_said(error)})") from error
    n_bytes = math.prod(shape) * dtype.itemsize
    if dtype.kind not in kinds or dtype.hasobject or not dtype.itemsize or any(n < 0 for n in shape):
        raise ValueError(f"it holds {dtype} of shape {shape}")
    if n_bytes != size - file.tell():
        raise ValueError(f"its header says {n_bytes} bytes, and it has {size - file.tell()}")
    return shape, "F" if in_columns else "C", dtype


def _read(file: IO[bytes], size: int) -> np.ndarray:
    """Read an array from a file of `size` bytes, of which its content takes up all after the header."""
    shape, order, dtype = _header(file, size, _KINDS)
    n_bytes = math.prod(shape) * dtype.itemsize
    content = bytearray(n_bytes)
    view, n_read = memoryview(content), 0
    while n_read < n_bytes and (piece := file.read(min(2**24, n_bytes - n_read))):
        view[n_read : n_read + len(piece)] = piece
        n_read += len(piece)
    if n_read < n_bytes:
        raise ValueError(f"it ends after {n_read} of {n_bytes} bytes")
    return np.frombuffer(content, dtype).reshape(shape, order=order)
