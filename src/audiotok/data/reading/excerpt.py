"""A stretch of a file as a file of its own, for decoders that would not read all of the file it is in.

Bytes can be replaced, which corrects a header without a copy of the file. Costs a call of Python for each of
the decoder's reads, so files that decoders read as they are do not come this way.
"""

import io
from collections.abc import Mapping
from typing import Any, BinaryIO

_TAG = 128  # bytes at the end that libmpg123 reads, in search of an ID3v1 tag, before it accepts a length


class Excerpt(io.RawIOBase):
    """Bytes of an open file as a file that is read and sought from 0.

    Args:
        file: Holds the bytes; it stays open, and its position changes.
        start: The first byte.
        stop: One past the last byte.
        replaced: Bytes to return instead of those of the file, by their place in the file.
        apparent_size: The length that a decoder is told, bytes; None for the truth. Reading ends where the
            bytes end, and has some zeros at the apparent end.
    """

    def __init__(
        self,
        file: BinaryIO,
        start: int,
        stop: int,
        replaced: Mapping[int, bytes] | None = None,
        apparent_size: int | None = None,
    ) -> None:
        self._file, self._start, self._stop = file, start, stop
        self._replaced = replaced or {}
        self._size = max(0, stop - start) if apparent_size is None else apparent_size
        self._is_longer = apparent_size is not None
        self._position = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a byte."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        """Return the position of the next byte."""
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Read as many bytes as the buffer has room for and the excerpt still has; return their number."""
        if self._is_longer and self._position >= self._size - _TAG:
            content = bytes(max(0, min(len(buffer), self._size - self._position)))
        else:
            place = self._start + self._position
            self._file.seek(place)
            content = self._corrected(self._file.read(max(0, min(len(buffer), self._stop - place))), place)
        buffer[: len(content)] = content
        self._position += len(content)
        return len(content)

    def _corrected(self, content: bytes, place: int) -> bytes:
        for at, new in self._replaced.items():
            first, last = max(at, place), min(at + len(new), place + len(content))
            if first < last:
                content = content[: first - place] + new[first - at : last - at] + content[last - place :]
        return content
