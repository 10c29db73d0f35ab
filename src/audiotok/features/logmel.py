"""Log-mel frames, stacked over a little time and turned onto their principal components."""

import warnings
from typing import Literal

import torch
from torch import Tensor, nn
from torchaudio.functional import melscale_fbanks
from torchaudio.transforms import Spectrogram

from audiotok.errors import UserError
from audiotok.features.projection import Projection

_LOWEST_FLOOR_DB = -300.0


class LogMel(nn.Module):
    """Waveforms to frames, on any device and in any process.

    A mel spectrogram (Hann window, centred, power, HTK mel scale, triangular filters of height 1) in dB;
    `context` neighbouring mel frames are stacked into one vector every `stride` mel frames.

    Args:
        sample_rate: Rate at which waveforms come, Hz.
        n_fft: Length of the analysis window, samples.
        hop_length: From one mel frame to the next, samples.
        n_mels: Mel bins, M.
        f_min: Lower edge of the lowest bin, Hz.
        f_max: Upper edge of the highest bin, Hz; None for half the sample rate.
        floor_db: Power below this counts as this, dB.
        normalization: "none" keeps dB; "clip_minmax" maps each clip's own range to 0 .. 1.
        context: Mel frames stacked into one vector.
        stride: Mel frames from one vector to the next: the time resolution of tokens.
        n_components: Principal components kept, D; None keeps all of `context * n_mels`.
        whiten: Give every principal component unit variance.

    Raises:
        UserError: The numbers contradict each other, or a mel filter covers no frequency bin.
    """

    mel_filters: Tensor

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
        normalization: Literal["none", "clip_minmax"],
        context: int,
        stride: int,
        n_components: int | None,
        whiten: bool,
    ) -> None:
        super().__init__()
        self.settings: dict[str, object] = {
            "kind": "logmel",
            "sample_rate": sample_rate,
            "n_fft": n_fft,
            "hop_length": hop_length,
            "n_mels": n_mels,
            "f_min": f_min,
            "f_max": f_max,
            "floor_db": floor_db,
            "normalization": normalization,
            "context": context,
            "stride": stride,
            "n_components": n_components,
            "whiten": whiten,
        }
        f_max = sample_rate / 2 if f_max is None else f_max
        _check_analysis(sample_rate, n_fft, hop_length, n_mels, f_min, f_max, context, stride)
        if floor_db < _LOWEST_FLOOR_DB:
            raise UserError(
                f"features.floor_db={floor_db} is below what float32 holds; "
                f"choose {_LOWEST_FLOOR_DB:g} or more."
            )
        self.sample_rate, self.hop_length, self.n_mels = sample_rate, hop_length, n_mels
        self.n_fft = n_fft
        self.floor_db, self.normalization = floor_db, normalization
        self.context, self.stride = context, stride
        self.spectrogram = Spectrogram(n_fft, hop_length=hop_length, power=None)
        self.register_buffer("mel_filters", _mel_filters(n_fft, f_min, f_max, n_mels, sample_rate))
        self.projection = Projection(context * n_mels, n_components, whiten)

    @property
    def n_dimensions(self) -> int:
        """Dimensions of a frame that goes into clustering, D."""
        return self.projection.n_components or self.context * self.n_mels

    def n_frames(self, n_samples: int) -> int:
        """Return how many frames, T, a waveform of so many samples gives."""
        return -(-self._n_mel_frames(n_samples) // self.stride)

    def _n_mel_frames(self, n_samples: int) -> int:
        return n_samples // self.hop_length + 1

    def log_mel(self, waveforms: Tensor, n_samples: Tensor) -> Tensor:
        """Compute mel spectrograms in dB, or normalised.

        Args:
            waveforms: (B, S), padded with zeros.
            n_samples: (B,), samples of each that are not padding.

        Returns:
            (B, mel frames, M)
        """
        if waveforms.shape[1] <= self.n_fft // 2:
            raise UserError(
                f"features.n_fft={self.n_fft} is too long for clips of {waveforms.shape[1]} samples; "
                "shorten it, or lengthen data.clip_seconds."
            )
        spectrum = self.spectrogram(waveforms).transpose(1, 2)
        power = (
            spectrum.real.square() + spectrum.imag.square()
        )  # abs() of complex numbers takes twice as long
        mel = power @ self.mel_filters  # (B, mel frames, M)
        decibels = 10 * mel.clamp(min=10 ** (self.floor_db / 10)).log10()
        return decibels if self.normalization == "none" else self._to_clip_range(decibels, n_samples)

    def _to_clip_range(self, decibels: Tensor, n_samples: Tensor) -> Tensor:
        """Map every clip's own range, padding aside, to 0 .. 1; a constant clip becomes 0."""
        positions = torch.arange(decibels.shape[1], device=decibels.device)
        padding = (positions > (n_samples // self.hop_length)[:, None])[..., None]
        low = decibels.masked_fill(padding, torch.inf).amin((1, 2), keepdim=True)
        high = decibels.masked_fill(padding, -torch.inf).amax((1, 2), keepdim=True)
        return ((decibels - low) / (high - low).clamp(min=1e-8)).clamp(0, 1)

    def stack(self, waveforms: Tensor, n_samples: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the frames before they are projected: what the projection is fitted on.

        Args:
            waveforms: (B, S), padded with zeros.
            n_samples: (B,), samples of each that are not padding.

        Returns:
            Stacked mel frames (B, T, context * M), the first centred on the clip's beginning and edges
            repeated, and how many of each clip are not padding (B,).
        """
        mel = self.log_mel(waveforms, n_samples)
        before = (self.context - 1) // 2
        index = torch.arange(0, mel.shape[1], self.stride, device=mel.device)[:, None]
        index = index + torch.arange(-before, self.context - before, device=mel.device)
        frames = mel[:, index.clamp(0, mel.shape[1] - 1)].flatten(2)  # (B, T, context * M)
        n_mel_frames = n_samples // self.hop_length + 1
        return frames, (n_mel_frames + self.stride - 1) // self.stride

    def forward(self, waveforms: Tensor, n_samples: Tensor) -> tuple[Tensor, Tensor]:
        """Turn waveforms (B, S) with n_samples (B,) into frames (B, T, D) with n_frames (B,)."""
        frames, n_frames = self.stack(waveforms, n_samples)
        return self.projection(frames), n_frames


def _check_analysis(
    sample_rate: int,
    n_fft: int,
    hop_length: int,
    n_mels: int,
    f_min: float,
    f_max: float,
    context: int,
    stride: int,
) -> None:
    counts = {
        "sample_rate": sample_rate,
        "n_fft": n_fft,
        "hop_length": hop_length,
        "n_mels": n_mels,
        "context": context,
        "stride": stride,
    }
    for key, value in counts.items():
        if value < 1:
            raise UserError(f"features.{key}={value} is too small; choose 1 or more.")
    if n_fft % 2:
        raise UserError(f"features.n_fft={n_fft} is odd; choose an even number of samples.")
    if hop_length > n_fft:
        raise UserError(
            f"features.hop_length={hop_length} is longer than features.n_fft={n_fft}, so samples would be "
            "left out; shorten the hop or lengthen the window."
        )
    if not 0 <= f_min < f_max <= sample_rate / 2:
        raise UserError(
            f"features.f_min={f_min} and features.f_max={f_max} do not lie in this order between 0 and "
            f"{sample_rate / 2:g} Hz, half of features.sample_rate={sample_rate}; "
            "move them, or raise the rate."
        )


def _mel_filters(n_fft: int, f_min: float, f_max: float, n_mels: int, sample_rate: int) -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchaudio warns of empty filters; we refuse them below
        filters = melscale_fbanks(n_fft // 2 + 1, f_min, f_max, n_mels, sample_rate)
    n_empty = int((filters.amax(0) == 0).sum())
    if n_empty:
        raise UserError(
            f"features.n_mels={n_mels} leaves {n_empty} mel filters without a frequency bin at "
            f"features.n_fft={n_fft} and {sample_rate} Hz; lower n_mels or raise n_fft."
        )
    return filters
