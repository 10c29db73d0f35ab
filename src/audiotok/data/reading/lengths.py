"""The lengths in the headers of audio files: placeholders, and lengths of truncated files.

A recorder that writes to a pipe cannot go back to fill in the length. It leaves 0, or a number at or near the
largest possible, and the rest of the file is audio. Any other length beyond the end of the file means that
the file is truncated.
"""

import os
import re
from typing import BinaryIO

_OPEN_LENGTH = 0x7F00_0000  # bytes; lengths from here on are placeholders if the file is shorter

# What libsndfile notes in its log if a file has fewer bytes or samples than its header promises.
_SHORTER = re.compile(
    r"(?:data| SSND| BODY|  Data Size  |^riff) : (?P<promised>\d+) \(should be (?P<found>\d+)\)"
    r"|Calculated frame count (?P<frames>\d+) does not match value from 'ds64' chunk of (?P<of>\d+)",
    re.MULTILINE,
)


def truncation(log: str) -> str:
    """Return in words what is missing of a file according to libsndfile's log, or ""."""
    for match in _SHORTER.finditer(log):
        if match["of"]:
            found, promised, unit = int(match["frames"]), int(match["of"]), "samples"
        else:
            found, promised, unit = int(match["found"]), int(match["promised"]), "bytes"
        if found < promised < _OPEN_LENGTH:
            return f"truncated after {found} of {promised} {unit}"
    return ""


def open_length(file: BinaryIO) -> dict[int, bytes]:
    """Return the lengths of a RIFF WAVE file that were left at 0, corrected: new bytes by their place."""
    size = file.seek(0, os.SEEK_END)
    file.seek(4)
    riff_ends = 8 + int.from_bytes(file.read(4), "little")
    place = 12
    while place + 8 <= size:
        file.seek(place)
        name, n_bytes = file.read(4), int.from_bytes(file.read(4), "little")
        place += 8
        if name == b"data":
            if n_bytes or riff_ends > place or place >= size:
                return {}
            corrected = {4: size - 8, place - 4: size - place}
            return {at: min(length, 0xFFFF_FFFF).to_bytes(4, "little") for at, length in corrected.items()}
        place += n_bytes + n_bytes % 2
    return {}
