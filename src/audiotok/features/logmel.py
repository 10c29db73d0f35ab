"""Log-mel frames, stacked over a short time and projected onto their principal components."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torchaudio.functional import compute_deltas

from audiotok.errors import UserError
from audiotok.errors.ranges import Count, DecibelRange, Decibels, Hertz, Rate, Whole
from audiotok.features.features import Features, FrameSample
from audiotok.features.projection import Projection
from audiotok.features.spectrogram import MelSpectrogram, check_counts
from audiotok.padding import is_position

Normalization = Literal["none", "clip_minmax", "clip_max", "corpus"]


class LogMel(Features):
    """A mel spectrogram in dB, and frames of neighbouring mel frames projected onto principal components.

    The spectrogram has a Hann window, centred frames, power, the HTK mel scale and triangular filters of
    height 1. `context` neighbouring mel frames are stacked into one vector every `stride` mel frames. With
    several contexts, the components of each are concatenated: one moment at several time scales.

    Args:
        sample_rate: Rate at which waveforms come, Hz.
        n_fft: Length of the analysis window, samples.
        hop_length: From one mel frame to the next, samples.
        n_mels: Mel bins, M.
        f_min: Lower edge of the lowest bin, Hz.
        f_max: Upper edge of the highest bin, Hz; None for half the sample rate.
        floor_db: Lower powers are set to this, dB.
        range_db: Range of a clip below its loudest bin, dB: lower levels are raised to it; None for no limit.
        normalization: "none" keeps dB; "clip_minmax" maps each clip's own range to 0 .. 1; "clip_max" makes
            each clip's loudest bin 0 dB; "corpus" gives every dimension of a stacked frame mean 0 and
            standard deviation 1 over the training sample.
        deltas: 1 appends the slope of every mel bin over five mel frames, 2 the slope of that slope too.
        context: Mel frames stacked into one vector; a list for several time scales.
        stride: Mel frames from one vector to the next: the time resolution of tokens.
        n_components: Principal components kept, one number for each context, D in total; None keeps the
            stacked frame as it is.
        bands: Groups of neighbouring mel bins, each with its own principal components, into which a context
            is divided: a sound in one band leaves the components of the others alone. One number for all
            contexts, or one for each.
        whiten: Scale every principal component to unit variance.

    Raises:
        UserError: The numbers contradict each other, or a mel filter covers no frequency bin.
    """

    analysis_name = "mel frames"
    floor_db: float

    def __init__(
        self,
        *,
        sample_rate: Rate = 22050,
        n_fft: Count = 1024,
        hop_length: Count = 512,
        n_mels: Count = 64,
        f_min: Hertz = 0.0,
        f_max: Hertz | None = None,
        floor_db: Decibels = -100.0,
        range_db: DecibelRange | None = None,
        normalization: Normalization = "none",
        deltas: Whole = 0,
        context: Count | list[Count] = 5,
        stride: Count = 4,
        n_components: Count | list[Count] | None = 64,
        bands: Count | list[Count] = 1,
        whiten: bool = False,
    ) -> None:
        super().__init__()
        self.spectrogram = MelSpectrogram(
            sample_rate=sample_rate,
            n_fft=n_fft,
            hop_length=hop_length,
            n_mels=n_mels,
            f_min=f_min,
            f_max=f_max,
            floor_db=floor_db,
        )
        self._settings: dict[str, object] = {
            **self.analysis_settings,
            "range_db": range_db,
            "normalization": normalization,
            "deltas": deltas,
            "context": context,
            "stride": stride,
            "n_components": n_components,
            "bands": bands,
            "whiten": whiten,
        }
        contexts = _as_list(context)
        check_counts(stride=stride, context=min(contexts, default=0))
        _check_range_db(range_db)
        if deltas not in (0, 1, 2):
            raise UserError(f"features.deltas={deltas} is not supported; choose 0, 1 or 2.")
        self.sample_rate, self.n_bins, self.floor_db = sample_rate, n_mels, floor_db
        self.range_db, self.normalization, self.deltas = range_db, normalization, deltas
        self.context, self.stride = max(contexts), stride
        self.projection = Projection(
            n_mels=n_mels,
            n_channels=1 + deltas,
            contexts=contexts,
            n_components=None if n_components is None else _as_list(n_components),
            bands=[bands] * len(contexts) if isinstance(bands, int) else bands,
            whiten=whiten,
            standardize=normalization == "corpus",
        )

    @property
    def settings(self) -> dict[str, object]:
        """Every argument of the constructor."""
        return self._settings

    @property
    def analysis_settings(self) -> dict[str, object]:
        """The arguments that the spectrogram in dB depends on."""
        return {"kind": "logmel", **self.spectrogram.settings}

    @property
    def n_inputs(self) -> int:
        """Dimensions of a stacked frame, context * M * (1 + deltas)."""
        return self.projection.n_inputs

    @property
    def n_dimensions(self) -> int:
        """Dimensions of a projected frame, D."""
        return self.projection.n_outputs

    def n_slices(self, n_samples: int) -> int:
        """Return how many mel frames a waveform of `n_samples` gives."""
        return self.spectrogram.n_frames(n_samples)

    def analyze(self, waveforms: Tensor, n_samples: Tensor) -> tuple[Tensor, Tensor]:
        """Compute mel spectrograms in dB of waveforms (B, S), padded with zeros behind n_samples (B,).

        Returns:
            (B, mel frames, M) in float16, and how many mel frames of each clip are not padding (B,).
        """
        return self.spectrogram(waveforms, n_samples)

    def normalize(self, analysis: Tensor, n_slices: Tensor) -> Tensor:
        """Limit the range of mel frames (B, mel frames, M) and bring every clip to its own scale."""
        mel = analysis.float()
        if self.range_db is None and self.normalization in {"none", "corpus"}:
            return mel
        padding = ~is_position(n_slices, mel.shape[1])[..., None]
        high = mel.masked_fill(padding, -torch.inf).amax((1, 2), keepdim=True)
        if self.range_db is not None:
            mel = mel.maximum(high - self.range_db)
        if self.normalization == "clip_max":
            return mel - high
        if self.normalization == "clip_minmax":
            low = mel.masked_fill(padding, torch.inf).amin((1, 2), keepdim=True)
            return ((mel - low) / (high - low).clamp(min=1e-8)).clamp(0, 1)  # a constant clip becomes 0
        return mel

    def stack(self, analysis: Tensor, n_slices: Tensor) -> tuple[Tensor, Tensor]:
        """Stack neighbouring mel frames.

        Args:
            analysis: (B, mel frames, M), dB.
            n_slices: (B,), mel frames of each that are not padding.

        Returns:
            Stacked mel frames (B, T, context * M * (1 + deltas)), the first centred on the beginning of the
            clip and edges repeated, and how many of each clip are not padding (B,).
        """
        channels = [self.normalize(analysis, n_slices)]
        for _ in range(self.deltas):
            channels.append(compute_deltas(channels[-1].transpose(1, 2)).transpose(1, 2))
        mel = torch.cat(channels, 2)
        before = (self.context - 1) // 2
        after = self.context - 1 - before
        mel = torch.cat([mel[:, :1].expand(-1, before, -1), mel, mel[:, -1:].expand(-1, after, -1)], 1)
        n_inputs = self.context * mel.shape[2]
        frames = mel.flatten(1).unfold(1, n_inputs, self.stride * mel.shape[2])  # overlapping, not a copy
        return frames, self.n_frames_of(n_slices)

    def n_frames_of(self, n_slices: Tensor) -> Tensor:
        """Return how many frames `n_slices` (B,) mel frames give."""
        return (n_slices + self.stride - 1) // self.stride

    def fit(self, frames: FrameSample) -> None:
        """Find the principal components of stacked frames, float32 (N, n_inputs).

        Raises:
            UserError: There are fewer frames than components.
        """
        self.projection.fit(frames)

    def project(self, frames: Tensor) -> Tensor:
        """Project stacked frames (..., n_inputs) onto the components: (..., D)."""
        return self.projection(frames)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the mean and the components, where frames are projected."""
        if not self.projection.is_fitted:
            return {}
        return {name: getattr(self.projection, name).cpu().numpy() for name in ("mean", "components")}

    def load_arrays(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Copy the mean and the components back."""
        for name in self.arrays():
            getattr(self.projection, name).copy_(torch.from_numpy(arrays[name]))


def _as_list(numbers: int | list[int]) -> list[int]:
    return [numbers] if isinstance(numbers, int) else numbers


def _check_range_db(range_db: float | None) -> None:
    if range_db is not None and range_db <= 0:
        raise UserError(
            f"features.range_db={range_db} is too small; choose more than 0, or null for no limit."
        )
