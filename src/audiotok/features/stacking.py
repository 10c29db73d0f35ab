"""Features whose frames are neighbouring slices, stacked into one vector and projected."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from audiotok.errors import UserError
from audiotok.features.features import Features, FrameSample
from audiotok.features.projection import Projection, check_counts
from audiotok.features.unstacking import unstack
from audiotok.features.windows import stack_slices


class StackedFeatures(Features):
    """Stack `context` neighbouring slices every `stride` slices, and project them on principal components.

    Subclasses analyse waveforms, and say in `vectors` what is stacked.

    Args:
        n_stacked: Dimensions of a vector that is stacked.
        stacked_key: The key of the group `features` that this number follows from, for errors.
        deltas: 1 appends the slope of every dimension over five slices, 2 the slope of that slope too.
        context: Slices stacked into one vector; a list for several time scales.
        stride: Slices from one vector to the next: the time resolution of tokens.
        n_components: Principal components kept, one number for each context, D in total; None keeps the
            stacked vector as it is.
        bands: Groups of neighbouring dimensions, each with its own principal components. One number for all
            contexts, or one for each.
        whiten: Scale every principal component to unit variance.
        standardize: Scale every dimension of a stacked vector to unit variance first.

    Raises:
        UserError: The numbers contradict each other.
    """

    def __init__(
        self,
        *,
        n_stacked: int,
        stacked_key: str,
        deltas: int = 0,
        context: int | list[int] = 1,
        stride: int = 1,
        n_components: int | list[int] | None = None,
        bands: int | list[int] = 1,
        whiten: bool = False,
        standardize: bool = False,
    ) -> None:
        super().__init__()
        contexts = _as_list(context)
        check_counts(stride=stride, context=min(contexts, default=0))
        if deltas not in (0, 1, 2):
            raise UserError(f"features.deltas={deltas} is not supported; choose 0, 1 or 2.")
        self.deltas, self.context, self.stride = deltas, max(contexts), stride
        self.projection = Projection(
            n_bins=n_stacked,
            bins_key=stacked_key,
            n_channels=1 + deltas,
            contexts=contexts,
            n_components=None if n_components is None else _as_list(n_components),
            bands=[bands] * len(contexts) if isinstance(bands, int) else bands,
            whiten=whiten,
            standardize=standardize,
        )

    @property
    def n_inputs(self) -> int:
        """Dimensions of a stacked vector."""
        return self.projection.n_inputs

    @property
    def n_dimensions(self) -> int:
        """Dimensions of a projected frame, D."""
        return self.projection.n_outputs

    def vectors(self, analysis: Tensor, n_slices: Tensor) -> Tensor:
        """Return what is stacked, (B, slices, n_stacked), of an analysis: that, normalised."""
        return self.normalize(analysis, n_slices)

    def stack(self, analysis: Tensor, n_slices: Tensor) -> tuple[Tensor, Tensor]:
        """Stack neighbouring slices.

        Args:
            analysis: (B, slices, bins)
            n_slices: (B,), slices of each that are not padding.

        Returns:
            (B, T, context * n_stacked * (1 + deltas)), the first centred on the beginning of the clip and
            edges repeated, and how many of each clip are not padding (B,).
        """
        vectors = self.vectors(analysis, n_slices)
        frames = stack_slices(vectors, self.deltas, self.context, self.stride)
        return frames, self.n_frames_of(n_slices)

    def n_frames_of(self, n_slices: Tensor) -> Tensor:
        """Return how many frames `n_slices` (B,) slices give."""
        return (n_slices + self.stride - 1) // self.stride

    def fit(self, frames: FrameSample) -> None:
        """Find the principal components of stacked vectors, float32 (N, n_inputs).

        Raises:
            UserError: There are fewer frames than components.
        """
        self.projection.fit(frames)

    def project(self, frames: Tensor) -> Tensor:
        """Project stacked vectors (..., n_inputs) on the components: (..., D)."""
        return self.projection(frames)

    def unstack(self, frames: Tensor, n_frames: Tensor, noise: float, *, smooth: bool) -> Tensor:
        """Return the vectors (B, T * stride, n_stacked) of which frames (B, T, D) were stacked."""
        return unstack(frames, n_frames, self.projection, self.stride, noise, smooth=smooth)

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
