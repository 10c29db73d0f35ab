"""What each token sounds like, as a spectrum: of the frame that it stands for, or of clips that have it."""

import numpy as np
import torch

from audiotok.clustering.codebooks import Codebooks
from audiotok.tokens.quantizer import TOKEN_NOISE, Quantizer

_TOGETHER = 512  # frames that are turned back at a time


@torch.no_grad()
def decoded_spectra(quantizer: Quantizer) -> np.ndarray | None:
    """Return the analysis that each token stands for, other codebooks being at their mean.

    Args:
        quantizer: Fitted.

    Returns:
        float32 (Q, K, bins); None where the features cannot be turned back.
    """
    features = quantizer.features
    if not features.invertible:
        return None
    frames = token_frames(quantizer.codebooks)
    made = [
        features.unproject(part[:, None], torch.ones(len(part), dtype=torch.long), TOKEN_NOISE).mean(1)
        for part in frames.flatten(0, 1).split(_TOGETHER)
    ]
    return torch.cat(made).unflatten(0, frames.shape[:2]).float().numpy()


@torch.no_grad()
def token_frames(codebooks: Codebooks) -> torch.Tensor:
    """Return the frame that each token stands for, other codebooks being at their mean: (Q, K, D).

    It is exact where a decoded frame is a sum over codebooks, as of product and residual ones.
    """
    n_books, n_clusters = codebooks.n_codebooks, codebooks.n_clusters
    alone = torch.zeros(n_books, n_clusters, n_books, dtype=torch.long)
    for book in range(n_books):
        alone[book, :, book] = torch.arange(n_clusters)
    decoded = torch.stack([codebooks.decode(tokens) for tokens in alone])  # others at their first centroid
    parts = decoded - decoded.mean(1, keepdim=True)
    mean = decoded[0, 0] + (decoded.mean(1) - decoded[:, 0]).sum(0)
    return mean + parts


@torch.no_grad()
def decoded_sound(quantizer: Quantizer, tokens: np.ndarray, like: np.ndarray) -> np.ndarray | None:
    """Return the sound that tokens stand for, as loud as the original: features may have lost its level.

    Args:
        quantizer: Fitted, on the CPU.
        tokens: Of one sound (T, Q).
        like: The original (S,).

    Returns:
        float32 (S,) within -1 .. 1; None where the features cannot be turned back.
    """
    if not quantizer.features.invertible:
        return None
    made = quantizer.resynthesize(torch.from_numpy(tokens)[None].long(), torch.tensor([len(tokens)]))[0]
    sound = made.float().numpy()[: len(like)]
    sound = np.pad(sound, (0, len(like) - len(sound)))
    level = np.sqrt(np.square(like, dtype=np.float64).mean() / max(np.square(sound).mean(), 1e-20))
    return (sound * level).clip(-1, 1).astype(np.float32)


class MeanSpectra:
    """The mean spectrum of the moments at which each token occurs, added up clip by clip.

    Args:
        n_codebooks: Q.
        n_clusters: K.
        n_bins: Of a spectrum.
    """

    def __init__(self, n_codebooks: int, n_clusters: int, n_bins: int) -> None:
        self.counts = np.zeros((n_codebooks, n_clusters), np.int64)
        self._sums = np.zeros((n_codebooks, n_clusters, n_bins))

    def add(self, spectra: np.ndarray, tokens: np.ndarray) -> None:
        """Add a clip: the spectrum at each token (T, bins), and tokens (T, Q)."""
        for book, codes in enumerate(tokens.T):
            np.add.at(self._sums[book], codes, spectra)
            np.add.at(self.counts[book], codes, 1)

    def mean(self) -> np.ndarray:
        """Return float32 (Q, K, bins); NaN for a token that never occurred."""
        with np.errstate(invalid="ignore"):
            return (self._sums / self.counts[..., None]).astype(np.float32)
