"""Which tokens of a codebook are alike: their order, their places on a map, and their colours.

The number of a centroid means nothing. Every picture of tokens shows a token by its rank along the direction
in which the centroids of its codebook differ most, so that similar tokens have similar colours.
"""

import numpy as np

# ColorBrewer's "Spectral" (C. Brewer, colorbrewer2.org), from the first rank to the last.
_SPECTRAL = np.array(
    [
        (158, 1, 66),
        (213, 62, 79),
        (244, 109, 67),
        (253, 174, 97),
        (254, 224, 139),
        (255, 255, 191),
        (230, 245, 152),
        (171, 221, 164),
        (102, 194, 165),
        (50, 136, 189),
        (94, 79, 162),
    ],
    float,
)


def places(centroids: np.ndarray) -> np.ndarray:
    """Return the places of centroids on a map: their first two principal components, codebook by codebook.

    Args:
        centroids: (Q, K, dimensions of a codebook)

    Returns:
        float64 (Q, K, 2); the second is 0 where centroids have one dimension.
    """
    centred = centroids - centroids.mean(1, keepdims=True, dtype=np.float64)
    _, vectors = np.linalg.eigh(centred.mT @ centred)
    axes = vectors[..., ::-1][..., :2]  # eigenvalues ascend
    largest = np.take_along_axis(axes, np.abs(axes).argmax(1, keepdims=True), 1)
    found = centred @ (axes * np.where(largest < 0, -1, 1))  # the sign of an eigenvector is arbitrary
    return np.pad(found, ((0, 0), (0, 0), (0, 2 - found.shape[2])))


def ranks(centroids: np.ndarray) -> np.ndarray:
    """Rank the centroids of each codebook by likeness: (Q, K, dimensions) to int (Q, K)."""
    return places(centroids)[..., 0].argsort(1, kind="stable").argsort(1)


def colours(shares: np.ndarray) -> np.ndarray:
    """Return the colours of ranks: shares 0 .. 1 (...) of the highest rank to uint8 (..., 3)."""
    stops = np.linspace(0, 1, len(_SPECTRAL))
    channels = [np.interp(shares, stops, channel) for channel in _SPECTRAL.T]
    return np.stack(channels, -1).round().astype(np.uint8)


def token_colours(tokens: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """Return the colours of tokens: int (T, Q) to uint8 (Q, T, 3), one row for each codebook."""
    found = np.take_along_axis(ranks(centroids), tokens.T, 1)
    return colours(found / max(1, centroids.shape[1] - 1))
