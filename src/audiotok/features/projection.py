"""Principal components of stacked slices, whitened or not, at one time scale or several."""

import torch
from torch import Tensor, nn

from audiotok.errors import UserError
from audiotok.errors.memory import check_memory
from audiotok.features.features import FrameSample

_PART = 8192  # frames whose covariance is summed at a time


class Projection(nn.Module):
    """Project stacked frames onto their principal components.

    All components form one matrix: those of a shorter context, or of a band, are zero outside of it.

    Args:
        n_bins: Bins of a slice.
        bins_key: The key of the group `features` that the number of bins follows from, for errors.
        n_channels: Vectors of bins in a slice: 1, and 1 for each delta.
        contexts: Slices that each set of components sees; a stacked frame has the longest.
        n_components: Number of components for each context; None leaves the frames unchanged.
        bands: For each context, groups of neighbouring bins among which its components are divided.
        whiten: Scale every component to unit variance.
        standardize: Scale every dimension to unit variance first.
    """

    mean: Tensor
    components: Tensor

    def __init__(
        self,
        *,
        n_bins: int,
        bins_key: str = "n_mels",
        n_channels: int,
        contexts: list[int],
        n_components: list[int] | None,
        bands: list[int],
        whiten: bool,
        standardize: bool,
    ) -> None:
        super().__init__()
        _check_components(n_bins, bins_key, n_channels, contexts, n_components, bands, whiten)
        self.n_bins, self.n_channels, self.contexts = n_bins, n_channels, contexts
        self.n_components, self.bands = n_components, bands
        self.whiten, self.standardize = whiten, standardize
        self.n_inputs = n_bins * n_channels * max(contexts)
        self.n_outputs = self.n_inputs if n_components is None else sum(n_components)
        self.is_fitted = n_components is not None or standardize
        n_rows = self.n_inputs if self.is_fitted else 0
        check_memory(
            8 * n_rows**2 + 4 * self.n_inputs,  # the covariance, in float64
            f"features.{bins_key}={n_bins} with features.context={_shown(contexts)}",
        )
        self.register_buffer("mean", torch.zeros(n_rows))
        self.register_buffer("components", torch.zeros(n_rows, self.n_outputs))

    def fit(self, frames: FrameSample) -> None:
        """Find the components of a sample of frames, float32 (N, n_inputs).

        Raises:
            UserError: There are fewer frames than components.
        """
        if not self.is_fitted:
            return
        if len(frames) < max(self.n_components or [1]):
            raise UserError(
                f"features.n_components={max(self.n_components or [1])} exceeds the {len(frames)} frames of "
                "the training sample; lower it, or raise sample.n_frames or sample.max_gb, or add clips."
            )
        mean, covariance = _moments(frames)
        scale = torch.ones(self.n_inputs, dtype=torch.float64)
        if self.standardize:
            variance = covariance.diagonal()
            varies = variance > 1e-8 * variance.max()  # scaling the others would amplify rounding errors
            scale = torch.where(varies, variance.rsqrt(), 1.0)
            covariance = scale[:, None] * covariance * scale
        if self.n_components is None:
            components = torch.eye(self.n_inputs, dtype=torch.float64)
        else:
            parts = zip(self.contexts, self.n_components, self.bands, strict=True)
            components = torch.cat(
                [
                    self._of_part(covariance, inputs, n_components // n_bands)
                    for context, n_components, n_bands in parts
                    for inputs in self._inputs(context, n_bands)
                ],
                1,
            )
        self.mean.copy_(mean)
        self.components.copy_(scale[:, None] * components)

    def _inputs(self, context: int, n_bands: int) -> tuple[Tensor, ...]:
        """Return the inputs that each band of a context sees: middle slices, low bins first."""
        inputs = torch.arange(self.n_inputs).view(-1, self.n_channels, self.n_bins)
        first = (max(self.contexts) - 1) // 2 - (context - 1) // 2
        return tuple(part.flatten() for part in inputs[first : first + context].chunk(n_bands, 2))

    def _of_part(self, covariance: Tensor, inputs: Tensor, n_components: int) -> Tensor:
        """Return the components (n_inputs, n_components) of some of the inputs."""
        variances, vectors = torch.linalg.eigh(covariance[inputs][:, inputs])
        order = variances.argsort(descending=True)[:n_components]
        vectors = vectors[:, order]
        largest = vectors.gather(0, vectors.abs().argmax(0, keepdim=True))
        vectors = vectors * largest.sign()  # the sign of an eigenvector is arbitrary
        if self.whiten:
            vectors = vectors / variances[order].clamp(min=1e-10).sqrt()
        components = torch.zeros(len(covariance), n_components, dtype=torch.float64)
        components[inputs] = vectors
        return components

    def forward(self, frames: Tensor) -> Tensor:
        """Project frames (..., n_inputs) to (..., D)."""
        if not self.is_fitted:
            return frames
        return (frames - self.mean) @ self.components


def _moments(frames: FrameSample) -> tuple[Tensor, Tensor]:
    """Return the mean and the covariance of frames (N, n_inputs) in float64, one part at a time."""
    mean = torch.stack([part.double().sum(0) for part in frames.split(_PART)]).sum(0) / len(frames)
    covariance = torch.zeros(len(mean), len(mean), dtype=torch.float64)
    for part in frames.split(_PART):
        centred = part.double() - mean
        covariance += centred.T @ centred
    return mean, covariance / len(frames)


def check_counts(**counts: int) -> None:
    """Raise `UserError` for a key of the group `features` that is less than one."""
    for key, value in counts.items():
        if value < 1:
            raise UserError(f"features.{key}={value} is too small; choose 1 or more.")


def _check_components(
    n_bins: int,
    bins_key: str,
    n_channels: int,
    contexts: list[int],
    n_components: list[int] | None,
    bands: list[int],
    whiten: bool,
) -> None:
    if n_components is None:
        _check_nothing_needs_components(contexts, bands, whiten)
        return
    for key, numbers in {"n_components": n_components, "bands": bands}.items():
        if len(numbers) != len(contexts):
            raise UserError(
                f"features.{key}={_shown(numbers)} and features.context={_shown(contexts)} do not match; "
                "give one number for each context."
            )
    for number, context, n_bands in zip(n_components, contexts, bands, strict=True):
        n_inputs = context * n_bins * n_channels
        if not 1 <= number <= n_inputs:
            raise UserError(
                f"features.n_components={number} is not between 1 and the {n_inputs} dimensions of a stacked "
                f"frame (features.{bins_key} x features.context); choose one of these, or null."
            )
        if n_bands < 1 or n_bins % n_bands or number % n_bands:
            raise UserError(
                f"features.bands={n_bands} does not divide features.{bins_key}={n_bins} and "
                f"features.n_components={number}; choose a common divisor."
            )


def _check_nothing_needs_components(contexts: list[int], bands: list[int], whiten: bool) -> None:
    keys = {"whiten=true": whiten, f"context={contexts}": len(contexts) > 1, f"bands={bands}": max(bands) > 1}
    for key, needs_them in keys.items():
        if needs_them:
            raise UserError(
                f"features.{key} needs principal components, and features.n_components=null keeps none; "
                "set numbers of components."
            )


def _shown(numbers: list[int]) -> str:
    return str(numbers[0] if len(numbers) == 1 else numbers)
