"""Points to cluster, where no sounds are at hand."""

import numpy as np

N_DIMENSIONS = 64


def draw_points(n_points: int) -> np.ndarray:
    """Draw points (N, 64) like principal components of frames: crowds of all sizes, few strong directions."""
    rng = np.random.default_rng(0)
    scales = 30 * np.arange(1, N_DIMENSIONS + 1) ** -0.8
    centres = rng.standard_normal((3000, N_DIMENSIONS)) * scales
    sizes = rng.pareto(1.5, len(centres)) + 1
    chosen = rng.choice(len(centres), n_points, p=sizes / sizes.sum())
    noise = 0.4 * scales * rng.standard_normal((n_points, N_DIMENSIONS))
    return (centres[chosen] + noise).astype(np.float32)
