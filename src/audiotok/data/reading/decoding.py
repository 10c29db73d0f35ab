"""The streams of an audio file, opened one after the other: most files have one, chained Ogg files several.

Everything that reads audio comes through here, so that a file has one length, whoever asks: the samples that
decoding all of it gives. Where a header states that, nothing is decoded to know it.
"""

import io
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile

from audiotok.data.reading import lengths, m4a, mpeg, ogg
from audiotok.data.reading.excerpt import Excerpt

_BLOCK = 2**22  # values that are decoded at a time, 16 MB; all of a 40-s clip of 48 kHz in stereo
_SMALL = 2**18  # and where nobody knows how many follow
_LONGER = (
    64  # a frame of MP3 may be this many times as short as the first one, by which the rest is estimated
)
# Formats in which libsndfile goes to the exact sample: in MP3 it estimates, in rarer ones it may fail.
_SEEKS = ("WAV", "WAVEX", "FLAC", "OGG", "AIFF", "AU", "CAF", "W64", "RF64")
_LONG_OGG = 2**22  # bytes; counting the pages of a longer file takes more than decoding a few seconds of it
_BEHIND_ID3 = (b"RIFF", b"RF64", b"fLaC", b"OggS", b"FORM")
_UNKNOWN_FLAC = (2**31 - 1).to_bytes(4, "big")  # of 36 bits; libFLAC does not open a file that has 0 there


class _SoundFile(soundfile.SoundFile):
    """A file that is read in order; soundfile seeks to where it already is after every read if it can."""

    def seekable(self) -> bool:
        return False


