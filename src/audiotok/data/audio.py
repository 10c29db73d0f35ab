"""Audio files to mono waveforms, by libsndfile (wav, flac, ogg, mp3, opus) or PyAV (m4a), and soxr.

TorchCodec, torchaudio's own reader since 2.9, needs FFmpeg on the system; soundfile's wheel contains its
decoders. Decoding a 10 s clip takes 6 to 9 ms on one core and resampling it 1.5 ms; both release Python's
global lock. Files are decoded in blocks: memory is bounded by what is asked for, whatever their headers say.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import soxr

from audiotok.data.reading import m4a
from audiotok.data.reading.decoding import open_streams
from audiotok.data.reading.files import warn_once
from audiotok.data.reading.recording import keep_open, open_recording
from audiotok.errors import UserError

EXTENSIONS = ("flac", "wav", "ogg", "mp3", "opus", *m4a.EXTENSIONS)
_QUALITY = "MQ"  # of soxr
_FAR = 600  # s that are decoded without a word to get to a stretch
_SOUGHT = (
    "run audiotok prepare fill=tokens before training, which goes through it once, or convert it to WAV, "
    "FLAC or Ogg Vorbis, in which a stretch is found at once"
)
_MOST = 2**22  # samples that are made at a time where a file is resampled in pieces, 16 MB


class UnreadableError(Exception):
    """A file cannot be decoded; the message says why."""


class Header(NamedTuple):
    """The header of a file: length in s (NaN if it does not tell), sample rate in Hz, number of channels."""

    seconds: float
    rate: int
    channels: int


class Block(NamedTuple):
    """Decoded samples, float32 (S, channels), and their rate in Hz."""

    samples: np.ndarray
    rate: int


def read_header(source: Path | bytes, decode: bool = True) -> Header:
    """Read the header of a file, and decode the file if its header does not tell its length.

    Args:
        source: An audio file, or the bytes of one.
        decode: If False, nothing is decoded, and a length that the header does not tell is NaN.

    Raises:
        UnreadableError: The file is missing, is not audio, or is known to be truncated without decoding it.
    """
    n_samples, rate, channels = 0.0, 1, 0
    with _refusing():
        for stream in open_streams(source):
            n_samples += stream.count() if decode else stream.stated()
            rate, channels = stream.rate, stream.channels
    return Header(n_samples / rate, rate, channels)


def read_blocks(
    source: Path | bytes, start_seconds: float = 0.0, seconds: float | None = None
) -> Iterator[Block]:
    """Decode a file, or a segment of it, in blocks of at most 16 MB; the first may be empty.

    Args:
        source: An audio file, or the bytes of one.
        start_seconds: Where to begin, s.
        seconds: How much to read, s; None reads to the end. A shorter file gives less.

    Raises:
        UnreadableError: The file is missing, not audio, or truncated.
    """
    with _refusing():
        recording, was_beyond = open_recording(source, start_seconds)
        start = max(0, round(start_seconds * recording.rate))
        if was_beyond and recording.n_decoded_before(start) > _FAR * recording.rate:
            name = source if isinstance(source, Path) else "A recording in a container"
            warn_once(f"{name} is decoded from its beginning for stretches out of order; {_SOUGHT}.")
        yield Block(np.zeros((0, recording.channels), np.float32), recording.rate)
        n = None if seconds is None else round(seconds * recording.rate)
        for samples in recording.blocks(start, n):
            yield Block(samples, recording.rate)
        keep_open(source, recording)


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
    first, *blocks = read_blocks(source, start_seconds, seconds)
    with _refusing():
        waveforms = [mix(block.samples) for block in blocks]
        if len(waveforms) == 1:
            return waveforms[0], first.rate
        return np.concatenate([np.zeros(0, np.float32), *waveforms]), first.rate


def mix(samples: np.ndarray) -> np.ndarray:
    """Average the channels of samples (S, channels): (S,).

    Raises:
        UnreadableError: They are not finite.
    """
    n_channels = samples.shape[1]
    shares = np.full(n_channels, 1 / n_channels, dtype=np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        mono = samples @ shares if n_channels > 1 else samples[:, 0]  # mean(axis=1) takes 7 ms of 10 s
        energy = mono @ mono  # huge samples overflow here as they would in a spectrum
    if not np.isfinite(energy):
        raise UnreadableError("samples that are not finite, or too large")
    return mono


@contextmanager
def _refusing() -> Iterator[None]:
    """Turn whatever a decoder raises into `UnreadableError`: damaged bytes make it raise anything."""
    try:
        yield
    except (UnreadableError, UserError):
        raise
    except soundfile.LibsndfileError as error:
        said = error.error_string.strip().rstrip(".")  # without the path
        raise UnreadableError(said or f"libsndfile error {error.code}") from error
    except FileNotFoundError as error:
        raise UnreadableError("no such file") from error
    except OSError as error:
        raise UnreadableError(error.strerror or str(error)) from error
    except ValueError as error:
        raise UnreadableError(str(error)) from error
    except Exception as error:
        said = " ".join(str(error).split())
        raise UnreadableError(f"{type(error).__name__}: {said}" if said else type(error).__name__) from error


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


def read_waveform_blocks(source: Path | bytes, sample_rate: int) -> Iterator[np.ndarray]:
    """Yield what `read_waveform` returns of a whole file, piece by piece: float32 (some,), equal to the bit.

    Raises:
        UnreadableError: As `read_mono`.
    """
    resampler = None
    for block in read_blocks(source):
        if block.rate == sample_rate:
            yield mix(block.samples)
            continue
        if resampler is None:
            resampler = soxr.ResampleStream(block.rate, sample_rate, 1, dtype="float32", quality=_QUALITY)
        mono = mix(block.samples)
        step = max(1, _MOST * block.rate // sample_rate)  # a rate of 1 Hz makes much of a little
        yield from (resampler.resample_chunk(mono[i : i + step]) for i in range(0, len(mono), step))
    if resampler is not None:
        yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)


def resample(waveform: np.ndarray, rate: int, sample_rate: int) -> np.ndarray:
    """Resample a waveform (S,) from one rate to another, Hz; return it unchanged if they are equal."""
    return waveform if rate == sample_rate else soxr.resample(waveform, rate, sample_rate, quality=_QUALITY)
