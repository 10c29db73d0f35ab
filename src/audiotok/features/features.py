"""The interface of every feature extractor: waveforms in, frames for clustering out, in two steps.

1. The *analysis* of a waveform, `analyze`, is a function of the sound alone: slices in time, each a vector of
   bins. It is what the cache stores as `frames` and what augmentation changes.
2. *Frames* are made from the analysis by `stack` and `project`. They may depend on what `fit` learnt from a
   sample of the training clips, so they are computed again whenever they are needed.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from audiotok.errors import UserError
from audiotok.nodes.described import Described

_NOT_INVERTIBLE = "features={} cannot be turned back into sound; choose features that can, such as logmel."


class FrameSample(Protocol):
    """A tensor of frames (N, n_inputs), or an object that computes one a part at a time."""

    def __len__(self) -> int: ...

    def split(self, size: int, /) -> Iterable[Tensor]:
        """Return the rows in parts of `size`, and the remainder."""
        ...


class Features(Described, nn.Module, ABC):
    """Waveforms to frames, on any device and in any process.

    Another feature extractor is a subclass in a file of its own. It sets `sample_rate` and `n_bins` in its
    constructor and implements `settings`, `n_slices` and `analyze`; by default each slice is a frame, and
    nothing is fitted.

    Attributes:
        sample_rate: Rate at which waveforms come, Hz.
        n_bins: Values in a slice of the analysis.
        analysis_dtype: Type of the analysis, in memory and in the cache.
        analysis_name: What users call the slices.
        floor_db: Level of silence where the analysis is in decibels, dB; None where it is not. Mixing clips,
            random gain and random equalisation need decibels, and so do two checks of the doctor.
        invertible: Whether frames can be turned back into an analysis, and that into sound: `unproject` and
            `synthesize`.
        is_portable: Whether the settings and arrays are all that it needs. One that reads a model from
            elsewhere is not, and cannot be exported.
    """

    sample_rate: int
    n_bins: int
    analysis_dtype: ClassVar[torch.dtype] = torch.float16
    analysis_name: ClassVar[str] = "slices"
    floor_db: float | None = None
    invertible: ClassVar[bool] = False
    is_portable: ClassVar[bool] = True

    @property
    @abstractmethod
    def settings(self) -> dict[str, object]:
        """Everything that frames depend on, flat and JSON-like: part of the key of vocabularies and tokens.

        Two extractors must never have equal settings, so a `kind` belongs in it.
        """

    @property
    def analysis_settings(self) -> dict[str, object]:
        """The settings that the analysis depends on, all by default: part of its key in the cache."""
        return self.settings

    @abstractmethod
    def n_slices(self, n_samples: int) -> int:
        """Return how many slices the analysis of a waveform of `n_samples` has."""

    @abstractmethod
    def analyze(self, waveforms: Tensor, n_samples: Tensor) -> tuple[Tensor, Tensor]:
        """Analyse waveforms; the result depends on no corpus, and may be cached.

        Args:
            waveforms: (B, S), padded with zeros.
            n_samples: (B,), samples of each that are not padding.

        Returns:
            The analysis (B, slices, bins) of type `analysis_dtype`, and how many slices of each clip are not
            padding (B,).
        """

    def normalize(self, analysis: Tensor, n_slices: Tensor) -> Tensor:
        """Return the analysis (B, slices, bins) as float32, brought to the scale that models read."""
        return analysis.float()

    def stack(self, analysis: Tensor, n_slices: Tensor) -> tuple[Tensor, Tensor]:
        """Return the frames before `project`, on which `fit` is called.

        Args:
            analysis: (B, slices, bins)
            n_slices: (B,), slices of each that are not padding.

        Returns:
            (B, T, n_inputs), and how many frames of each clip are not padding (B,).
        """
        return self.normalize(analysis, n_slices), self.n_frames_of(n_slices)

    def n_frames_of(self, n_slices: Tensor) -> Tensor:
        """Return how many frames `n_slices` (B,) slices give."""
        return n_slices

    def n_frames(self, n_samples: int) -> int:
        """Return how many frames, T, a waveform of `n_samples` gives."""
        return int(self.n_frames_of(torch.tensor(self.n_slices(n_samples))))

    @property
    def bin_hertz(self) -> np.ndarray | None:
        """Centres of the bins of the analysis, ascending, Hz (n_bins,); None where they have none."""
        return None

    @property
    def frame_seconds(self) -> float:
        """From one frame to the next, s, to a few parts in ten thousand."""
        span = 1000 * self.sample_rate  # samples; long enough for the rounding at both ends not to matter
        return 1000 / (self.n_frames(2 * span) - self.n_frames(span))

    @property
    def n_inputs(self) -> int:
        """Dimensions of a frame before `project`."""
        return self.n_bins

    @property
    def n_dimensions(self) -> int:
        """Dimensions of a frame after `project`, D: the vectors that are clustered."""
        return self.n_inputs

    def fit(self, frames: FrameSample) -> None:
        """Fit `project` to a sample of frames, float32 (N, n_inputs).

        Raises:
            UserError: The sample is too small.
        """

    def project(self, frames: Tensor) -> Tensor:
        """Map frames (..., n_inputs) to the vectors (..., D) that are clustered."""
        return frames

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what `fit` found, by name; each array is a file of the vocabulary."""
        return {}

    def load_arrays(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Copy back what `arrays` returned; other names may be among them."""

    def forward(self, analysis: Tensor, n_slices: Tensor) -> tuple[Tensor, Tensor]:
        """Turn an analysis (B, slices, bins) with n_slices (B,) into frames (B, T, D) with n_frames (B,)."""
        frames, n_frames = self.stack(analysis, n_slices)
        return self.project(frames), n_frames

    def unproject(self, frames: Tensor, n_frames: Tensor, noise: float = 0.0) -> Tensor:
        """Turn projected frames back into an analysis, as far as they tell it: the inverse of `forward`.

        Args:
            frames: (B, T, D)
            n_frames: (B,), frames of each that are not padding.
            noise: Variance of the errors of frames, relative to what they vary by; 0 if they are exact.

        Returns:
            (B, slices, bins), float32: as many slices as T frames can be of. The last frame may be of fewer:
            `n_slices` tells how many a clip has.

        Raises:
            UserError: This cannot be done.
        """
        raise UserError(_NOT_INVERTIBLE.format(self.settings.get("kind")))

    def synthesize(self, analysis: Tensor, n_slices: Tensor) -> Tensor:
        """Turn an analysis (B, slices, bins) with n_slices (B,) into waveforms (B, S).

        Raises:
            UserError: This cannot be done.
        """
        raise UserError(_NOT_INVERTIBLE.format(self.settings.get("kind")))
