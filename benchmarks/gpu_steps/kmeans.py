"""k-means without FAISS on the device, beside FAISS on the CPU with all of its threads.

Both run Lloyd's algorithm over all points, with the same start and as many iterations as configured, so they
should end at the same inertia: the mean squared distance of the points to their nearest centroids.

- `one codebook`: 500 centroids, as `clustering=kmeans`.
- `product`: 24 codebooks of 256, as `clustering=product`.
"""

import time
from typing import Any

import faiss
import numpy as np
import torch
from points import draw_points
from torch import Tensor

from audiotok.clustering.codebooks import nearest
from gpu_steps.task import Found, Task

PART = 65_536  # points whose distances are computed at a time: 500 centroids take 130 MB
N_ITER = 15


def measure(task: Task) -> Found:
    """Fit one codebook, then many small ones."""
    points = draw_points(task.size(500_000, 4000))
    yield {"one codebook": compare([points], task.size(500, 20), task)}
    books = np.split(points[: task.size(200_000, 2000)], task.size(8, 2), axis=1)
    n_books = task.size(24, 2)
    parts = [np.ascontiguousarray(books[number % len(books)]) for number in range(n_books)]
    yield {"product": compare(parts, task.size(256, 16), task)}


def compare(parts: list[np.ndarray], n_clusters: int, task: Task) -> dict[str, Any]:
    """Fit a codebook to each set of points (N, dimensions), on the device and by FAISS on the CPU."""
    chosen = np.random.default_rng(0).permutation(len(parts[0]))[:n_clusters]
    starts = [np.ascontiguousarray(part[chosen]) for part in parts]
    on_device = [torch.from_numpy(part).to(task.device) for part in parts]
    lloyd(on_device[0][:PART], torch.from_numpy(starts[0]).to(task.device), 1)  # warms the device up
    begun = task.clock()
    ours = [
        lloyd(part, torch.from_numpy(start).to(task.device), N_ITER)
        for part, start in zip(on_device, starts, strict=True)
    ]
    seconds = task.clock() - begun
    begun = time.perf_counter()
    theirs = [by_faiss(part, start) for part, start in zip(parts, starts, strict=True)]
    faiss_seconds = time.perf_counter() - begun
    inertia = sum(map(inertia_of, on_device, ours))
    of_faiss = sum(
        inertia_of(part, torch.from_numpy(found).to(task.device))
        for part, found in zip(on_device, theirs, strict=True)
    )
    return {
        "n_points": len(parts[0]),
        "n_codebooks": len(parts),
        "seconds": seconds,
        "faiss_cpu_seconds": faiss_seconds,
        "times_as_fast": faiss_seconds / seconds,
        "inertia_vs_faiss": inertia / of_faiss,
    }


@torch.no_grad()
def lloyd(points: Tensor, centroids: Tensor, n_iter: int) -> Tensor:
    """Run Lloyd's algorithm on the points' device.

    Args:
        points: (N, dimensions)
        centroids: (K, dimensions), to start from
        n_iter: Iterations.

    Returns:
        (K, dimensions); a centroid that loses all of its points stays where it was.
    """
    for _ in range(n_iter):
        chosen = torch.cat([nearest(part, centroids) for part in points.split(PART)])
        sums = torch.zeros_like(centroids).index_add_(0, chosen, points)
        counts = chosen.bincount(minlength=len(centroids))[:, None]
        centroids = torch.where(counts > 0, sums / counts.clamp(min=1), centroids)
    return centroids


def by_faiss(points: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Run FAISS's k-means on the CPU over all points: centroids (K, dimensions)."""
    kmeans = faiss.Kmeans(
        points.shape[1],
        len(start),
        niter=N_ITER,
        gpu=False,
        min_points_per_centroid=1,
        max_points_per_centroid=len(points),
    )
    kmeans.train(points, init_centroids=start)
    return kmeans.centroids


@torch.no_grad()
def inertia_of(points: Tensor, centroids: Tensor) -> float:
    """Return the mean squared distance of points (N, dimensions) to their nearest centroids."""
    total = 0.0
    for part in points.split(PART):
        total += float((part - centroids[nearest(part, centroids)]).square().sum())
    return total / len(points)
