"""One tiny model of each kind, with weights that let every input tell, and inputs for it."""

from typing import Any

import torch
from torch import Tensor, nn

from audiotok.model.bag import Bag
from audiotok.model.bert import Bert
from audiotok.model.cnn import CNN
from audiotok.model.frames import Frames
from audiotok.model.lstm import LSTM
from audiotok.model.model import Model, Sizes, Start

SIZES = Sizes(n_bins=10, n_dimensions=6, n_codebooks=2, n_clusters=20, n_tokens=9, n_classes=5)
LENGTHS = torch.tensor([9, 6, 1])  # positions of a batch of three clips
TRANSFORMER: dict[str, Any] = {
    "num_layers": 2,
    "hidden_size": 16,
    "num_heads": 4,
    "intermediate_size": None,
    "max_position_embeddings": 12,
    "dropout": 0.0,
    "attention_dropout": 0.0,
    "stochastic_depth": 0.0,
    "pooling": "mean",
}
KINDS: dict[str, tuple[type[Model], dict[str, Any]]] = {
    "bert": (Bert, {**TRANSFORMER, "embedding": "random"}),
    "frames": (Frames, TRANSFORMER),
    "bag": (Bag, {"hidden_sizes": [7], "dropout": 0.0}),
    "cnn": (CNN, {"channels": [4, 6], "dropout": 0.0}),
    "lstm": (LSTM, {"num_layers": 2, "hidden_size": 16, "dropout": 0.0, "embedding": "random"}),
}


def build(kind: str, *, sizes: Sizes = SIZES, **changes: object) -> Any:
    """Build a tiny model as it begins."""
    torch.manual_seed(0)
    model, arguments = KINDS[kind]
    return model(**{"start_at_prior": False, **arguments, **changes}, sizes=sizes).eval()


def build_awake(kind: str, *, sizes: Sizes = SIZES, **changes: object) -> Any:
    """Build a tiny model whose weights are so large, and none of them 0, that every input tells."""
    model = build(kind, sizes=sizes, **changes)
    for parameter in model.parameters():
        nn.init.normal_(parameter, mean=float(parameter.ndim == 1), std=0.5)
    for name, buffer in model.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            nn.init.uniform_(buffer, 0.5, 1.5)
    return model


def random_inputs(reads: str, *, sizes: Sizes = SIZES, n_clips: int = 3, seed: int = 1) -> Tensor:
    """Draw what a model reads, all positions of it."""
    generator = torch.Generator().manual_seed(seed)
    if reads == "tokens":
        return torch.randint(
            sizes.n_clusters, (n_clips, sizes.n_tokens, sizes.n_codebooks), generator=generator
        )
    width = sizes.n_dimensions if reads == "frames" else sizes.n_bins
    return torch.randn(n_clips, sizes.n_tokens, width, generator=generator)


def with_other_padding(inputs: Tensor, lengths: Tensor) -> Tensor:
    """Put something else behind the lengths."""
    other = random_inputs("tokens", seed=2) if inputs.dtype == torch.int64 else 50 * torch.randn_like(inputs)
    padding = torch.arange(inputs.shape[1]) >= lengths[:, None]
    return torch.where(padding[..., None], other, inputs)


def random_start(class_prior: Tensor | None = None) -> Start:
    """Return centroids in dB, and a class prior with its extremes."""
    centroids = torch.randn(2, 20, 6, generator=torch.Generator().manual_seed(3))
    prior = torch.tensor([0.5, 0.1, 0.02, 0.0, 1.0]) if class_prior is None else class_prior
    return Start(30 * centroids - 50, prior)
