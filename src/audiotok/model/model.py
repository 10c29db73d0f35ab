"""The interface of every model: what it reads, what it makes of it, and what its weights begin at."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from audiotok.errors import UserError
from audiotok.padding import is_position
from audiotok.tokens.tokenizer import Stage

_LEAST_PRIOR = 1e-3  # what a class that training never hears begins at


@dataclass(frozen=True, slots=True)
class Sizes:
    """What a model must know of its inputs and outputs; derived, never configured.

    Args:
        n_bins: Values in a slice of the analysis: mel bins, M.
        n_dimensions: Dimensions of a frame, D.
        n_codebooks: Tokens at a position, Q.
        n_clusters: Centroids per codebook, K.
        n_tokens: Positions that a clip takes, T.
        n_classes: Logits, C.
    """

    n_bins: int
    n_dimensions: int
    n_codebooks: int
    n_clusters: int
    n_tokens: int
    n_classes: int


@dataclass(frozen=True, slots=True)
class Start:
    """What the training clips know before training.

    Args:
        centroids: (Q, K, dimensions of a codebook)
        class_prior: Share of the training clips in which each class is heard, (C,).
        vocabulary_key: Key of the centroids.
    """

    centroids: Tensor
    class_prior: Tensor
    vocabulary_key: str


class Model(nn.Module, ABC):
    """Read a batch of clips in two steps, so that training may mix clips between them.

    Another model is a subclass in a file of its own: it says what it reads, and takes `sizes` beside the
    keys of its YAML.
    """

    # "tokens" (B, T, Q), "frames" (B, T, D), or "analysis", the normalised analysis (B, slices, bins)
    reads: ClassVar[Stage]

    @abstractmethod
    def embed(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Turn what is read, with its lengths (B,) in positions, into vectors (B, ...) that may be mixed.

        Where vectors are of positions, those behind the lengths are 0, so that mixing adds nothing there.
        """

    @abstractmethod
    def classify(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        """Return the logits (B, C) of vectors, of which only the first `lengths` (B,) positions count."""

    @abstractmethod
    def start_from(self, start: Start) -> None:
        """Take over what the weights begin at, where the configuration says so."""

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Return the logits (B, C) of a batch; what lies behind the lengths changes nothing."""
        return self.classify(self.embed(inputs, lengths), lengths)


class Classifier(nn.Linear):
    """The last layer, in the precision of its weights: logits in bf16 tie, and move the mAP."""

    def forward(self, states: Tensor) -> Tensor:
        """Return the logits (B, C) of states (B, width)."""
        with torch.autocast(states.device.type, enabled=False):
            return super().forward(states.to(self.weight.dtype))


@torch.no_grad()
def start_at_prior(classifier: nn.Linear, class_prior: Tensor) -> None:
    """Begin with the logits of how often each class is heard, so that training need not learn that first.

    Source: T. Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017.
    """
    classifier.bias.copy_(prior_logits(class_prior))


def prior_logits(class_prior: Tensor) -> Tensor:
    """Return the logits (C,) of how often each class is heard (C,)."""
    return class_prior.clamp(_LEAST_PRIOR, 1 - _LEAST_PRIOR).logit()


def normalize_inside(normalize: nn.BatchNorm1d, inputs: Tensor, lengths: Tensor) -> Tensor:
    """Normalise every dimension of positions (B, T, D) by those that count; 0, the mean, behind them."""
    inside = is_position(lengths, inputs.shape[1])
    return torch.zeros_like(inputs).masked_scatter(inside[..., None], normalize(inputs[inside]))


def without_padding(vectors: Tensor, lengths: Tensor) -> Tensor:
    """Set vectors (B, T, width) behind the lengths (B,) to 0."""
    return vectors.masked_fill(~is_position(lengths, vectors.shape[1])[..., None], 0.0)


def check_counts(**counts: int) -> None:
    """Raise `UserError` for a key of the group `model` that counts less than one."""
    for key, value in counts.items():
        if value < 1:
            raise UserError(f"model.{key}={value} is too small; choose 1 or more.")


def check_shares(**shares: float) -> None:
    """Raise `UserError` for a key of the group `model` that is no share, 0 <= share < 1."""
    for key, share in shares.items():
        if not 0 <= share < 1:
            raise UserError(f"model.{key}={share} is no share; choose 0 or more, and less than 1.")
