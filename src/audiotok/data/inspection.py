"""Inspect a clip: decode it once, or read its header.

Whatever a decoder or a container raises is a fault of that clip, which is skipped. Long files are decoded in
blocks, and files of more than an hour not at all if their headers state that: `data.limits` excludes most.

Decoding costs 6 to 9 ms for each clip of 10 s, three minutes of one core for 20,000 clips. A header takes a
fraction of that, but does not show silence nor, in compressed formats, a truncated file: `data.check=header`
is for corpora that are known to be intact. Both find the same length: what a header does not tell is decoded.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audiotok.data.audio import UnreadableError, mix, read_blocks, read_header
from audiotok.data.clip import Location
from audiotok.data.layout.layout import layout_named, sound_of
from audiotok.data.limits import Limits
from audiotok.data.reading.files import Files, is_url
from audiotok.data.source import Check
from audiotok.errors import UserError

UNREAD = "unread"  # the fault of a clip that could not be read this time, but may be readable later
_END = 2 * 65_536  # bytes of either end of a file that name it if only its header is read
_LARGE = 2**26  # bytes; larger files are decoded from the disk
_LONGEST = 3600.0  # s


@dataclass(frozen=True, slots=True)
class Condition:
    """The result of inspecting one clip.

    Args:
        fault: "" or one of missing, empty, broken, and `UNREAD`.
        detail: The decoder's message for a broken clip, or the system's for one that could not be read.
        seconds: Length, s.
        rate: Sample rate, Hz.
        channels: Number of channels.
        peak: Largest absolute sample of the mean of the channels, 1.0 being full scale; NaN if only the
            header was read.
        channel_peak: Largest absolute sample of any channel; NaN likewise.
        digest: Digest of the bytes, by which cached results are found again even if the file is renamed. If
            only the header was read: of both ends of the file, and of its name, size and version.
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
        """Return why a clip cannot be used, as (status, detail), or ("", "") if it can."""
        if self.fault:
            return self.fault, self.detail
        if self.seconds < limits.min_seconds:
            return "short", f"{self.seconds:.2f} s"
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
        return "", ""


def inspect_clip(location: Location, check: Check) -> Condition:
    """Inspect a clip. The result depends on its bytes alone, except for clips that are `UNREAD`.

    Args:
        location: Where the clip is.
        check: "decode" decodes all of it, "header" reads only its beginning and its end.

    Raises:
        UserError: A package is not installed, or a server does not answer.
    """
    try:
        return _decode(location) if check == "decode" else _look(location)
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


def _decode(location: Location) -> Condition:
    source, digest = _sound_and_digest(location)
    if not source:
        return Condition("empty")
    header = read_header(source, decode=False)
    if header.seconds > _LONGEST:
        return Condition("", "", header.seconds, header.rate, header.channels, np.nan, np.nan, digest)
    n_samples, peak, channel_peak = 0, 0.0, 0.0
    for block in read_blocks(source):
        if len(block.samples):
            n_samples += len(block.samples)
            peak = max(peak, _peak(mix(block.samples)))
            channel_peak = max(channel_peak, _peak(block.samples)) if header.channels > 1 else peak
    seconds = n_samples / header.rate
    return Condition("", "", seconds, header.rate, header.channels, peak, channel_peak, digest)


def _peak(samples: np.ndarray) -> float:
    return float(max(samples.max(), -samples.min()))


def _sound_and_digest(location: Location) -> tuple[Path | bytes, int]:
    """Return what is decoded, and the digest of its bytes: the path of a large file, else the bytes."""
    if location.layout == "folders" and not is_url(location.path):
        path = Path(location.path)
        if path.stat().st_size > _LARGE:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=8))
            return path, int.from_bytes(digest.digest())
    content = layout_named(location.layout).read(location)
    return content, _digest(content)


def _look(location: Location) -> Condition:
    source = sound_of(location)
    if isinstance(source, bytes):
        name, start, end = source, source[:_END], source[-_END:]
    else:
        name, start, end = _ends(source)
    if not start:
        return Condition("empty")
    header = read_header(source)
    digest = _digest(name + start + end)
    return Condition("", "", header.seconds, header.rate, header.channels, np.nan, np.nan, digest)


def _ends(path: Path) -> tuple[bytes, bytes, bytes]:
    """Return a stand-in for the bytes of a file that are not read, its first bytes, and its last bytes."""
    entry = Files().stat(str(path))
    if entry is None:
        raise FileNotFoundError(path)
    is_all = entry.size <= 2 * _END
    name = b"" if is_all else repr((path.name, entry.size, entry.version)).encode()
    return name, Files().read(entry.path, 0, _END), Files().read(entry.path, max(0, entry.size - _END))


def _digest(content: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest())
