"""The fitted part of the features: principal components, whitened or not."""

import numpy as np
import torch
from torch import Tensor, nn

from audiotok.errors import UserError


class Projection(nn.Module):
    """Turn stacked frames onto their principal components.

    Args:
        n_inputs: Dimensions of a stacked frame.
        n_components: Dimensions kept, D; None leaves the frames as they are.
        whiten: Give every component unit variance.
    """

    mean: Tensor
    components: Tensor

    def __init__(self, n_inputs: int, n_components: int | None, whiten: bool) -> None:
        super().__init__()
        if n_components is not None and not 1 <= n_components <= n_inputs:
            raise UserError(
                f"features.n_components={n_components} is not between 1 and the {n_inputs} dimensions of a "
                "stacked frame (features.n_mels x features.context); choose one of these, or null."
            )
        if whiten and n_components is None:
            raise UserError(
                "features.whiten=true needs principal components, and features.n_components=null keeps none; "
                "set a number of components."
            )
        self.n_components, self.whiten = n_components, whiten
        n_kept = n_components or 0
        self.register_buffer("mean", torch.zeros(n_inputs if n_kept else 0))
        self.register_buffer("components", torch.zeros(n_inputs if n_kept else 0, n_kept))

    def fit(self, frames: np.ndarray) -> None:
        """Find the components of a sample of frames, (N, n_inputs).

        Raises:
            UserError: There are fewer frames than components.
        """
        if self.n_components is None:
            return
        if len(frames) < self.n_components:
            raise UserError(
                f"features.n_components={self.n_components} exceeds the {len(frames)} frames of the training "
                "sample; lower it, or add clips."
            )
        x = torch.from_numpy(frames).double()
        mean = x.mean(0)
        variances, vectors = torch.linalg.eigh((x - mean).T @ (x - mean) / len(x))
        order = variances.argsort(descending=True)[: self.n_components]
        components = vectors[:, order]
        largest = components.gather(0, components.abs().argmax(0, keepdim=True))
        components = components * largest.sign()  # an eigenvector's sign is arbitrary: fix it
        if self.whiten:
            components = components / variances[order].clamp(min=1e-10).sqrt()
        self.mean.copy_(mean)
        self.components.copy_(components)

    def forward(self, frames: Tensor) -> Tensor:
        """Project frames (..., n_inputs) to (..., D)."""
        if self.n_components is None:
            return frames
        return (frames - self.mean) @ self.components
