"""The interface of every model, that of models that can be pretrained, and what models share."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from audiotok.errors import UserError
from audiotok.model.activation import Activation, prior_logits
from audiotok.padding import is_position
from audiotok.tokens.quantizer import Quantizer, Stage


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

    @classmethod
    def of(cls, tokenizer: Quantizer, n_classes: int, clip_seconds: float = 10.0) -> "Sizes":
        """Return the sizes of what a tokenizer makes of clips of a length in s, for so many classes."""
        return cls(
            n_bins=tokenizer.features.n_bins,
            n_dimensions=tokenizer.features.n_dimensions,
            n_codebooks=tokenizer.codebooks.n_codebooks,
            n_clusters=tokenizer.codebooks.n_clusters,
            n_tokens=tokenizer.n_tokens(clip_seconds),
            n_classes=n_classes,
        )


@dataclass(frozen=True, slots=True)
class Start:
    """What the training clips know before training.

    Args:
        centroids: (Q, K, dimensions of a codebook)
        class_prior: Share of the training clips in which each class is heard, (C,).
        activation: How the model's logits become probabilities.
    """

    centroids: Tensor
    class_prior: Tensor
    activation: Activation = "sigmoid"


class Model(nn.Module, ABC):
    """Read a batch of clips in two steps, so that training may mix clips between them.

    Another model is a subclass in a file of its own. It says what it reads, and its constructor takes `sizes`
    and the keys of its YAML.
    """

    # "tokens" (B, T, Q), "frames" (B, T, D), or "analysis", the normalised analysis (B, slices, bins)
    reads: ClassVar[Stage]
    compilable: ClassVar[tuple[str, ...]] = ("embed", "classify")  # methods that `compile=true` compiles
    start_at_prior: bool = False  # whether the first logits are those of how often each class is heard
    last_layer: ClassVar[str] = "classifier"  # the layer whose outputs are the logits
    is_frozen: bool = False  # whether the last layer alone learns

    @abstractmethod
    def embed(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Turn inputs, with lengths (B,) in positions, into vectors (B, ...) that may be mixed.

        Vectors of positions are 0 behind the lengths, so that mixing adds nothing there.
        """

    @abstractmethod
    def classify(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        """Return the logits (B, C) of vectors, of which only the first `lengths` (B,) positions count."""

    @abstractmethod
    def start_from(self, start: Start) -> None:
        """Set initial weights from the training clips, where the configuration says so."""

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Return the logits (B, C) of a batch; padding changes nothing."""
        return self.classify(self.embed(inputs, lengths), lengths)

    def is_last(self, name: str) -> bool:
        """Tell whether a weight of this name in `state_dict` belongs to the last layer."""
        return name.startswith(f"{self.last_layer}.")

    def freeze(self) -> None:
        """Let the last layer alone learn; all others compute as they do after training."""
        self.is_frozen = True
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(self.is_last(name))

    def train(self, mode: bool = True) -> Self:
        """Set training mode; frozen layers stay in that of evaluation, without dropout."""
        super().train(mode)
        if self.is_frozen:
            for name, layer in self.named_children():
                layer.train(mode and name == self.last_layer)
        return self

    def disable_dropout(self) -> None:
        """Set every share of dropout to 0, in training too; override it where layers drop in other ways."""
        for part in self.modules():
            if isinstance(part, nn.Dropout):
                part.p = 0.0
            elif isinstance(part, nn.RNNBase):
                part.dropout = 0.0


class PretrainableModel(Model):
    """A model of tokens that can learn to fill masked ones, before it learns labels."""

    reads = "tokens"
    compilable = ("embed", "classify", "states")

    @property
    @abstractmethod
    def state_size(self) -> int:
        """Width of a state, H."""

    @abstractmethod
    def states(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Return the states (B, T, H) of tokens (B, T, Q), -1 where masked, with lengths (B,)."""

    @abstractmethod
    def is_pretrained(self, name: str) -> bool:
        """Tell whether pretraining learns the weight of this name in `state_dict`."""


class Classifier(nn.Linear):
    """The last layer, in the precision of its weights: bf16 would make logits equal and move the mAP."""

    def forward(self, states: Tensor) -> Tensor:
        """Return the logits (B, C) of states (B, width)."""
        with torch.autocast(states.device.type, enabled=False):
            return super().forward(states.to(self.weight.dtype))


@torch.no_grad()
def start_at_prior(classifier: nn.Linear, start: Start) -> None:
    """Begin with the logits of how often each class is heard, so that training need not learn that first.

    Source: T. Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017.
    """
    classifier.bias.copy_(prior_logits(start.class_prior, start.activation))


def normalize_inside(normalize: nn.BatchNorm1d, inputs: Tensor, lengths: Tensor) -> Tensor:
    """Normalise every dimension of positions (B, T, D), padding left out; padding becomes 0, the mean."""
    inside = is_position(lengths, inputs.shape[1])
    if torch.compiler.is_exporting():  # the number of positions inside is not known then
        return without_padding(normalize(inputs.mT).mT, lengths)
    return torch.zeros_like(inputs).masked_scatter(inside[..., None], normalize(inputs[inside]))


def without_padding(vectors: Tensor, lengths: Tensor) -> Tensor:
    """Set vectors (B, T, width) behind the lengths (B,) to 0."""
    return vectors.masked_fill(~is_position(lengths, vectors.shape[1])[..., None], 0.0)


def check_counts(**counts: int) -> None:
    """Raise `UserError` for a key of the group `model` whose value is below 1."""
    for key, value in counts.items():
        if value < 1:
            raise UserError(f"model.{key}={value} is too small; choose 1 or more.")


def check_shares(**shares: float) -> None:
    """Raise `UserError` for a key of the group `model` whose value is not a share, 0 <= share < 1."""
    for key, share in shares.items():
        if not 0 <= share < 1:
            raise UserError(f"model.{key}={share} is not a share; choose 0 or more, and less than 1.")
