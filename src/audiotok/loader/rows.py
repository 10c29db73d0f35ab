"""Rows of one array on disk, each complete or absent, which many processes fill and read at the same time.

A folder holds `rows.npy` (rows, ...), sparse until it is filled, and `index.npy`: the length of each row, and
the CRC-32 of its bytes, mixed with its number and that length; numpy opens both files. A process writes a row
first and its index entry second. A row is absent while its length is 0, or if its CRC does not match: a bit
has flipped, the machine lost power between the two writes, or two processes wrote rows that differ in the
last bit at the same time. What the system has no room for is an OSError of the writer: blocks of the index
are taken when it is created, those of a row when it is written, and no others are read through the map.
"""

import zlib
from io import FileIO
from pathlib import Path

import numpy as np

from audiotok.disk.arrays import map_array, write_array
from audiotok.store import StaleError

ROWS, INDEX = "rows.npy", "index.npy"
_HEADER = 128  # bytes; numpy pads headers to a multiple of 64
HEADERS = {ROWS: _HEADER, INDEX: _HEADER}  # the rest of the files is filled later
_PART = 256  # rows that are checked at a time
_ENTRY = np.dtype([("length", "<i4"), ("crc32", "<u4")])
_SPREAD = 2_654_435_769  # odd: 2^32 over the golden ratio, so that neighbouring rows begin far apart


class Rows:
    """The rows in a folder, mapped into memory: all processes that read them share the pages.

    Args:
        folder: Where `create` made them.

    Raises:
        StaleError: They are missing, or broken.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            self._rows = map_array(folder / ROWS)
            self._index = map_array(folder / INDEX)
        except (OSError, ValueError) as error:
            raise StaleError(f"the rows cannot be read ({error!r})") from error
        if self._index.shape != self._rows.shape[:1] or self._index.dtype != _ENTRY:
            raise StaleError(f"{INDEX} does not belong to {ROWS}")
        self._row_bytes = self._rows.itemsize * int(np.prod(self._rows.shape[1:]))

    @staticmethod
    def create(folder: Path, shape: tuple[int, ...], dtype: np.dtype) -> None:
        """Create rows that are all absent, and use no disk space yet but for the index.

        Args:
            folder: An empty folder.
            shape: (rows, ...)
            dtype: Type of the values.

        Raises:
            OSError: The disk is full.
        """
        rows = np.lib.format.open_memmap(folder / ROWS, "w+", dtype, shape)
        assert _start(rows) == _HEADER, "the header would not be checked whole"
        write_array(folder / INDEX, np.zeros(shape[:1], _ENTRY))

    def __reduce__(self) -> tuple[type["Rows"], tuple[Path]]:
        return Rows, (self.folder,)  # a memory map would be copied

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a row."""
        return self._rows.shape[1:]

    @property
    def dtype(self) -> np.dtype:
        """Type of the values."""
        return self._rows.dtype

    def lengths(self, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Return the lengths of rows (B,) in the index: int32 (B,), 0 for absent rows."""
        return np.asarray(self._index["length"])[rows]

    def read(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Copy rows.

        Args:
            rows: (B,)

        Returns:
            (B, ...), undefined for absent rows, and their lengths, int32 (B,), 0 for absent rows.
        """
        entries = np.asarray(self._index)[rows]  # before the rows, the reverse of how they are written
        lengths = entries["length"].copy()
        if lengths.all():
            values = np.asarray(self._rows)[rows]
        else:  # a row that was never written has no blocks, and a full disk none to give
            values = np.zeros((len(rows), *self.shape), self.dtype)
            values[lengths != 0] = np.asarray(self._rows)[rows[lengths != 0]]
        found = np.array([zlib.crc32(row) for row in values], np.uint32)
        lengths[found ^ _places(rows, lengths) != entries["crc32"]] = 0
        return values, lengths

    def write(self, row: int, values: np.ndarray, length: int) -> None:
        """Write a row.

        Args:
            row: Which.
            values: Of the shape of a row.
            length: How much of it is not padding, 1 or more.

        Raises:
            OSError: The disk is full, or the rows have been removed.
        """
        content = np.ascontiguousarray(values, self.dtype).tobytes()
        assert length > 0, "0 stands for an absent row"
        assert len(content) == self._row_bytes, f"{values.shape} is not {self.shape}"
        [place] = _places(np.array([row]), np.array([length], np.int32)).tolist()
        entry = np.array((length, zlib.crc32(content) ^ place), _ENTRY).tobytes()
        _write(self.folder / ROWS, content, _start(self._rows) + row * self._row_bytes)
        _write(self.folder / INDEX, entry, _start(self._index) + row * _ENTRY.itemsize)

    def damaged(self) -> list[int]:
        """Return the rows whose CRC does not match; they count as absent."""
        written = np.flatnonzero(self.lengths())
        parts = np.split(written, range(_PART, len(written), _PART))
        damaged = [int(row) for part in parts for row in part[self.read(part)[1] == 0]]
        lost = np.flatnonzero((self.lengths() == 0) & (np.asarray(self._index["crc32"]) != 0))
        return sorted([*damaged, *lost.tolist()])


def _places(rows: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return what the CRCs of rows are mixed with, uint32 (B,), which differs if the row or the length does.

    Args:
        rows: (B,)
        lengths: Theirs, int32 (B,).
    """
    return rows.astype(np.uint32) * np.uint32(_SPREAD) + lengths.astype(np.uint32)


def _start(mapped: np.ndarray) -> int:
    """Return where in its file a mapped array begins."""
    assert isinstance(mapped, np.memmap)
    return mapped.offset


def _write(path: Path, content: bytes, offset: int) -> None:
    """Write at an offset of a file; unlike in a memory map, a full disk is an error and not a signal."""
    with path.open("r+b", buffering=0) as file:
        file.seek(offset)
        _write_all(file, content)


def _write_all(file: FileIO, content: bytes) -> None:
    """Write all bytes: the system may take fewer in one call."""
    while content:
        content = content[file.write(content) :]
