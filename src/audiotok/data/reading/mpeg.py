"""MP3 files whose header does not state the length, or states that of a part.

libsndfile takes the number of samples from a header in the first frame (Xing's; LAME and FFmpeg write one).
Without one it estimates the number from the bit rate at the beginning, which may be too many or too few. So a
file without that header, or with audio after the part that its header describes (two files joined into one),
is decoded to its end. libsndfile also seeks by estimate, so these files are decoded from their beginning.
"""

import os
from typing import BinaryIO, NamedTuple

_WINDOW = 65_536  # bytes in which the first frame, or that of a joined file, is looked for
_SHIFTS = {3: 0, 2: 1, 0: 2}  # of the sample rate, by version: MPEG 1, 2 and 2.5
_RATES = (44_100, 48_000, 32_000)  # Hz
_KBPS_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)  # layer III of MPEG 1
_KBPS_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)  # and of MPEG 2 and 2.5


class Frame(NamedTuple):
    """The first frame of an MP3.

    Args:
        place: Where it begins in the file, bytes.
        header_at: Where Xing's header is in it, bytes from the beginning of the file; -1 if there is none.
        covers: Bytes that the header says are sound, from `place`; 0 if it does not say.
        n_frames: Frames that the header says follow; 0 if it does not say.
    """

    place: int
    header_at: int = -1
    covers: int = 0
    n_frames: int = 0


def skip_id3(file: BinaryIO) -> int:
    """Return where the first byte behind the ID3v2 tags at the beginning of a file is."""
    place = 0
    while True:
        file.seek(place)
        tag = file.read(10)
        if len(tag) < 10 or not tag.startswith(b"ID3") or any(byte & 0x80 for byte in tag[6:]):
            return place
        length = tag[6] << 21 | tag[7] << 14 | tag[8] << 7 | tag[9]
        place += 10 + length + (10 if tag[5] & 0x10 else 0)


def first_frame(file: BinaryIO, place: int) -> Frame | None:
    """Find the first frame of layer III at a place or soon after it; None if there is none."""
    file.seek(place)
    content = file.read(_WINDOW)
    at = _find_frame(content)
    if at < 0:
        return None
    lsf, mono = content[at + 1] >> 3 & 3 != 3, content[at + 3] >> 6 == 3
    tag = at + 4 + (9 if lsf and mono else 32 if not lsf and not mono else 17)
    if content[tag : tag + 4] not in (b"Xing", b"Info"):
        return Frame(place + at)
    flags, fields = content[tag + 7], iter((content[tag + 8 : tag + 12], content[tag + 12 : tag + 16]))
    n_frames, covers = (int.from_bytes(next(fields), "big") if flags & bit else 0 for bit in (1, 2))
    return Frame(place + at, place + tag, covers, n_frames)


def is_whole(file: BinaryIO, first: Frame) -> bool | None:
    """Tell whether Xing's header covers all of the sound in a file; None if it says more than there is."""
    if not first.n_frames:
        return False
    size = file.seek(0, os.SEEK_END)
    if not first.covers:
        return True
    end = first.place + first.covers
    if end > size:
        return None
    file.seek(first.place)
    like = file.read(4)
    file.seek(end)
    if _find_frame(file.read(_WINDOW), like) < 0:
        return True
    behind = _behind_frames(file, first.place, first.n_frames + 1)  # the header is in a frame, too
    if behind is None:
        return True
    file.seek(behind)
    return _find_frame(file.read(_WINDOW), like) < 0


def _find_frame(content: bytes, like: bytes = b"") -> int:
    """Return where a frame like `like` begins, with another of its kind behind it; -1 if nowhere."""
    at = content.find(b"\xff")
    while at >= 0:
        length = _frame_length(content[at : at + 4])
        if length and (not like or _is_alike(content[at : at + 4], like)):
            following = content[at + length : at + length + 4]
            if _frame_length(following) and _is_alike(content[at : at + 4], following):
                return at
        at = content.find(b"\xff", at + 1)
    return -1


def _behind_frames(file: BinaryIO, place: int, n_frames: int) -> int | None:
    """Return where some frames that follow each other end, or None if there are fewer."""
    for _ in range(n_frames):
        file.seek(place)
        length = _frame_length(file.read(4))
        if not length:
            return None
        place += length
    return place


def _is_alike(header: bytes, other: bytes) -> bool:
    return header[1] & 0xFE == other[1] & 0xFE and header[2] & 0x0C == other[2] & 0x0C


def _frame_length(header: bytes) -> int:
    """Return the bytes of a frame of layer III, by its first four; 0 if they do not begin one."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE6 != 0xE2:
        return 0
    version, bitrate, rate = header[1] >> 3 & 3, header[2] >> 4, header[2] >> 2 & 3
    if version == 1 or bitrate in (0, 15) or rate == 3:
        return 0
    slots, kbps = (144, _KBPS_1) if version == 3 else (72, _KBPS_2)
    return slots * kbps[bitrate] * 1000 // (_RATES[rate] >> _SHIFTS[version]) + (header[2] >> 1 & 1)
