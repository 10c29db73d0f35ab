"""Measures of a vocabulary: how its centroids are used, and how much of the frames its tokens keep."""

import torch
from torch import Tensor

from audiotok.clustering.codebooks import PART, Codebooks

REPORTED = {  # about the frames that the codebooks were fitted to
    "n_clips",
    "n_frames",
    "variance_kept",  # 1 if decoded tokens equal the frames, 0 if they are no better than the mean frame
    "centroids_used",  # share over all codebooks
    "dead_centroids",  # number in each codebook that no frame is assigned to
    "perplexity",  # mean over the codebooks
    "perplexity_per_codebook",
    "seconds",  # of sampling and fitting
}


def measure(codebooks: Codebooks, frames: Tensor) -> dict[str, object]:
    """Measure codebooks on the frames (N, D) that they were fitted to."""
    tokens = codebooks.encode_sample(frames)  # (N, Q)
    counts = token_counts(tokens, codebooks.n_clusters)
    used, perplexity = token_use(counts)
    return {
        "variance_kept": round(variance_kept(frames, tokens, codebooks), 4),
        "centroids_used": round(used, 4),
        "dead_centroids": (counts == 0).sum(1).tolist(),
        "perplexity": round(perplexity, 2),
        "perplexity_per_codebook": [round(value, 2) for value in perplexities(counts).tolist()],
    }


def variance_kept(frames: Tensor, tokens: Tensor, codebooks: Codebooks) -> float:
    """Return the share of the variance of frames (N, D) that their tokens (N, Q) explain.

    It is 1 if decoded tokens equal the frames, and 0 if they are no better than the mean frame.
    """
    mean, residual, total = frames.mean(0), 0.0, 0.0
    for part, chosen in zip(frames.split(PART), tokens.split(PART), strict=True):
        residual += (part - codebooks.decode(chosen)).square().sum().item()
        total += (part - mean).square().sum().item()
    return 1 - residual / max(total, 1e-12)


def token_counts(tokens: Tensor, n_clusters: int) -> Tensor:
    """Count the tokens of each codebook by centroid, without masked ones: (N, Q) to (Q, K)."""
    return torch.stack([codes[codes >= 0].bincount(minlength=n_clusters) for codes in tokens.T])


def token_use(counts: Tensor) -> tuple[float, float]:
    """Return the share of centroids that occur and the mean perplexity of the codebooks.

    Args:
        counts: (Q, K)
    """
    return float((counts > 0).double().mean()), float(perplexities(counts).mean())


def perplexities(counts: Tensor) -> Tensor:
    """Return the perplexity of each codebook, exp(-Σ p log p): counts (Q, K) to (Q,), float64.

    It is K if all centroids are used equally, 1 if only one is used.
    """
    shares = counts.double() / counts.sum(1, keepdim=True).clamp(min=1)
    entropy = -(shares * shares.clamp(min=1e-300).log()).sum(1)
    return entropy.exp()
