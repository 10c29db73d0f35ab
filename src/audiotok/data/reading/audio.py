"""Audio files to mono waveforms, by libsndfile (wav, flac, ogg, mp3, opus) or PyAV (m4a), and soxr.

TorchCodec, torchaudio's own reader since 2.9, needs FFmpeg on the system; soundfile's wheel contains its
decoders. Decoding a 10 s clip takes 6 to 9 ms on one core and resampling it 1.5 ms; both release Python's
global lock.
"""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import soxr

from audiotok.data.reading import m4a

EXTENSIONS = ("flac", "wav", "ogg", "mp3", "opus", *m4a.EXTENSIONS)

# libsndfile reads a truncated wav as a shorter one, and notes this in its log. A recorder that cannot go back
# to fill in the length writes the largest possible one.
_WAV_LENGTH = re.compile(r"data : (\d+) \(should be (\d+)\)")
_WAV_STREAMED = 0x7FFFFFFF


class UnreadableError(Exception):
    """A file cannot be decoded; the message says why."""


class Header(NamedTuple):
    """The header of a file: length in s, sample rate in Hz, number of channels."""

    seconds: float
    rate: int
    channels: int


def read_header(source: Path | bytes) -> Header:
    """Read the header of a file, without decoding it.

    Raises:
        UnreadableError: The file is missing or is not audio.
    """
    with _opened(source) as file:
        return Header(file.frames / file.samplerate, file.samplerate, file.channels)


def read_mono(
    source: Path | bytes, start_seconds: float = 0.0, seconds: float | None = None
) -> tuple[np.ndarray, int]:
    """Decode a file, or a segment of it, and average its channels.

    Args:
        source: An audio file, or the bytes of one.
        start_seconds: Where to begin, s.
        seconds: How much to read, s; None reads to the end. A shorter file gives a shorter waveform.

    Returns:
        The waveform, float32 (S,), and its sample rate in Hz.

    Raises:
        UnreadableError: The file is missing, not audio, truncated, or has samples that are not finite.
    """
    with _opened(source) as file:
        rate = file.samplerate
        if start_seconds > 0:
            file.seek(min(round(start_seconds * rate), file.frames))
        n, start = -1 if seconds is None else round(seconds * rate), file.tell()
        samples = file.read(n, dtype="float32", always_2d=True)
        expected = file.frames - start if n < 0 else min(n, file.frames - start)
        promised = _WAV_LENGTH.search(file.extra_info)
    if promised and int(promised[2]) < int(promised[1]) < _WAV_STREAMED:
        raise UnreadableError(f"truncated after {promised[2]} of {promised[1]} bytes")
    if len(samples) < expected:
        raise UnreadableError(f"truncated after {len(samples)} of {expected} samples")
    n_channels = samples.shape[1]
    shares = np.full(n_channels, 1 / n_channels, dtype=np.float32)
    mono = samples @ shares if n_channels > 1 else samples[:, 0]  # mean(axis=1) takes 7 ms of 10 s
    if not np.isfinite(mono @ mono):  # their energy: huge samples overflow here as they would in a spectrum
        raise UnreadableError("samples that are not finite, or too large")
    return mono, rate


@contextmanager
def _opened(source: Path | bytes) -> Iterator[soundfile.SoundFile | m4a.M4A]:
    try:
        if m4a.is_m4a(source):
            with m4a.M4A(source) as file:
                yield file
            return
        with soundfile.SoundFile(io.BytesIO(source) if isinstance(source, bytes) else source) as file:
            yield file
    except soundfile.LibsndfileError as error:
        if isinstance(source, Path) and not source.exists():  # libsndfile only says "System error."
            raise UnreadableError("no such file") from error
        said = error.error_string.strip().rstrip(".")  # without the path
        raise UnreadableError(said or f"libsndfile error {error.code}") from error
    except OSError as error:
        raise UnreadableError(error.strerror or str(error)) from error


def read_waveform(
    source: Path | bytes, sample_rate: int, start_seconds: float = 0.0, seconds: float | None = None
) -> np.ndarray:
    """Read a file as a mono waveform at a given sample rate.

    Args:
        source: An audio file, or the bytes of one.
        sample_rate: Rate of the result, Hz.
        start_seconds: Where to begin, s.
        seconds: How much to read, s; None reads to the end.

    Returns:
        float32 (S,), within about -1 .. 1.

    Raises:
        UnreadableError: As `read_mono`.
    """
    return resample(*read_mono(source, start_seconds, seconds), sample_rate)


def resample(waveform: np.ndarray, rate: int, sample_rate: int) -> np.ndarray:
    """Resample a waveform (S,) from one rate to another, Hz; return it unchanged if they are equal."""
    return waveform if rate == sample_rate else soxr.resample(waveform, rate, sample_rate, quality="MQ")
