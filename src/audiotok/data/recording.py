"""Sounds as users have them, read as mono waveforms of one rate, piece by piece, and cut into windows."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np

from audiotok.data.audio import EXTENSIONS, UnreadableError, mix, read_waveform_blocks, resample
from audiotok.errors import UserError

Sound = Any  # the path of a file (str or Path), its bytes, or an array of numpy or torch
_MOST_RATE = 1_000_000  # Hz
_MOST_CHANNELS = 32  # of an array; a batch of sounds would be averaged
_MOST_PEAK = 100.0  # of floats; samples of 16 bits that were never scaled reach thousands
_FULL_SCALE = {"int16": 2.0**15, "int32": 2.0**31}


@dataclass(frozen=True)
class Recording:
    """A sound, before it is read.

    Args:
        source: The file as it was given, or "array".
        content: A file, its bytes, or float32 samples (S,).
        rate: Sample rate of an array, Hz; a file says its own.
    """

    source: str
    content: Path | bytes | np.ndarray
    rate: int | None = None

    @classmethod
    def of(cls, sound: Sound, sample_rate: float | None = None) -> "Recording":
        """Return a sound as it can be read.

        Args:
            sound: The path of a file, the bytes of one, or an array (S,) or (channels, S) of numpy or torch:
                floats within -1 .. 1, or integers of 16 or 32 bits.
            sample_rate: Of an array, Hz.

        Raises:
            UserError: It is none of these, its rate is missing or impossible, or a sample is not finite.
        """
        if isinstance(sound, bytes | bytearray | memoryview):
            return cls("bytes", bytes(sound))
        if isinstance(sound, str | os.PathLike):
            return cls(os.fsdecode(sound), Path(os.fsdecode(sound)).expanduser())
        if hasattr(sound, "detach"):  # a tensor, on any device
            sound = sound.detach().cpu().numpy()
        if not isinstance(sound, np.ndarray):
            raise UserError(
                f"A sound is a path or an array, not a {type(sound).__name__}; give one, or a list of them."
            )
        return cls("array", _mono(sound), _checked(sample_rate))

    def blocks(self, rate: int) -> Iterator[np.ndarray]:
        """Yield the waveform at a rate in Hz, piece by piece: float32 (some,).

        Raises:
            UserError: It cannot be read, or contains no samples.
        """
        if isinstance(self.content, np.ndarray):
            assert self.rate is not None
            yield resample(self.content, self.rate, rate)
            return
        if isinstance(self.content, Path) and self.content.is_dir():
            raise UserError(f"{self.source} is a folder; give the files in it.")
        n_samples = 0
        try:
            for block in read_waveform_blocks(self.content, rate):
                n_samples += len(block)
                yield block
        except UnreadableError as error:
            raise UserError(
                f"{self.source} cannot be read as audio ({error}); give one of {', '.join(EXTENSIONS)}."
            ) from error
        if not n_samples:
            raise UserError(f"{self.source} contains no samples; give another file.")


def cut(blocks: Iterable[np.ndarray], length: int, step: int) -> Iterator[tuple[int, np.ndarray]]:
    """Cut a waveform that comes in blocks (some,) into windows.

    A waveform that is longer than a window is cut into whole ones: the last one ends where the waveform does,
    and shares more samples with the one before it than the others do. A shorter one is one window.

    Args:
        blocks: The waveform, float32.
        length: Of a window, samples.
        step: From the start of a window to that of the next, samples, at most `length`.

    Yields:
        The first sample of a window, and the window (at most `length`,); nothing of an empty waveform.
    """
    held = np.zeros(0, np.float32)  # from the start of the last window on, or of the waveform
    start, is_first = 0, True  # of what is held; whether no window was yielded yet
    for block in blocks:
        held = np.concatenate([held, block])
        while len(held) > length + (0 if is_first else step):
            if not is_first:
                start, held = start + step, held[step:]
            yield start, held[:length]
            is_first = False
    if is_first and len(held):
        yield 0, held
    elif not is_first:
        yield start + len(held) - length, held[-length:]


def _mono(samples: np.ndarray) -> np.ndarray:
    """Return samples (S,) or (channels, S) as float32 (S,)."""
    shape = samples.shape
    if samples.ndim not in (1, 2) or 0 in shape:
        raise UserError(f"An array of shape {shape} is not a sound; give (samples,) or (channels, samples).")
    if samples.ndim == 2 and (shape[0] > _MOST_CHANNELS or shape[0] > shape[1]):
        raise UserError(
            f"An array of shape {shape} would have {shape[0]} channels; give (channels, samples), the "
            "transpose of what soundfile reads, or several sounds as a list."
        )
    full_scale = _FULL_SCALE.get(samples.dtype.name)
    if full_scale is None and samples.dtype.kind != "f":
        raise UserError(
            f"Samples of type {samples.dtype} have no full scale; give floats within -1 .. 1, int16 or int32."
        )
    with np.errstate(over="ignore"):
        floats = samples.astype(np.float32) / np.float32(full_scale or 1)
    peak = float(np.abs(floats).max())  # NaN if a sample is
    if not np.isfinite(peak):
        raise UserError("An array holds samples that are not finite, or too large; give numbers.")
    if peak > _MOST_PEAK:
        raise UserError(
            f"An array of {samples.dtype} has samples up to {peak:g}; divide them by their full "
            "scale, so that they are within -1 .. 1."
        )
    try:
        return mix(floats.T) if floats.ndim == 2 else floats
    except UnreadableError as error:
        raise UserError(f"An array holds {error}; give numbers.") from error


def _checked(sample_rate: object) -> int:
    if sample_rate is None:
        raise UserError("An array does not tell its sample rate; give sample_rate=, in Hz.")
    is_number = isinstance(sample_rate, Real) and not isinstance(sample_rate, bool)
    if not is_number or not 1 <= float(sample_rate) <= _MOST_RATE or float(sample_rate) % 1:  # type: ignore[arg-type]
        raise UserError(
            f"sample_rate={sample_rate} is not a rate; give a whole number of Hz, at most {_MOST_RATE:,}."
        )
    return int(sample_rate)  # type: ignore[call-overload]
