"""The interface of every clustering: frames in, tokens out, and back."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from audiotok.errors import UserError
from audiotok.nodes.described import Described

log = logging.getLogger(__name__)
PART = 8192  # frames of a sample that are encoded at a time: the distances of all would fill the memory


class Codebooks(Described, nn.Module, ABC):
    """Q codebooks of K centroids each.

    Another clustering is a subclass in a file of its own: it implements `settings`, `check_dimensions`,
    `fit_arrays`, `encode` and `decode`. Token embeddings may start from `centroids`. Whatever else encoding
    and decoding need is registered as float32 buffers, which are saved and loaded like `centroids`.

    Args:
        n_clusters: Centroids per codebook, K.
        n_codebooks: Codebooks, Q.
        seed: Seed of the clustering, and of the sample of frames that it is fitted to.
    """

    centroids: Tensor

    def __init__(self, *, n_clusters: int, n_codebooks: int, seed: int) -> None:
        super().__init__()
        check_at_least_one(n_clusters=n_clusters, n_codebooks=n_codebooks)
        if seed < 0:
            raise UserError(f"clustering.seed={seed} is negative; choose 0 or more.")
        self.n_clusters, self.n_codebooks, self.seed = n_clusters, n_codebooks, seed
        self.register_buffer("centroids", torch.empty(0))

    @property
    @abstractmethod
    def settings(self) -> dict[str, object]:
        """Everything that the arrays depend on, flat and JSON-like: part of their key."""

    @abstractmethod
    def check_dimensions(self, n_dimensions: int) -> None:
        """Raise `UserError` if frames of D dimensions cannot be clustered."""

    @abstractmethod
    def fit_arrays(self, frames: np.ndarray) -> None:
        """Fit `centroids` (Q, K, dimensions of a codebook) and all other buffers to float32 frames (N, D)."""

    @abstractmethod
    def encode(self, frames: Tensor) -> Tensor:
        """Return the tokens (..., Q), int64, of frames (..., D)."""

    @abstractmethod
    def decode(self, tokens: Tensor) -> Tensor:
        """Return the frames (..., D) that tokens (..., Q) stand for."""

    @property
    def are_ordered(self) -> bool:
        """Whether the first few codebooks tell a frame by themselves: see `decode_first`."""
        return False

    def decode_first(self, tokens: Tensor, n_codebooks: int) -> Tensor:
        """Return the frames (..., D) that the first codebooks tell of tokens (..., Q)."""
        assert n_codebooks == self.n_codebooks, "these codebooks are not ordered"
        return self.decode(tokens)

    def fit(self, frames: np.ndarray) -> None:
        """Fit the codebooks to a sample of frames, float32 (N, D), on the CPU.

        Raises:
            UserError: There are fewer frames than clusters, or `check_dimensions` refuses them.
        """
        self.check_dimensions(frames.shape[1])
        if len(frames) < self.n_clusters:
            raise UserError(
                f"clustering.n_clusters={self.n_clusters} exceeds the {len(frames)} frames of the training "
                "sample; lower it, raise sample.n_frames or sample.max_gb, or add clips."
            )
        if len(frames) < 39 * self.n_clusters:  # FAISS's own bound for a warning
            log.warning(
                "clustering.n_clusters=%d is large for a sample of %s frames: fewer than 39 per centroid; "
                "raise sample.n_frames or lower n_clusters.",
                self.n_clusters,
                f"{len(frames):,}",
            )
        self.fit_arrays(np.ascontiguousarray(frames, dtype=np.float32))

    def encode_sample(self, frames: Tensor) -> Tensor:
        """Return the tokens (N, Q) of any number of frames (N, D), one part after the other."""
        return torch.cat([self.encode(part) for part in frames.split(PART)])

    def arrays(self) -> dict[str, np.ndarray]:
        """Return everything that was fitted or drawn, by name: `centroids` and the other buffers."""
        return {name: buffer.cpu().numpy() for name, buffer in self.named_buffers()}

    def load_arrays(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Copy back what `arrays` returned; other names may be among them."""
        for name, buffer in list(self.named_buffers()):
            setattr(self, name, torch.from_numpy(np.array(arrays[name], dtype=np.float32)).to(buffer.device))

    def _common_settings(self) -> dict[str, object]:
        return {"n_clusters": self.n_clusters, "n_codebooks": self.n_codebooks, "seed": self.seed}


def check_at_least_one(**counts: int) -> None:
    """Raise `UserError` for a key of the group `clustering` that is less than one."""
    for key, value in counts.items():
        if value < 1:
            raise UserError(f"clustering.{key}={value} is too small; choose 1 or more.")


def nearest(points: Tensor, centroids: Tensor) -> Tensor:
    """Return the index of the nearest centroid of every point, by one matrix product.

    |x - c|² = |x|² - 2 x·c + |c|², and |x|² is the same for all centroids of a point. Among equally near
    centroids, the first is taken.

    Args:
        points: (N, dimensions), or (Q, N, dimensions)
        centroids: (K, dimensions), or (Q, K, dimensions), one codebook for each set of points

    Returns:
        (N,) or (Q, N), int64
    """
    if points.ndim == 3:  # one codebook after the other: the distances of one fit into a CPU's cache
        return torch.stack([nearest(*pair) for pair in zip(points, centroids, strict=True)])
    distances = torch.addmm(centroids.square().sum(-1) / 2, points, centroids.mT, alpha=-1)
    if distances.is_cpu and not torch.compiler.is_exporting():
        return torch.from_numpy(distances.numpy().argmin(-1))  # many times as fast as torch's on a CPU
    return distances.argmin(-1)
