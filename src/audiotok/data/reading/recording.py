"""A recording of which several stretches are read: a decoder that cannot seek goes on from the last one.

libsndfile goes to the exact sample of WAV, FLAC and Ogg Vorbis at once. In MP3, M4A and Ogg FLAC, all that
lies before a stretch is decoded. So a process keeps the last such recording open: a stretch that begins where
the one before has ended, or later, costs what lies between them, and so does one that begins a little
earlier, for the last seconds are kept, too. Any other is decoded from the beginning.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from audiotok.data.reading.decoding import Stream, open_streams

_KEPT = 2**21  # decoded values that are kept for the next stretch, 8 MB
_NEAR = 10  # s; a stretch nearer to the beginning is decoded anew
_Key = tuple[int, str, int, int]  # process, path, and size and time of the file


class Recording:
    """The streams of a file as one; it is read in order.

    Args:
        source: An audio file, or the bytes of one.

    Attributes:
        rate: Sample rate, Hz.
        channels: Number of channels.

    Raises:
        ValueError: As `open_streams`, and `open_streams` may raise other errors.
    """

    def __init__(self, source: Path | bytes) -> None:
        self._streams = open_streams(source)
        self._stream: Stream | None = next(self._streams)
        self._before = 0  # samples of the streams before this one
        self._last: list[np.ndarray] = []  # the last blocks, of at most _KEPT values
        self.rate, self.channels = self._stream.rate, self._stream.channels

    @property
    def position(self) -> int:
        """The sample that is decoded next."""
        return self._before + (self._stream.n_passed if self._stream else 0)

    @property
    def earliest(self) -> int:
        """The first sample that is still there."""
        return self.position - sum(map(len, self._last))

    @property
    def is_at_end(self) -> bool:
        """Whether all of it has been read."""
        return self._stream is None

    def n_decoded_before(self, start: int) -> int:
        """Return how many samples are decoded in vain to get to a sample."""
        return self._stream.n_decoded_before(start - self._before) if self._stream else 0

    def blocks(self, start: int, n: int | None) -> Iterator[np.ndarray]:
        """Yield n samples from a sample on, or all that follow; fewer at the end: float32 (some, channels).

        Raises:
            ValueError: A stream is truncated, or differs from the first.
        """
        left = n
        if start < self.position and self._last:
            known = np.concatenate(self._last)[start - self.earliest :][:n]
            left = None if n is None else n - len(known)
            start += len(known)
            yield known
        while self._stream is not None and left != 0:
            for samples in self._stream.blocks(max(0, start - self._before), left):
                left = None if left is None else left - len(samples)
                self._keep(samples)
                yield samples
            if left != 0:
                self._before, self._stream = self.position, next(self._streams, None)
                start = max(start, self._before)

    def _keep(self, samples: np.ndarray) -> None:
        most = _KEPT // self.channels
        self._last.append(samples[-most:].copy())
        while sum(map(len, self._last[1:])) >= most:
            del self._last[0]


_open: dict[_Key, Recording] = {}  # of this process, at most one


def open_recording(source: Path | bytes, start_seconds: float) -> tuple[Recording, bool]:
    """Return a recording to be read from a time on, s, and whether one was open that is beyond that time.

    Raises:
        Exception: As `open_streams`.
    """
    recording = _open.pop(_key(source), None) if _open and isinstance(source, Path) else None
    if recording and recording.earliest <= round(start_seconds * recording.rate):
        return recording, False
    return Recording(source), recording is not None


def keep_open(source: Path | bytes, recording: Recording) -> None:
    """Keep a recording for its next stretch if that would be decoded from the beginning otherwise."""
    is_far = recording.n_decoded_before(recording.position) > _NEAR * recording.rate
    if isinstance(source, Path) and is_far and not recording.is_at_end:
        _open.clear()
        _open[_key(source)] = recording


def _key(path: Path) -> _Key:
    found = path.stat()
    return os.getpid(), str(path), found.st_size, found.st_mtime_ns
