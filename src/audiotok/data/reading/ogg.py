"""Ogg files, which may be chained: several streams one after the other (RFC 3533, section 4).

libsndfile reads the first stream alone, and silently reads a truncated stream as a shorter one. Here the
pages are counted without decoding: about 30 in 10 s of sound, a microsecond each.
"""

import os
from typing import BinaryIO, NamedTuple

_PAGE = 27  # bytes of a page's header, before the table of its segments
_FIRST, _LAST = 2, 4  # flags of the first and the last page of a stream


class Link(NamedTuple):
    """One of the chained streams.

    Args:
        start: Its first byte.
        stop: One past its last byte.
        n_before_last: Samples that its pages have counted at the page before the last two; libsndfile finds
            no exact place behind them in Vorbis.
    """

    start: int
    stop: int
    n_before_last: int


def links(file: BinaryIO) -> list[Link]:
    """Find the chained streams of a file.

    Raises:
        ValueError: A stream does not end with a complete page that is marked as its last, or what lies
            between two pages is not Ogg.
    """
    size = file.seek(0, os.SEEK_END)
    starts, counts, flags, is_complete = [0], [[0]], _FIRST, False
    place = _next_page(file, 0, size)
    while place < size:
        file.seek(place)
        header = file.read(_PAGE + 255)
        was_first, flags = flags & _FIRST, header[5] if len(header) >= _PAGE else 0
        if flags & _FIRST and not was_first:
            _require_end(is_complete)
            starts.append(place)
            counts.append([0])
        counts[-1].append(int.from_bytes(header[6:14], "little", signed=True))
        n_segments = header[26] if len(header) >= _PAGE else 0
        end = place + _PAGE + n_segments + sum(header[_PAGE : _PAGE + n_segments])
        is_complete = bool(flags & _LAST) and len(header) >= _PAGE and end <= size
        place = _next_page(file, end, size)
        if place > end and place < size:
            raise ValueError(f"{place - end} bytes between two pages are not Ogg")
    _require_end(is_complete)
    ends = [*starts[1:], size]
    return [Link(a, b, max(n[:-2], default=0)) for a, b, n in zip(starts, ends, counts, strict=True)]


def _require_end(is_complete: bool) -> None:
    if not is_complete:
        raise ValueError("the Ogg stream is truncated: its last page is missing")


def _next_page(file: BinaryIO, place: int, size: int) -> int:
    """Return where the next page begins, here or behind bytes that belong to none; or the file's size."""
    n_bytes = 4
    while place < size:
        file.seek(place)
        content = file.read(n_bytes)
        n_bytes = 65_536
        found = content.find(b"OggS")
        if found >= 0:
            return place + found
        place += max(1, len(content) - 3)
    return size


def holds_flac(head: bytes) -> bool:
    """Tell by its first bytes whether an Ogg file has FLAC in it, which libsndfile does not read."""
    return head.startswith(b"OggS") and head[_PAGE + 1 : _PAGE + 6] == b"\x7fFLAC"
