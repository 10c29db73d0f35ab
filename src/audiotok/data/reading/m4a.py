"""AAC in MPEG-4 files, which libsndfile cannot read, decoded by the FFmpeg libraries in PyAV's wheel."""

import io
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import numpy as np

from audiotok.errors import UserError

EXTENSIONS = ("m4a", "mp4")
_SLACK = 4 * 1024  # samples by which a header may be wrong: encoder delay and the padded last frame


def is_m4a(source: Path | bytes) -> bool:
    """Recognise a file by its first bytes, not its name: downloads often have the wrong extension."""
    if isinstance(source, Path):
        try:
            with source.open("rb") as file:
                source = file.read(8)
        except OSError:
            return False
    return source[4:8] == b"ftyp"


class M4A:
    """An open file with the part of the interface of `soundfile.SoundFile` that is used; it is read once.

    Args:
        source: The file, or the bytes of one.

    Attributes:
        frames: Samples of each channel: as the header says, until the file has been read to its end.
        samplerate: Sample rate, Hz.
        channels: Number of channels.
        extra_info: Always empty.

    Raises:
        OSError: It is not such a file, or has no audio in it.
        UserError: PyAV is not installed.
    """

    extra_info = ""

    def __init__(self, source: Path | bytes) -> None:
        try:
            import av
        except ImportError as error:
            name = "a clip" if isinstance(source, bytes) else str(source)
            raise UserError(f"{name} is m4a, which needs PyAV; pip install 'audiotok[m4a]'.") from error
        self._av = av
        try:
            self._file = av.open(io.BytesIO(source) if isinstance(source, bytes) else str(source), "r")
        except av.FFmpegError as error:
            raise OSError(error.errno, error.strerror) from error
        if not self._file.streams.audio or not self._file.streams.audio[0].rate:
            self._file.close()
            raise OSError("no audio in it")
        self._stream = self._file.streams.audio[0]
        self.samplerate: int = self._stream.rate
        self.channels: int = self._stream.channels
        self.frames = round((self._file.duration or 0) / av.time_base * self.samplerate)
        self._position = 0

    def __enter__(self) -> "M4A":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def tell(self) -> int:
        """Return the position of the next sample."""
        return self._position

    def seek(self, position: int) -> None:
        """Go to a sample; `read` decodes what comes before it, too."""
        self._position = position

    def read(self, n: int, dtype: str = "float32", always_2d: bool = True) -> np.ndarray:
        """Return n samples, or all that follow if n is negative: float32 (n, channels).

        Raises:
            OSError: The file cannot be decoded, or is shorter than its header says.
        """
        assert (dtype, always_2d) == ("float32", True)
        wanted = None if n < 0 else self._position + n
        blocks = [np.zeros((self.channels, 0), np.float32)]
        n_decoded = 0
        try:
            for block in self._blocks():
                blocks.append(block)
                n_decoded += block.shape[1]
                if wanted is not None and n_decoded >= wanted:
                    break
            else:
                self._require_end(n_decoded)
        except self._av.FFmpegError as error:
            raise OSError(error.errno, error.strerror) from error
        read = np.ascontiguousarray(np.concatenate(blocks, 1)[:, self._position : wanted].T)
        self._position += len(read)
        return read

    def _blocks(self) -> Iterator[np.ndarray]:
        """Decode from the beginning: float32 (channels, some samples)."""
        # AAC decodes to planar float32 anyway; other codecs are converted
        to_float = self._av.AudioResampler(format="fltp")
        for decoded in self._file.decode(self._stream):
            for frame in to_float.resample(decoded):
                yield frame.to_ndarray()

    def _require_end(self, n_decoded: int) -> None:
        if n_decoded + _SLACK < self.frames:
            raise OSError(f"truncated after {n_decoded} of {self.frames} samples")
        self.frames = n_decoded
