"""Lloyd's algorithm by FAISS from a good start, and what all clusterings by it have in common."""

import math
from typing import ClassVar

import faiss
import numpy as np
import torch

from audiotok.clustering.codebooks import Codebooks, check_at_least_one

_START_POINTS = 40  # for each centroid, of those that starting centroids are chosen from; 20 leave 1.5 % more


class LloydCodebooks(Codebooks):
    """Codebooks whose centroids Lloyd's algorithm finds.

    Args:
        n_clusters: Centroids per codebook, K.
        n_codebooks: Codebooks, Q.
        n_iter: Iterations of Lloyd's algorithm.
        sample_frames: Frames that centroids are fitted on; None for all.
        sample_clips: Training clips that these frames are drawn from; None for all.
        sample_gb: Most memory that the frames and the fitting to them take, GB.
        seed: Seed of the draw and of the starting centroids.
    """

    kind: ClassVar[str]

    def __init__(
        self,
        *,
        n_clusters: int,
        n_codebooks: int,
        n_iter: int,
        sample_frames: int | None,
        sample_clips: int | None,
        sample_gb: float,
        seed: int,
    ) -> None:
        super().__init__(
            n_clusters=n_clusters,
            n_codebooks=n_codebooks,
            sample_frames=sample_frames,
            sample_clips=sample_clips,
            sample_gb=sample_gb,
            seed=seed,
        )
        check_at_least_one(n_iter=n_iter)
        self.n_iter = n_iter

    @property
    def settings(self) -> dict[str, object]:
        """Everything that the centroids depend on."""
        return {"kind": self.kind, "n_iter": self.n_iter, **self._common_settings()}


def lloyd(
    points: np.ndarray,
    n_clusters: int,
    n_iter: int,
    seed: int,
    *,
    spherical: bool = False,
    from_spread: bool = True,
) -> np.ndarray:
    """Run FAISS k-means over all points, on a GPU where FAISS sees one.

    Left to itself, FAISS silently takes 256 points a centroid; what it is handed here it uses. It also starts
    at random points, from where 20 iterations end 5 % further from mel frames than 10 do from spread ones.

    Args:
        points: float32 (N, dimensions), contiguous, N >= n_clusters.
        n_clusters: Centroids, K.
        n_iter: Iterations.
        seed: Seed of the starting centroids.
        spherical: Assign points by the largest product, and scale centroids to length 1.
        from_spread: Start from points that `spread_out` chooses, not from random ones.

    Returns:
        float32 (K, dimensions)
    """
    kmeans = faiss.Kmeans(
        points.shape[1],
        n_clusters,
        niter=n_iter,
        seed=seed % 2**31,  # FAISS holds it in a C int
        spherical=spherical,
        gpu=faiss.get_num_gpus() > 0,
        min_points_per_centroid=1,
        max_points_per_centroid=-(-len(points) // n_clusters),
    )
    kmeans.train(points, init_centroids=spread_out(points, n_clusters, seed) if from_spread else None)
    assert kmeans.centroids is not None
    return kmeans.centroids


def spread_out(points: np.ndarray, n_chosen: int, seed: int) -> np.ndarray:
    """Choose points that are spread as all of them are, to start from.

    Each is the best of a few that are drawn by their squared distance from those chosen before: greedy
    k-means++ (D. Arthur, S. Vassilvitskii, "k-means++: The Advantages of Careful Seeding", SODA 2007), of
    `_START_POINTS` random points a centroid.

    Args:
        points: float32 (N, dimensions)
        n_chosen: At most N.
        seed: Seed of all draws.

    Returns:
        float32 (n_chosen, dimensions)
    """
    generator = torch.Generator().manual_seed(seed)
    n_candidates = 2 + int(math.log(n_chosen))
    some = torch.randperm(len(points), generator=generator)[: _START_POINTS * n_chosen]
    pool = torch.from_numpy(points[some.numpy()])
    pool = pool.cuda() if faiss.get_num_gpus() else pool
    halves = (
        pool.square().sum(1) / 2
    )  # half squared distances spare a pass: |x - c|²/2 = |x|²/2 - x·c + |c|²/2
    chosen = torch.zeros(n_chosen, dtype=torch.int64, device=pool.device)
    far = torch.addmv(halves, pool, pool[0], alpha=-1) + halves[0]
    for number in range(1, n_chosen):
        sums = far.cumsum(0)
        draws = torch.rand(n_candidates, generator=generator).to(pool.device) * sums[-1]
        candidates = torch.searchsorted(sums, draws).clamp_(max=len(pool) - 1)
        distances = torch.addmm(halves, pool[candidates], pool.T, alpha=-1).add_(halves[candidates, None])
        left = torch.minimum(distances, far)  # (candidates, pool)
        best = left.sum(1).argmin()
        chosen[number], far = candidates[best], left[best].clamp_(min=0)
    return pool[chosen].cpu().numpy()
