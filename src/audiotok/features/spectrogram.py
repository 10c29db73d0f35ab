"""Mel spectrograms in dB: a function of the waveform alone."""

import warnings

import numpy as np
import torch
from torch import Tensor, nn
from torchaudio.functional import melscale_fbanks

from audiotok.errors import UserError
from audiotok.errors.memory import check_memory
from audiotok.features.projection import check_counts

_FLOAT32_DB = 300.0  # float32 holds powers from minus to plus this, dB
_N_BLOCKS = 4  # groups of mel filters; each is one product with the frequency bins that the group covers


class MelSpectrogram(nn.Module):
    """Power spectra of centred Hann windows, summed by triangular HTK mel filters of height 1, in dB.

    It computes in the precision of its buffers: float32, or float64 after `double()`.

    Args:
        sample_rate: Rate at which waveforms come, Hz.
        n_fft: Length of the window, samples.
        hop_length: From one mel frame to the next, samples.
        n_mels: Mel bins, M.
        f_min: Lower edge of the lowest bin, Hz.
        f_max: Upper edge of the highest bin, Hz; None for half the sample rate.
        floor_db: Lower powers are set to this, dB.

    Raises:
        UserError: The numbers contradict each other, or a mel filter covers no frequency bin.
    """

    window: Tensor
    mel_filters: Tensor  # (2 * frequency bins, M): equal rows for the real and the imaginary part of a bin

    def __init__(
        self,
        *,
        sample_rate: int,
        n_fft: int,
        hop_length: int,
        n_mels: int,
        f_min: float,
        f_max: float | None,
        floor_db: float,
    ) -> None:
        super().__init__()
        self.settings: dict[str, object] = {
            "sample_rate": sample_rate,
            "n_fft": n_fft,
            "hop_length": hop_length,
            "n_mels": n_mels,
            "f_min": f_min,
            "f_max": f_max,
            "floor_db": floor_db,
        }
        f_max = sample_rate / 2 if f_max is None else f_max
        check_counts(sample_rate=sample_rate, n_fft=n_fft, hop_length=hop_length, n_mels=n_mels)
        _check_window(n_fft, hop_length)
        _check_range(f_min, f_max, sample_rate)
        if not -_FLOAT32_DB <= floor_db <= _FLOAT32_DB:
            raise UserError(
                f"features.floor_db={floor_db} does not fit into float32; choose -{_FLOAT32_DB:g} to "
                f"{_FLOAT32_DB:g}."
            )
        self.sample_rate, self.n_fft, self.hop_length = sample_rate, n_fft, hop_length
        self.n_mels, self.floor_db = n_mels, floor_db
        check_memory(12 * (n_fft // 2 + 1) * n_mels, f"features.n_fft={n_fft} with features.n_mels={n_mels}")
        self.centres = _centres(f_min, f_max, n_mels)
        self.register_buffer("window", torch.hann_window(n_fft))
        filters = _mel_filters(n_fft, f_min, f_max, n_mels, sample_rate).repeat_interleave(2, 0)
        self.register_buffer("mel_filters", filters)
        self._blocks = _blocks(filters)

    def n_frames(self, n_samples: int) -> int:
        """Return how many mel frames a waveform of `n_samples` gives."""
        return n_samples // self.hop_length + 1

    def forward(self, waveforms: Tensor, n_samples: Tensor) -> tuple[Tensor, Tensor]:
        """Compute mel spectrograms in dB.

        Args:
            waveforms: (B, S), padded with zeros.
            n_samples: (B,), samples of each that are not padding.

        Returns:
            (B, mel frames, M) in float16, rounded to a sixteenth of a dB (an eighth below -128 dB), so that
            cached values equal computed ones; and how many mel frames of each clip are not padding (B,).

        Raises:
            UserError: The waveforms are too short for the window.
        """
        if waveforms.shape[1] <= self.n_fft // 2:
            raise UserError(
                f"features.n_fft={self.n_fft} is too long for clips of {waveforms.shape[1]} samples; "
                "shorten it, or lengthen data.clip_seconds."
            )
        margin = self.n_fft // 2
        waveforms = waveforms.to(self.window.dtype)
        before, after = waveforms[:, 1 : margin + 1].flip(1), waveforms[:, -margin - 1 : -1].flip(1)
        reflected = torch.cat([before, waveforms, after], 1)  # torch's own padding takes three times as long
        windows = reflected.unfold(1, self.n_fft, self.hop_length)  # (B, mel frames, n_fft), not a copy
        squares = torch.view_as_real(torch.fft.rfft(windows * self.window)).flatten(2).square_()
        mel = windows.new_empty(*windows.shape[:2], self.n_mels)
        for parts, mels in self._blocks:  # real and imaginary parts alternate; the filters sum them
            torch.matmul(squares[..., parts], self.mel_filters[parts, mels], out=mel[..., mels])
        decibels = mel.clamp_(min=10 ** (self.floor_db / 10)).log10_().mul_(10)
        return decibels.half(), n_samples // self.hop_length + 1


def _check_window(n_fft: int, hop_length: int) -> None:
    if n_fft % 2:
        raise UserError(f"features.n_fft={n_fft} is odd; choose an even number of samples.")
    if hop_length > n_fft:
        raise UserError(
            f"features.hop_length={hop_length} is longer than features.n_fft={n_fft}, so samples would be "
            "left out; shorten the hop or lengthen the window."
        )


def _check_range(f_min: float, f_max: float, sample_rate: int) -> None:
    if not 0 <= f_min < f_max <= sample_rate / 2:
        raise UserError(
            f"features.f_min={f_min} and features.f_max={f_max} are not in this order between 0 and "
            f"{sample_rate / 2:g} Hz, half of features.sample_rate={sample_rate}; "
            "move them, or raise the rate."
        )


def _blocks(filters: Tensor) -> list[tuple[slice, slice]]:
    """Divide filters (rows, M) into groups of neighbours, each with the rows in which it is not 0."""
    blocks = []
    for mels in torch.arange(filters.shape[1]).chunk(_N_BLOCKS):
        rows = filters[:, mels].any(1).nonzero()
        blocks.append((slice(int(rows[0]), int(rows[-1]) + 1), slice(int(mels[0]), int(mels[-1]) + 1)))
    return blocks


def _centres(f_min: float, f_max: float, n_mels: int) -> np.ndarray:
    """Return the frequency of each filter's peak, Hz (M,), on HTK's mel scale."""
    low, high = 2595 * np.log10(1 + np.array([f_min, f_max]) / 700)
    return 700 * (10 ** (np.linspace(low, high, n_mels + 2)[1:-1] / 2595) - 1)


def _mel_filters(n_fft: int, f_min: float, f_max: float, n_mels: int, sample_rate: int) -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about empty filters, which are refused below
        filters = melscale_fbanks(n_fft // 2 + 1, f_min, f_max, n_mels, sample_rate)
    n_empty = int((filters.amax(0) == 0).sum())
    if n_empty:
        raise UserError(
            f"features.n_mels={n_mels} leaves {n_empty} mel filters without a frequency bin at "
            f"features.n_fft={n_fft} and {sample_rate} Hz; lower n_mels or raise n_fft."
        )
    return filters
