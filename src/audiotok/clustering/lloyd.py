"""Lloyd's algorithm by FAISS, and what all clusterings by it have in common."""

from typing import ClassVar

import faiss
import numpy as np

from audiotok.clustering.codebooks import Codebooks, check_at_least_one


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


def lloyd(points: np.ndarray, n_clusters: int, n_iter: int, seed: int, spherical: bool = False) -> np.ndarray:
    """Run FAISS k-means over all points, on a GPU where FAISS sees one.

    Left to itself, FAISS silently takes 256 points a centroid; what it is handed here it uses.

    Args:
        points: float32 (N, dimensions), contiguous, N >= n_clusters.
        n_clusters: Centroids, K.
        n_iter: Iterations.
        seed: Seed of the starting centroids.
        spherical: Assign points by the largest product, and scale centroids to length 1.

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
    kmeans.train(points)
    assert kmeans.centroids is not None
    return kmeans.centroids
