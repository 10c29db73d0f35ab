"""Measures of a vocabulary: how its centroids are used, and how much of the frames its tokens keep."""

import torch
from torch import Tensor

from audiotok.clustering.codebooks import PART, Codebooks
from audiotok.padding import is_position

_HEARD_DB = 40.0  # range below the loudest bin of a clip that a spectral distance is over, dB
REPORTED = {  # about the frames that the codebooks were fitted to
    "n_clips",
    "n_frames",
    "variance_kept",  # 1 if decoded tokens equal the frames, 0 if the mean frame fits as well
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

    It is 1 if decoded tokens equal the frames, and 0 if the mean frame fits them as well.
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


def spectral_distance(mel: Tensor, other: Tensor, n_slices: Tensor) -> float:
    """Return the log-spectral distance of mel frames in dB, averaged over clips, dB.

    Of a clip it is √(mean (a − b)²) over all bins of all mel frames: a is the level below the loudest bin, no
    lower than −40 dB, and b the other's, raised so that its mean is that of a over the bins above −40 dB, and
    limited as well. Loudness, and what cannot be heard beside the loudest, do not count.
    Source, for spectra of one frame: A. Gray, J. Markel, "Distance measures for speech processing", 1976.

    Args:
        mel: (B, slices, M), dB.
        other: (B, slices or more, M), dB.
        n_slices: (B,), slices of each that are not padding.
    """
    counts = is_position(n_slices, mel.shape[1])[..., None]
    one, two = mel.float(), other[:, : mel.shape[1]].float()
    one = one - one.masked_fill(~counts, -torch.inf).amax((1, 2), keepdim=True)
    heard = counts & (one > -_HEARD_DB)
    two = two + ((one - two) * heard).sum((1, 2), keepdim=True) / heard.sum((1, 2), keepdim=True).clamp(min=1)
    one, two = one.clamp(min=-_HEARD_DB), two.clamp(min=-_HEARD_DB)
    squares = ((one - two).square() * counts).sum((1, 2))
    return float((squares / (n_slices * mel.shape[2]).clamp(min=1)).sqrt().mean())
