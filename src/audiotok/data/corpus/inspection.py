"""Find out what a clip is like, by decoding it once or by its header.

A header tells neither silence nor, for most formats, a file that breaks off, and decoding costs 6-9 ms a clip
and core: 20 thousand clips take about three minutes on one core. `data.check=header` is for corpora that are
known to be whole.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audiotok.data.clip import Location
from audiotok.data.layout.layout import layout_named, sound_of
from audiotok.data.limits import Limits
from audiotok.data.reading.audio import UnreadableError, read_header, read_mono
from audiotok.data.reading.files import Files
from audiotok.data.source import Check

UNREAD = "unread"  # the fault of a clip that the machine did not read this time; another time it may
_END = 2 * 65_536  # bytes; a page of Ogg has 65,307 at most, so two ends hold the last one


@dataclass(frozen=True, slots=True)
class Condition:
    """What was found in one clip.

    Args:
        fault: "" or one of missing, empty, broken, and `UNREAD`.
        detail: What the decoder said about a broken clip, or the machine about one that it did not read.
        seconds: Length, s.
        rate: Sample rate, Hz.
        channels: How many.
        peak: Loudest sample of their mean, 1.0 being full scale; NaN where only the header was read.
        digest: Of the bytes: what is made from them is kept under this, not under a name. Where only the
            header of a file was read, of both ends, and of its name, size and version for what lies between.
    """

    fault: str = ""
    detail: str = ""
    seconds: float = 0.0
    rate: int = 0
    channels: int = 0
    peak: float = 0.0
    digest: int = 0

    def reason_to_skip(self, limits: Limits) -> tuple[str, str]:
        """Return why a clip cannot be used, as (status, detail), or ("", "") where it can."""
        if self.fault:
            return self.fault, self.detail
        if self.seconds < limits.min_seconds:
            return "short", f"{self.seconds:.2f} s"
        if self.seconds > limits.max_seconds:
            return "long", f"{self.seconds:.2f} s"
        if self.peak < 10 ** (limits.silence_db / 20):
            return "silent", f"peak {self.peak:.1e}"
        return "", ""


def inspect_clip(location: Location, check: Check) -> Condition:
    """Say what a clip is like; but for clips that are `UNREAD`, a function of its bytes alone.

    Args:
        location: Where it is.
        check: "decode" to decode all of it, "header" to read its beginning and its end.
    """
    try:
        return _decode(location) if check == "decode" else _look(location)
    except FileNotFoundError:
        return Condition("missing")
    except OSError as error:
        if error.errno is not None:  # a right, a network or a disk is wanting: not the bytes' fault
            return Condition(UNREAD, error.strerror or str(error))
        return Condition("broken", str(error))
    except UnreadableError as error:
        return Condition("broken", str(error))


def _decode(location: Location) -> Condition:
    content = layout_named(location.layout).read(location)
    if not content:
        return Condition("empty")
    header = read_header(content)
    samples, rate = read_mono(content)
    _require_end_of_ogg(content[:4], content[-_END:])
    peak = float(np.abs(samples).max()) if len(samples) else 0.0
    return Condition("", "", len(samples) / rate, rate, header.channels, peak, _digest(content))


def _look(location: Location) -> Condition:
    source = sound_of(location)
    if isinstance(source, bytes):
        name, start, end = source, source[:_END], source[-_END:]
    else:
        name, start, end = _ends(source)
    if not start:
        return Condition("empty")
    header = read_header(source)
    _require_end_of_ogg(start, end)
    digest = _digest(name + start + end)
    return Condition("", "", header.seconds, header.rate, header.channels, float("nan"), digest)


def _ends(path: Path) -> tuple[bytes, bytes, bytes]:
    """Return what stands for the bytes of a file that are not read, its first bytes, and its last."""
    entry = Files().stat(str(path))
    if entry is None:
        raise FileNotFoundError(path)
    is_all = entry.size <= 2 * _END
    name = b"" if is_all else repr((path.name, entry.size, entry.version)).encode()
    return name, Files().read(entry.path, 0, _END), Files().read(entry.path, max(0, entry.size - _END))


def _digest(content: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest())


def _require_end_of_ogg(start: bytes, end: bytes) -> None:
    """Refuse an Ogg file that does not end with a whole page marked as its last (RFC 3533, section 6).

    libsndfile reads one that was cut short without a word, as a shorter one.
    """
    if not start.startswith(b"OggS"):
        return
    page = end[end.rfind(b"OggS") :]
    n_segments = page[26] if len(page) > 26 else 0
    if len(page) < 27 + n_segments + sum(page[27 : 27 + n_segments]) or not page[5] & 4:
        raise UnreadableError("the Ogg stream breaks off: its last page is missing")
