"""Patches of the waveform as frames: features without a spectrum, and without decibels."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from audiotok.features.features import Features, FrameSample


class Patches(Features):
    """Cut the waveform into patches, and scale every sample of a patch to unit variance.

    Args:
        sample_rate: Rate at which waveforms come, Hz.
        patch: Samples in a patch.
    """

    analysis_name = "patches"

    def __init__(self, *, sample_rate: int = 8000, patch: int = 160) -> None:
        super().__init__()
        self.sample_rate, self.n_bins = sample_rate, patch
        self.register_buffer("scale", torch.zeros(patch))

    @property
    def settings(self) -> dict[str, object]:
        """Everything that frames depend on."""
        return {"kind": "patches", "sample_rate": self.sample_rate, "patch": self.n_bins}

    def n_slices(self, n_samples: int) -> int:
        """Return how many patches a waveform of `n_samples` has; the last one may be padded."""
        return -(-n_samples // self.n_bins)

    def analyze(self, waveforms: Tensor, n_samples: Tensor) -> tuple[Tensor, Tensor]:
        """Cut waveforms (B, S) into patches (B, slices, patch)."""
        missing = self.n_slices(waveforms.shape[1]) * self.n_bins - waveforms.shape[1]
        padded = torch.nn.functional.pad(waveforms, (0, missing))
        return padded.unflatten(1, (-1, self.n_bins)).half(), (n_samples + self.n_bins - 1) // self.n_bins

    def fit(self, frames: FrameSample) -> None:
        """Measure the power of every sample of a patch."""
        power = torch.stack([part.double().square().sum(0) for part in frames.split(8192)]).sum(0)
        self.scale.copy_((power / len(frames)).clamp(min=1e-12).rsqrt())

    def project(self, frames: Tensor) -> Tensor:
        """Scale patches (..., patch)."""
        return frames * self.scale

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the scale."""
        return {"scale": self.scale.cpu().numpy()}

    def load_arrays(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Copy the scale back."""
        self.scale.copy_(torch.from_numpy(arrays["scale"]))
