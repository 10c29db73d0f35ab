"""Tokens as language models read them: one vocabulary for all codebooks, delayed or flattened ones, units.

Each pattern has its inverse. Shapes: ``T`` positions, ``Q`` codebooks, ``K`` centroids in each.
"""

import numpy as np


def with_offsets(tokens: np.ndarray, n_clusters: int) -> np.ndarray:
    """Give each codebook numbers of its own, below Q K: token k of codebook q is q K + k, (T, Q)."""
    return tokens.astype(np.int64) + n_clusters * np.arange(tokens.shape[1])


def without_offsets(tokens: np.ndarray, n_clusters: int) -> np.ndarray:
    """Undo `with_offsets`: (T, Q)."""
    return tokens.astype(np.int64) - n_clusters * np.arange(tokens.shape[1])


def flatten(tokens: np.ndarray) -> np.ndarray:
    """Write the codebooks of each position one after the other: (T, Q) to (T Q,)."""
    return tokens.reshape(-1)


def unflatten(tokens: np.ndarray, n_codebooks: int) -> np.ndarray:
    """Undo `flatten`: (T Q,) to (T, Q)."""
    return tokens.reshape(-1, n_codebooks)


def delay(tokens: np.ndarray, pad: int) -> np.ndarray:
    """Move codebook q by q positions, so that a model predicts it knowing the ones before.

    This is the delay pattern of MusicGen (Copet et al. 2023, arxiv.org/abs/2306.05284).

    Args:
        tokens: (T, Q)
        pad: The number where a codebook has not begun, or has ended.

    Returns:
        int64 (T + Q - 1, Q)
    """
    n_positions, n_codebooks = tokens.shape
    delayed = np.full((n_positions + n_codebooks - 1, n_codebooks), pad, np.int64)
    for q in range(n_codebooks):
        delayed[q : q + n_positions, q] = tokens[:, q]
    return delayed


def undelay(tokens: np.ndarray) -> np.ndarray:
    """Undo `delay`: (T + Q - 1, Q) to (T, Q)."""
    n_positions, n_codebooks = len(tokens) - tokens.shape[1] + 1, tokens.shape[1]
    return np.stack([tokens[q : q + n_positions, q] for q in range(n_codebooks)], 1)


def units(tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Write each stretch of equal positions once: tokens (T, Q) to units (U, Q) and run lengths (U,)."""
    begins = np.ones(len(tokens), bool)
    begins[1:] = (tokens[1:] != tokens[:-1]).any(1)
    starts = np.flatnonzero(begins)
    return tokens[starts], np.diff(np.append(starts, len(tokens)))


def ununit(found: np.ndarray, runs: np.ndarray) -> np.ndarray:
    """Undo `units`: (U, Q) and (U,) to (T, Q)."""
    return np.repeat(found, runs, 0)
