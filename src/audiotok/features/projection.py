"""The fitted part of the features: principal components, whitened or not, at one scale of time or several."""

import numpy as np
import torch
from torch import Tensor, nn

from audiotok.errors import UserError

_PART = 8192  # frames whose covariance is added up at a time


class Projection(nn.Module):
    """Turn stacked frames onto their principal components.

    One matrix does all of it: the components of a shorter context have zeros outside of it.

    Args:
        n_channels: Dimensions of a mel frame, deltas included.
        contexts: Mel frames that each set of components sees; the longest is what is stacked.
        n_components: Components kept, for each context; None leaves the frames as they are.
        whiten: Give every component unit variance.
        standardize: Give every dimension unit variance before.
    """

    mean: Tensor
    components: Tensor

    def __init__(
        self,
        n_channels: int,
        contexts: list[int],
        n_components: int | list[int] | None,
        whiten: bool,
        standardize: bool,
    ) -> None:
        super().__init__()
        numbers = [n_components] if isinstance(n_components, int) else n_components
        _check_components(n_channels, contexts, numbers, n_components, whiten)
        self.n_channels, self.contexts, self.n_components = n_channels, contexts, numbers
        self.whiten, self.standardize = whiten, standardize
        n_inputs = n_channels * max(contexts)
        self.n_outputs = n_inputs if numbers is None else sum(numbers)
        self.is_fitted = numbers is not None or standardize
        self.register_buffer("mean", torch.zeros(n_inputs if self.is_fitted else 0))
        self.register_buffer("components", torch.zeros(n_inputs if self.is_fitted else 0, self.n_outputs))

    def fit(self, frames: np.ndarray) -> None:
        """Find the components of a sample of frames, (N, n_inputs).

        Raises:
            UserError: There are fewer frames than components.
        """
        if not self.is_fitted:
            return
        if len(frames) < max(self.n_components or [1]):
            raise UserError(
                f"features.n_components={max(self.n_components or [1])} exceeds the {len(frames)} frames of "
                "the training sample; lower it, or add clips."
            )
        mean, covariance = _moments(torch.from_numpy(frames))
        n_inputs = len(mean)
        scale = torch.ones(n_inputs, dtype=torch.float64)
        if self.standardize:
            variance = covariance.diagonal()
            varies = variance > 1e-8 * variance.max()  # what does not stays as it is: elsewhere it may vary
            scale = torch.where(varies, variance.rsqrt(), 1.0)
            covariance = scale[:, None] * covariance * scale
        if self.n_components is None:
            components = torch.eye(n_inputs, dtype=torch.float64)
        else:
            scales = zip(self.contexts, self.n_components, strict=True)
            components = torch.cat([self._of_context(covariance, *pair) for pair in scales], 1)
        self.mean.copy_(mean)
        self.components.copy_(scale[:, None] * components)

    def _of_context(self, covariance: Tensor, context: int, n_components: int) -> Tensor:
        """Return the components (n_inputs, n_components) of the mel frames in the middle."""
        first = ((max(self.contexts) - 1) // 2 - (context - 1) // 2) * self.n_channels
        seen = slice(first, first + context * self.n_channels)
        variances, vectors = torch.linalg.eigh(covariance[seen, seen])
        order = variances.argsort(descending=True)[:n_components]
        vectors = vectors[:, order]
        largest = vectors.gather(0, vectors.abs().argmax(0, keepdim=True))
        vectors = vectors * largest.sign()  # an eigenvector's sign is arbitrary: fix it
        if self.whiten:
            vectors = vectors / variances[order].clamp(min=1e-10).sqrt()
        components = torch.zeros(len(covariance), n_components, dtype=torch.float64)
        components[seen] = vectors
        return components

    def forward(self, frames: Tensor) -> Tensor:
        """Project frames (..., n_inputs) to (..., D)."""
        if not self.is_fitted:
            return frames
        return (frames - self.mean) @ self.components


def _moments(frames: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean and the covariance of frames (N, n_inputs) in float64, without a copy of them all."""
    n_inputs = frames.shape[1]
    mean = frames.mean(0, dtype=torch.float64)
    covariance = torch.zeros(n_inputs, n_inputs, dtype=torch.float64)
    for part in frames.split(_PART):
        centred = part.double() - mean
        covariance += centred.T @ centred
    return mean, covariance / len(frames)


def _check_components(
    n_channels: int,
    contexts: list[int],
    numbers: list[int] | None,
    n_components: int | list[int] | None,
    whiten: bool,
) -> None:
    if numbers is None:
        if whiten:
            raise UserError(
                "features.whiten=true needs principal components, and features.n_components=null keeps none; "
                "set a number of components."
            )
        if len(contexts) > 1:
            raise UserError(
                f"features.context={contexts} needs principal components for each, and "
                "features.n_components=null keeps none; give as many numbers."
            )
        return
    if len(numbers) != len(contexts):
        raise UserError(
            f"features.n_components={n_components} and features.context={contexts} do not match; "
            "give one number of components for each context."
        )
    for number, context in zip(numbers, contexts, strict=True):
        if not 1 <= number <= context * n_channels:
            raise UserError(
                f"features.n_components={number} is not between 1 and the {context * n_channels} dimensions "
                "of a stacked frame (features.n_mels x features.context); choose one of these, or null."
            )