class Stream:
    """One stream of a file.

    Args:
        file: An open file of soundfile, or of PyAV.
        frames: Samples of each channel, or at most so many if it is not certain; None if nobody knows.
        is_certain: Whether decoding gives as many, as far as a header can tell.
        last_exact: The last sample that the decoder finds when it is told to go there; to others it decodes.
    """

    def __init__(
        self, file: "_SoundFile | m4a.M4A", frames: int | None, is_certain: bool, last_exact: int
    ) -> None:
        self._file, self._frames, self._is_certain, self._last_exact = file, frames, is_certain, last_exact
        self.rate: int = file.samplerate
        self.channels: int = file.channels
        self.n_passed = 0  # samples that are behind the position

    def stated(self) -> float:
        """Return the number of samples, or NaN if only decoding tells."""
        return self._frames if self._is_certain and self._frames is not None else np.nan

    def n_decoded_before(self, start: int) -> int:
        """Return how many samples are decoded in vain to get to a sample."""
        return start - min(start, self._last_exact)

    def count(self) -> float:
        """Return the number of samples; decode the stream if its header does not tell.

        Raises:
            ValueError: The stream is truncated.
        """
        stated = self.stated()
        return sum(map(len, self.blocks(0, None))) if np.isnan(stated) else stated

    def blocks(self, start: int, n: int | None) -> Iterator[np.ndarray]:
        """Yield n samples from a sample on, or all; fewer if the stream ends: float32 (some, channels).

        Raises:
            ValueError: The stream is truncated.
        """
        place = min(start, self._last_exact)
        if place > 0:
            self._file.seek(place)
            self.n_passed = place
        yield from self._read(start - self.n_passed, np.inf if n is None else n)

    def _read(self, skipped: float, wanted: float) -> Iterator[np.ndarray]:
        most = max(1, (_SMALL if self._frames is None else _BLOCK) // self.channels)
        while skipped + wanted > 0:
            left = np.inf if self._frames is None else self._frames - self.n_passed
            size = int(min(most, skipped + wanted, left))
            if size <= 0:
                return
            samples = self._file.read(size, dtype="float32", always_2d=True)
            self.n_passed += len(samples)
            if len(samples) < size and self._frames is not None:
                raise ValueError(f"truncated after {self.n_passed} of {self._frames} samples")
            unwanted = int(min(skipped, len(samples)))
            skipped -= unwanted
            wanted -= len(samples) - unwanted
            if len(samples) > unwanted:
                yield samples[unwanted:]
            if len(samples) < size:
                return


def open_streams(source: Path | bytes) -> Iterator[Stream]:
    """Open the streams of a file; each is closed when the next one is asked for.

    Raises:
        ValueError: The file is truncated, or its streams differ in sample rate or in channels.
        UserError: It needs PyAV, which is not installed.
        Exception: It cannot be decoded; of any type, as decoders raise several.
    """
    expected = None
    with _binary(source) as file:
        for stream in _open(source, file, file.read(64)):
            if stream.rate < 1 or stream.channels < 1:
                raise ValueError(f"it has {stream.channels} channels at {stream.rate} Hz")
            expected = expected or (stream.rate, stream.channels)
            if (stream.rate, stream.channels) != expected:
                raise ValueError("its chained streams differ in their sample rates or channels")
            yield stream


def _open(source: Path | bytes, file: BinaryIO, head: bytes) -> Iterator[Stream]:
    """Choose how to open a file, by its first bytes and not by its name, which is often wrong."""
    size = file.seek(0, os.SEEK_END)
    if head[4:8] == b"ftyp":
        yield from _by_av(source)
    elif head.startswith(b"OggS"):
        links = _links(source, file, size)
        for link in links:
            link_source = source if len(links) == 1 else Excerpt(file, link.start, link.stop)
            if ogg.holds_flac(head):
                yield from _by_av(link_source)
            else:
                yield from _by_libsndfile(link_source, last_exact=link.n_before_last)
    elif head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        corrected = lengths.open_length(file)
        yield from _by_libsndfile(Excerpt(file, 0, size, corrected) if corrected else source)
    elif head[:4] == b"fLaC" and not head[21] & 0x0F and not any(head[22:26]):
        yield from _by_libsndfile(Excerpt(file, 0, size, {22: _UNKNOWN_FLAC}), has_length=False)
    elif head[:3] == b"ID3" or (head[:1] == b"\xff" and head[1] & 0xE0 == 0xE0):
        yield from _open_mpeg(source, file, size)
    else:
        yield from _by_libsndfile(source)


def _links(source: Path | bytes, file: BinaryIO, size: int) -> Sequence[ogg.Link]:
    """Return the chained streams of an Ogg file; those of a long one are remembered for its next stretch."""
    if isinstance(source, bytes) or size < _LONG_OGG:
        return ogg.links(file)
    return _known_links(str(source), size, source.stat().st_mtime_ns)


@lru_cache(maxsize=64)
def _known_links(path: str, size: int, changed_ns: int) -> Sequence[ogg.Link]:
    with Path(path).open("rb") as file:
        return ogg.links(file)


def _open_mpeg(source: Path | bytes, file: BinaryIO, size: int) -> Iterator[Stream]:
    """Open an MP3, or what is behind an ID3 tag."""
    start = mpeg.skip_id3(file)
    file.seek(start)
    if file.read(4) in _BEHIND_ID3:
        yield from _by_libsndfile(Excerpt(file, start, size))
        return
    first = mpeg.first_frame(file, start)
    is_whole = first is None or mpeg.is_whole(file, first)
    if first is None or is_whole is not False:
        yield from _by_libsndfile(source, is_certain=is_whole is True)
        return
    without_header = {first.header_at: bytes(4)} if first.header_at >= 0 else {}
    longer = Excerpt(file, first.place, size, without_header, apparent_size=_LONGER * size)
    yield from _by_libsndfile(longer, has_length=False)


@contextmanager
def _binary(source: Path | bytes) -> Iterator[BinaryIO]:
    if isinstance(source, Path) and not stat.S_ISREG(source.stat().st_mode):
        raise ValueError("it is not a file")  # a named pipe would be waited for
    with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
        yield file


def _by_libsndfile(
    source: "Path | bytes | Excerpt",
    is_certain: bool = True,
    has_length: bool = True,
    last_exact: int | None = None,
) -> Iterator[Stream]:
    with ExitStack() as stack:
        opened: Any = io.BytesIO(source) if isinstance(source, bytes) else source
        file = stack.enter_context(_SoundFile(opened))
        missing = lengths.truncation(file.extra_info)
        if missing:
            raise ValueError(missing)
        frames = file.frames if has_length else None
        seeks = soundfile.SoundFile.seekable(file) and file.format in _SEEKS and file.subtype[:4] != "DWVW"
        if frames is None or not seeks:
            last_exact = 0
        elif last_exact is None or file.subtype != "VORBIS":
            last_exact = frames
        yield Stream(file, frames, is_certain, last_exact)


def _by_av(source: "Path | bytes | Excerpt") -> Iterator[Stream]:
    with m4a.M4A(source) as file:
        yield Stream(file, None, is_certain=False, last_exact=0)
