"""Random-projection quantisation (BEST-RQ): tokens without any learning.

Source: C.-C. Chiu, J. Qin, Y. Zhang, J. Yu, Y. Wu, "Self-supervised learning with random-projection
quantizer for speech recognition", ICML 2022.
"""

import math

import numpy as np
import torch
from torch import Tensor

from audiotok.clustering.codebooks import PART, Codebooks
from audiotok.errors import UserError
from audiotok.errors.memory import check_memory
from audiotok.errors.ranges import Count, Seed


class Random(Codebooks):
    """Q random projections, each with K random codes: a token is the code of the largest cosine.

    Only the mean and the standard deviation of every dimension are measured on the sample; projections and
    codes are drawn from the seed. `centroids` play no part in encoding: entry (q, k) is the mean residual,
    after the codebooks before q, of the sample's frames whose token is k, or 0 if there are none. A word
    decodes to the sum of its entries.

    Args:
        n_clusters: Codes per codebook, K.
        n_codebooks: Codebooks, Q, each with its own projection.
        code_dimensions: Dimensions that frames are projected to.
        seed: Seed of the sample of frames, the projections and the codes.
    """

    offset: Tensor
    scale: Tensor
    projections: Tensor
    codes: Tensor

    def __init__(
        self, *, n_clusters: Count = 256, n_codebooks: Count = 8, code_dimensions: Count = 16, seed: Seed = 0
    ) -> None:
        super().__init__(n_clusters=n_clusters, n_codebooks=n_codebooks, seed=seed)
        if code_dimensions < 2:
            raise UserError(
                f"clustering.code_dimensions={code_dimensions} is too small, codes differ in direction; "
                "choose 2 or more."
            )
        self.code_dimensions = code_dimensions
        for name in ("offset", "scale", "projections", "codes"):
            self.register_buffer(name, torch.empty(0))

    @property
    def settings(self) -> dict[str, object]:
        """Everything that the codes and centroids depend on."""
        return {"kind": "random", "code_dimensions": self.code_dimensions, **self._common_settings()}

    def check_dimensions(self, n_dimensions: int) -> None:
        """Accept any number of dimensions whose projections and codes fit into memory."""
        check_memory(
            8 * self.n_codebooks * self.code_dimensions * (n_dimensions + self.n_clusters),
            f"clustering.code_dimensions={self.code_dimensions} with "
            f"clustering.n_clusters={self.n_clusters} and clustering.n_codebooks={self.n_codebooks}",
        )

    def fit_arrays(self, frames: np.ndarray) -> None:
        """Measure frames (N, D), draw projections (Q, D, code dimensions) and codes, and fill centroids."""
        mean = frames.mean(0, dtype=np.float64)
        squares = (np.square(part - mean).sum(0) for part in np.split(frames, range(PART, len(frames), PART)))
        deviation = np.sqrt(sum(squares) / len(frames))
        varies = deviation > 1e-4 * deviation.max()  # scaling the others would only amplify rounding errors
        scale = np.divide(1, deviation, out=np.zeros_like(deviation), where=varies)
        self.offset = torch.from_numpy(mean).float()
        self.scale = torch.from_numpy(scale).float()
        self.projections, self.codes = self._draw(frames.shape[1])
        points = torch.from_numpy(frames)
        self.centroids = additive_table(points, self.encode_sample(points), self.n_clusters)

    def _draw(self, n_dimensions: int) -> tuple[Tensor, Tensor]:
        """Draw projections by Xavier's uniform rule, and codes of length 1, uniform in direction."""
        limit = math.sqrt(6 / (n_dimensions + self.code_dimensions))
        projections, codes = [], []
        for q in range(self.n_codebooks):
            rng = np.random.default_rng([self.seed, q])  # independent of the number of codebooks
            projections.append(rng.uniform(-limit, limit, (n_dimensions, self.code_dimensions)))
            drawn = rng.standard_normal((self.n_clusters, self.code_dimensions))
            codes.append(drawn / np.linalg.norm(drawn, axis=1, keepdims=True))
        return torch.from_numpy(np.stack(projections)).float(), torch.from_numpy(np.stack(codes)).float()

    def encode(self, frames: Tensor) -> Tensor:
        """Return the code of the largest cosine in every codebook: (..., D) to (..., Q)."""
        points = (frames.flatten(0, -2) - self.offset) * self.scale
        products = points @ self.projections @ self.codes.mT  # (Q, N, K)
        return products.max(-1).indices.T.reshape(*frames.shape[:-1], self.n_codebooks)

    def decode(self, tokens: Tensor) -> Tensor:
        """Return the sum of the entries of all codebooks: (..., Q) to (..., D)."""
        return torch.stack([table[tokens[..., q]] for q, table in enumerate(self.centroids)]).sum(0)


def additive_table(frames: Tensor, tokens: Tensor, n_clusters: int) -> Tensor:
    """Find what each token adds to a frame, codebook by codebook, as the mean of the residuals.

    Args:
        frames: (N, D)
        tokens: (N, Q)
        n_clusters: Tokens of a codebook, K.

    Returns:
        (Q, K, D), 0 for tokens that do not occur.
    """
    left = frames.clone()
    tables = []
    for codes in tokens.T:
        sums = torch.zeros(n_clusters, frames.shape[1], dtype=torch.float64)  # float32 would lose digits
        for part, chosen in zip(left.split(PART), codes.split(PART), strict=True):
            sums.index_add_(0, chosen, part.double())
        counts = codes.bincount(minlength=n_clusters).clamp(min=1)
        tables.append((sums / counts[:, None]).float())
        left -= tables[-1][codes]
    return torch.stack(tables)
