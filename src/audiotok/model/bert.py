"""An uninitialised BERT that reads a clip as a sentence of tokens."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from audiotok.errors import UserError
from audiotok.model.embedding import TokenEmbedding
from audiotok.model.encoder import Encoder, Pooling
from audiotok.model.model import Sizes, Start, without_padding
from audiotok.model.transformer import Transformer
from audiotok.run.checkpoint import BEST, read_checkpoint


class Bert(Transformer):
    """Sum the embeddings of a position's Q tokens, read all positions, pool them, and map to logits.

    Args:
        num_layers: Transformer layers.
        hidden_size: Width of a position.
        num_heads: Attention heads; must divide the width.
        intermediate_size: Width of a layer's inner product; None for 4 times the width.
        max_position_embeddings: Most positions that can be read, [CLS] included.
        dropout: Share of activations dropped, in embeddings, layers and before the logits.
        attention_dropout: Share of attention weights dropped.
        stochastic_depth: Share of clips that skip the last layer in training.
        pooling: What the logits are made from: "cls", the [CLS] position, "mean" of all positions,
            "attention", a mean with learnt weights, or "mean_max", mean and maximum added up.
        embedding: What a token's vector begins at: "random", or "centroids", the projected centroid, so that
            tokens that sound alike begin alike.
        start_at_prior: Begin with the logits of how often each class is heard; false begins at
            probabilities of 0.5.
        init_from: Folder of a run of `audiotok pretrain` with the same vocabulary, whose weights to begin
            with; None begins anew.
        sizes: Of vocabulary, clip and classes.

    Raises:
        UserError: The numbers contradict each other, or a clip is longer than the positions.
    """

    reads = "tokens"

    def __init__(
        self,
        *,
        num_layers: int,
        hidden_size: int,
        num_heads: int,
        intermediate_size: int | None,
        max_position_embeddings: int,
        dropout: float,
        attention_dropout: float,
        stochastic_depth: float,
        pooling: Pooling,
        embedding: Literal["random", "centroids"],
        start_at_prior: bool,
        init_from: str | None,
        sizes: Sizes,
    ) -> None:
        encoder = Encoder(
            num_layers=num_layers,
            hidden_size=hidden_size,
            num_heads=num_heads,
            intermediate_size=intermediate_size,
            max_position_embeddings=max_position_embeddings,
            dropout=dropout,
            attention_dropout=attention_dropout,
            stochastic_depth=stochastic_depth,
            pooling=pooling,
            n_positions=sizes.n_tokens,
        )
        words = TokenEmbedding(sizes, hidden_size, encoder.initializer_range)
        super().__init__(encoder, dropout, start_at_prior, sizes.n_classes)
        self.words, self.embedding, self.init_from = words, embedding, init_from

    @torch.no_grad()
    def start_from(self, start: Start) -> None:
        """Begin at the projected centroids, the class prior, or the weights of a pretraining run.

        Raises:
            UserError: `init_from` is no pretraining run, or one of another vocabulary or size.
        """
        self.words.start_from(self.embedding, start.centroids)
        super().start_from(start)
        if self.init_from is not None:
            self._take_weights(Path(self.init_from), start.vocabulary_key)

    def embed(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Sum the embeddings of tokens (B, T, Q), -1 where masked: (B, T, hidden)."""
        return without_padding(self.words(inputs), lengths)

    def _take_weights(self, run: Path, vocabulary_key: str) -> None:
        given = f"model.init_from={run}"
        if not (run / BEST).is_file():
            raise UserError(
                f"{given} is not the folder of a finished `audiotok pretrain`: it has no {BEST}; "
                "give another, or null."
            )
        checkpoint = read_checkpoint(run, given)
        if "classes" in checkpoint:
            raise UserError(
                f"{given} is a run of `audiotok train`, whose weights have seen labels; give "
                "one of `audiotok pretrain`, or go on with it by ckpt_path."
            )
        key = checkpoint.get("vocabulary_key")
        if key is None:
            raise UserError(f"{given} holds no checkpoint of `audiotok pretrain`; give another, or null.")
        if key != vocabulary_key:
            raise UserError(
                f"{given} was pretrained with the centroids {key}, and these settings and "
                f"clips give {vocabulary_key}; use the features, clustering, data and seed of that run."
            )
        weights = _pretrained(checkpoint["state_dict"], "model.")
        if _shapes(weights) != _shapes(_pretrained(self.state_dict(), "")):
            raise UserError(f"{given} has another model than is configured; use the model of that run.")
        self.load_state_dict(weights, strict=False)


def _pretrained(weights: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Select what pretraining learns: pooling and classifier begin anew."""
    parts = ("encoder.bert.", "encoder.cls", "words.")
    names = {name.removeprefix(prefix): name for name in weights if name.startswith(prefix)}
    return {short: weights[name] for short, name in names.items() if short.startswith(parts)}


def _shapes(weights: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    return {name: weight.shape for name, weight in weights.items()}
