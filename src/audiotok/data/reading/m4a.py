"""AAC in MPEG-4 and FLAC in Ogg, which libsndfile cannot read, decoded by FFmpeg from PyAV's wheel."""

import io
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from audiotok.data.reading.excerpt import Excerpt
from audiotok.errors import UserError

EXTENSIONS = ("m4a", "mp4")
_SLACK = 4 * 1024  # samples by which a header may be wrong: encoder delay and the padded last frame


class M4A:
    """An open file with the part of the interface of `soundfile.SoundFile` that is used; it is read in order.

    Args:
        source: The file, the bytes of one, or a stretch of one.

    Attributes:
        frames: Samples of each channel: as the header says, until the file has been read to its end.
        samplerate: Sample rate, Hz.
        channels: Number of channels.

    Raises:
        OSError: It is not such a file, or has no audio in it.
        UserError: PyAV is not installed.
    """

    def __init__(self, source: Path | bytes | Excerpt) -> None:
        try:
            import av
        except ImportError as error:
            name = str(source) if isinstance(source, Path) else "a clip"
            raise UserError(
                f"{name} is m4a or Ogg FLAC, which needs PyAV; pip install 'audiotok[m4a]'."
            ) from error
        self._av = av
        opened: Any = io.BytesIO(source) if isinstance(source, bytes) else source
        try:
            self._file = av.open(str(source) if isinstance(source, Path) else opened, "r")
        except av.FFmpegError as error:
            raise OSError(error.errno, error.strerror) from error
        if not self._file.streams.audio or not self._file.streams.audio[0].rate:
            self._file.close()
            raise OSError("no audio in it")
        self._stream = self._file.streams.audio[0]
        self.samplerate: int = self._stream.rate
        self.channels: int = self._stream.channels
        self.frames = round((self._file.duration or 0) / av.time_base * self.samplerate)
        self._blocks = self._decoded()
        self._rest = np.zeros((self.channels, 0), np.float32)  # decoded, and not yet read
        self._n_decoded = 0

    def __enter__(self) -> "M4A":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def seek(self, position: int) -> None:
        """Go to a sample that is ahead, by decoding what comes before it."""
        behind = self._n_decoded - self._rest.shape[1]
        assert position >= behind, "it is read in order"
        for n in [_SLACK] * ((position - behind) // _SLACK) + [(position - behind) % _SLACK]:
            if len(self.read(n)) < n:
                break

    def read(self, n: int, dtype: str = "float32", always_2d: bool = True) -> np.ndarray:
        """Return n samples, or all that follow if n is negative: float32 (n, channels).

        Raises:
            OSError: The file cannot be decoded, or is shorter than its header says.
        """
        assert (dtype, always_2d) == ("float32", True)
        blocks, n_ready = [self._rest], self._rest.shape[1]
        try:
            while n < 0 or n_ready < n:
                block = next(self._blocks, None)
                if block is None:
                    self._require_end()
                    break
                blocks.append(block)
                n_ready += block.shape[1]
                self._n_decoded += block.shape[1]
        except self._av.FFmpegError as error:
            raise OSError(error.errno, error.strerror) from error
        ready = np.concatenate(blocks, 1)
        n = n_ready if n < 0 else n
        self._rest = ready[:, n:].copy()
        return np.ascontiguousarray(ready[:, :n].T)

    def _decoded(self) -> Iterator[np.ndarray]:
        """Decode from the beginning: float32 (channels, some samples)."""
        # AAC decodes to planar float32 anyway; other codecs are converted
        to_float = self._av.AudioResampler(format="fltp")
        for decoded in self._file.decode(self._stream):
            for frame in to_float.resample(decoded):
                yield frame.to_ndarray()

    def _require_end(self) -> None:
        if self._n_decoded + _SLACK < self.frames:
            raise OSError(f"truncated after {self._n_decoded} of {self.frames} samples")
        self.frames = self._n_decoded
