"""The interface of every clustering: frames in, tokens out, and back."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from audiotok.errors import UserError

log = logging.getLogger(__name__)
PART = 8192  # frames of a sample that are encoded at once: distances of all would fill the memory


class Codebooks(nn.Module, ABC):
    """Q codebooks of K centroids each.

    Another kind of clustering is a subclass in a file of its own: say how the centroids are fitted, and how
    frames are encoded and decoded. `centroids` is what a token's embedding may begin at; what else encoding
    and decoding need is registered as further buffers, float32, which are kept and read as `centroids` is.

    Args:
        n_clusters: Centroids per codebook, K.
        n_codebooks: Codebooks, Q.
        sample_frames: Frames that centroids are fitted on, drawn from the training clips; None for all.
        sample_clips: Training clips that these frames are drawn from; None for all.
        sample_gb: Most memory that the frames and the fitting to them take, GB.
        seed: Seed of the draw and of the clustering.
    """

    centroids: Tensor

    def __init__(
        self,
        *,
        n_clusters: int,
        n_codebooks: int,
        sample_frames: int | None,
        sample_clips: int | None,
        sample_gb: float,
        seed: int,
    ) -> None:
        super().__init__()
        check_at_least_one(
            n_clusters=n_clusters,
            n_codebooks=n_codebooks,
            sample_frames=sample_frames,
            sample_clips=sample_clips,
        )
        if sample_gb <= 0:
            raise UserError(
                f"clustering.sample_gb={sample_gb} leaves no room for frames; choose more than 0."
            )
        if seed < 0:
            raise UserError(f"clustering.seed={seed} is no seed; choose 0 or more.")
        self.n_clusters, self.n_codebooks, self.seed = n_clusters, n_codebooks, seed
        self.sample_frames, self.sample_clips, self.sample_gb = sample_frames, sample_clips, sample_gb
        self.register_buffer("centroids", torch.empty(0))

    @property
    @abstractmethod
    def settings(self) -> dict[str, object]:
        """Everything that the arrays depend on, JSON-like: part of their key."""

    @abstractmethod
    def check_dimensions(self, n_dimensions: int) -> None:
        """Raise `UserError` where frames of D dimensions cannot be clustered so."""

    @abstractmethod
    def fit_arrays(self, frames: np.ndarray) -> None:
        """Fit `centroids` (Q, K, dimensions of a codebook) and all other buffers to float32 frames (N, D)."""

    @abstractmethod
    def encode(self, frames: Tensor) -> Tensor:
        """Return the tokens (..., Q), int64, of frames (..., D)."""

    @abstractmethod
    def decode(self, tokens: Tensor) -> Tensor:
        """Return the frames (..., D) that tokens (..., Q) stand for."""

    def fit(self, frames: np.ndarray) -> None:
        """Fit the codebooks to a sample of frames, float32 (N, D), on the CPU.

        Raises:
            UserError: There are fewer frames than clusters, or their dimensions will not do.
        """
        self.check_dimensions(frames.shape[1])
        if len(frames) < self.n_clusters:
            raise UserError(
                f"clustering.n_clusters={self.n_clusters} exceeds the {len(frames)} frames of the training "
                "sample; lower it, raise clustering.sample_frames or sample_gb, or add clips."
            )
        if len(frames) < 39 * self.n_clusters:  # FAISS's own bound for a warning
            log.warning(
                "%s frames are few for clustering.n_clusters=%d: under 39 a centroid; "
                "raise clustering.sample_frames or lower n_clusters.",
                f"{len(frames):,}",
                self.n_clusters,
            )
        self.fit_arrays(np.ascontiguousarray(frames, dtype=np.float32))

    def encode_sample(self, frames: Tensor) -> Tensor:
        """Return the tokens (N, Q) of a sample of any size (N, D), a part after the other."""
        return torch.cat([self.encode(part) for part in frames.split(PART)])

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all that was fitted or drawn, by name: `centroids` and what else a kind has."""
        return {name: buffer.cpu().numpy() for name, buffer in self.named_buffers()}

    def load_arrays(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take over copies of what `arrays` returned."""
        for name, buffer in list(self.named_buffers()):
            setattr(self, name, torch.from_numpy(np.array(arrays[name], dtype=np.float32)).to(buffer.device))

    def _common_settings(self) -> dict[str, object]:
        return {
            "n_clusters": self.n_clusters,
            "n_codebooks": self.n_codebooks,
            "sample_frames": self.sample_frames,
            "sample_clips": self.sample_clips,
            "seed": self.seed,
        }


def check_at_least_one(**counts: int | None) -> None:
    """Raise `UserError` for a key of the group `clustering` that counts less than one; None is no count."""
    for key, value in counts.items():
        if value is not None and value < 1:
            raise UserError(f"clustering.{key}={value} is too small; choose 1 or more.")


def nearest(points: Tensor, centroids: Tensor) -> Tensor:
    """Return the index of the nearest centroid of every point, by one matrix product.

    |x - c|² = |x|² - 2 x·c + |c|², and |x|² is the same for all centroids of a point. Of centroids that are
    equally near, the first is taken.

    Args:
        points: (N, dimensions), or (Q, N, dimensions)
        centroids: (K, dimensions), or (Q, K, dimensions), a codebook for each set of points

    Returns:
        (N,) or (Q, N), int64
    """
    if points.ndim == 3:  # one after the other: the distances of one codebook stay in a CPU's cache
        return torch.stack([nearest(*pair) for pair in zip(points, centroids, strict=True)])
    distances = torch.addmm(centroids.square().sum(-1) / 2, points, centroids.mT, alpha=-1)
    if distances.is_cpu:
        return torch.from_numpy(distances.numpy().argmin(-1))  # torch's own takes many times as long there
    return distances.argmin(-1)
