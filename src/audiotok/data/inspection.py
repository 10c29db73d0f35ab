"""Inspect a clip: decode it once, or read its header.

Whatever a decoder or a container raises is a fault of that clip, which is skipped. Long files are decoded in
blocks, and not at all if their headers state that they are longer than `data.limits.max_seconds`. Of a
recording with stretches, each is decoded by itself; MP3, M4A and Ogg FLAC, in which the decoders do not seek
to the sample, are gone through once, as the stretches of a recording are inspected in their order.

Decoding costs 6 to 9 ms for each clip of 10 s, three minutes of one core for 20,000 clips. A header takes a
fraction of that, but does not show silence nor, in compressed formats, a truncated file: `data.check=header`
is for corpora that are known to be intact. Both find the same length: what a header does not tell is decoded.
"""

import hashlib
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from audiotok.data.audio import Header, UnreadableError, mix, read_blocks, read_header
from audiotok.data.clip import Location, times_of
from audiotok.data.layout.layout import layout_named, sound_of
from audiotok.data.limits import Limits
from audiotok.data.reading.files import Entry, Files, is_url
from audiotok.data.source import Check
from audiotok.errors import UserError

UNREAD = "unread"  # the fault of a clip that could not be read this time, but may be readable later
_END = 2 * 65_536  # bytes of either end of a file that name it if only its header is read
_LARGE = 2**26  # bytes; larger files are decoded from the disk
_SLACK = 0.05  # s by which a stretch may end after its recording without a word
_CUT = "it ends with its recording"


@dataclass(frozen=True, slots=True)
class Condition:
    """The result of inspecting one clip.

    Args:
        fault: "" or one of missing, empty, broken, outside (a stretch after the end of its recording), and
            `UNREAD`.
        detail: The decoder's message for a broken clip, or the system's for one that could not be read; of a
            usable stretch, that it is cut off by the end of its recording.
        seconds: Length, s.
        rate: Sample rate, Hz.
        channels: Number of channels.
        peak: Largest absolute sample of the mean of the channels, 1.0 being full scale; NaN if it was not
            decoded.
        channel_peak: Largest absolute sample of any channel; NaN likewise.
        digest: Digest of the bytes, by which cached results are found again even if the file is renamed; of a
            stretch, of its samples. If only the header was read: of both ends of the file, of its name, size
            and version, and of the times of a stretch. 0 if the clip is too long to be decoded.
    """

    fault: str = ""
    detail: str = ""
    seconds: float = 0.0
    rate: int = 0
    channels: int = 0
    peak: float = 0.0
    channel_peak: float = 0.0
    digest: int = 0

    def reason_to_skip(self, limits: Limits) -> tuple[str, str]:
        """Return why a clip cannot be used, as (status, detail); the status is "" if it can."""
        if self.fault:
            return self.fault, self.detail
        if self.seconds < limits.min_seconds:
            return "short", "; ".join(filter(None, (f"{self.seconds:.2f} s", self.detail)))
        if self.seconds > limits.max_seconds:
            return "long", f"{self.seconds:.2f} s"
        silence = 10 ** (limits.silence_db / 20)
        if self.peak < silence <= self.channel_peak:
            return (
                "cancelled",
                f"its channels cancel out: peak {self.channel_peak:.1e}, {self.peak:.1e} mixed",
            )
        if self.peak < silence:
            return "silent", f"peak {self.peak:.1e}"
        return "", self.detail


def inspect_clip(location: Location, check: Check, longest: float = np.inf) -> Condition:
    """Inspect a clip. The result depends on its bytes alone, except for clips that are `UNREAD`.

    Args:
        location: Where the clip is; of a stretch, nothing else is decoded where the format can seek.
        check: "decode" decodes all of it, "header" reads only the beginning and the end of its file.
        longest: Clips that are longer than this by their headers are not decoded, s: their peaks are NaN.

    Raises:
        UserError: A package is not installed, or a server does not answer.
    """
    try:
        return _decode(location, longest) if check == "decode" else _look(location)
    except FileNotFoundError:
        return Condition("missing")
    except OSError as error:
        if error.errno is not None:  # permissions, the network or the disk, not the bytes
            return Condition(UNREAD, error.strerror or str(error))
        return Condition("broken", str(error))
    except UnreadableError as error:
        return Condition("broken", str(error))
    except UserError:
        raise
    except Exception as error:  # a container of somebody's; its library raises what it likes
        said = " ".join(str(error).split())
        return Condition("broken", f"{type(error).__name__}: {said}")


def _decode(location: Location, longest: float) -> Condition:
    source = _sound(location)
    if not source:
        return Condition("empty")
    header = read_header(source, decode=False)
    stated = _seconds_within(location, header.seconds)
    if stated > longest:
        return Condition("", "", stated, header.rate, header.channels, np.nan, np.nan)
    n_samples, peak, channel_peak = 0, 0.0, 0.0
    digest = hashlib.blake2b(b"%d" % header.rate, digest_size=8)  # of a stretch
    wanted = None if location.end is None else location.end - location.start
    for block in read_blocks(source, location.start, wanted):
        if len(block.samples):
            n_samples += len(block.samples)
            peak = max(peak, _peak(mix(block.samples)))
            channel_peak = max(channel_peak, _peak(block.samples)) if header.channels > 1 else peak
            if location.is_stretch:
                digest.update(block.samples.tobytes())
    name = int.from_bytes(digest.digest()) if location.is_stretch else _digest_of(source)
    seconds = n_samples / header.rate
    found = Condition("", "", seconds, header.rate, header.channels, peak, channel_peak, name)
    return _placed(found, location, header.seconds)


def _peak(samples: np.ndarray) -> float:
    return float(max(samples.max(), -samples.min()))


def _seconds_within(location: Location, seconds: float) -> float:
    """Return the length of a clip whose sound has a length in s, or NaN if that is not known."""
    end = seconds if location.end is None else np.minimum(location.end, seconds)
    return float(np.maximum(end - location.start, 0.0))


def _placed(found: Condition, location: Location, seconds: float) -> Condition:
    """Add what is to be said of a stretch that is not within its recording, of a length in s or NaN."""
    end = location.start + found.seconds
    if location.is_stretch and not found.seconds:
        recording = "" if np.isnan(seconds) else f" of {seconds:.2f} s"
        return replace(found, fault="outside", detail=f"it starts after the end of its recording{recording}")
    if location.end is not None and end < location.end - _SLACK:
        return replace(found, detail=f"{_CUT} at {end:.2f} s, not at {location.end:g} s")
    return found


def _sound(location: Location) -> Path | bytes:
    """Return what is decoded: the path of a large file or of a recording with stretches, else the bytes."""
    if location.layout == "folders" and not is_url(location.path):
        path = Path(location.path)
        size = path.stat().st_size
        if size > _LARGE or (size and location.is_stretch):
            return path
    return layout_named(location.layout).read(location)


def _digest_of(source: Path | bytes) -> int:
    if isinstance(source, bytes):
        return _digest(source)
    with source.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=8))
    return int.from_bytes(digest.digest())


def _look(location: Location) -> Condition:
    source = sound_of(location)
    if isinstance(source, bytes):
        named, header = source + source[:_END] + source[-_END:], read_header(source) if source else None
    else:
        entry = Files().stat(str(source))
        if entry is None:
            raise FileNotFoundError(source)
        named, header = (_known_ends if location.is_stretch else _ends)(entry)
    if header is None:
        return Condition("empty")
    seconds = header.seconds
    if location.is_stretch:
        named += times_of(location.start, location.end).encode()
        seconds = round(_seconds_within(location, seconds) * header.rate) / header.rate
    digest = _digest(named)
    found = Condition("", "", seconds, header.rate, header.channels, np.nan, np.nan, digest)
    return _placed(found, location, header.seconds)


def _ends(entry: Entry) -> tuple[bytes, Header | None]:
    """Return what names a file of which only the ends are read, and its header; None if it is empty."""
    is_all = entry.size <= 2 * _END
    name = b"" if is_all else repr((entry.path.rpartition("/")[2], entry.size, entry.version)).encode()
    start = Files().read(entry.path, 0, _END)
    end = Files().read(entry.path, max(0, entry.size - _END))
    return name + start + end, read_header(Path(entry.path)) if start else None


_known_ends = lru_cache(maxsize=64)(_ends)  # of recordings with many stretches


def _digest(content: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest())
