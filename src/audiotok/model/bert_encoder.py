"""The encoder of the models `bert` and `frames`: a randomly initialised BERT."""

import torch
from torch import Tensor

from audiotok.errors import UserError
from audiotok.errors.ranges import Count, Layers, ShareBelowOne
from audiotok.model.bert_layers import BertLayers
from audiotok.model.encoder import INIT_STD, Encoder, Pooling
from audiotok.model.model import check_counts, check_shares


class BertEncoder(Encoder):
    """BERT's layers over vectors, with [CLS] before them.

    Args:
        num_layers: Transformer layers.
        hidden_size: Width of a position, H.
        num_heads: Attention heads; must divide the width.
        intermediate_size: Width of a layer's inner product; None for 4 times the width.
        max_position_embeddings: Most positions that can be read, [CLS] included.
        dropout: Share of activations dropped, in embeddings, layers and before the logits.
        attention_dropout: Share of attention weights dropped.
        stochastic_depth: Share of clips that skip the last layer in training; earlier layers are skipped
            less, in proportion.
        pooling: What one vector is made from: "cls", the [CLS] position, "mean" of all positions,
            "attention", a mean with learnt weights, or "mean_max", mean and maximum added up.
        n_positions: Positions that a clip takes, T, [CLS] not counted.

    Raises:
        UserError: The numbers contradict each other, or a clip has more positions than can be read.
    """

    bert: BertLayers

    def __init__(
        self,
        *,
        num_layers: Layers = 2,
        hidden_size: Count = 128,
        num_heads: Count = 4,
        intermediate_size: Count | None = None,
        max_position_embeddings: Count = 512,
        dropout: ShareBelowOne = 0.1,
        attention_dropout: ShareBelowOne = 0.0,
        stochastic_depth: ShareBelowOne = 0.0,
        pooling: Pooling = "mean_max",
        n_positions: int,
    ) -> None:
        intermediate_size = 4 * hidden_size if intermediate_size is None else intermediate_size
        check_counts(
            num_layers=num_layers,
            hidden_size=hidden_size,
            num_heads=num_heads,
            intermediate_size=intermediate_size,
        )
        check_shares(dropout=dropout, attention_dropout=attention_dropout, stochastic_depth=stochastic_depth)
        _check_heads(hidden_size, num_heads)
        _check_positions(max_position_embeddings, n_positions)
        with torch.device("meta"):  # draws no random numbers for weights that are replaced at once
            bert = BertLayers(
                num_layers=num_layers,
                hidden_size=hidden_size,
                num_heads=num_heads,
                intermediate_size=intermediate_size,
                max_position_embeddings=max_position_embeddings,
                dropout=dropout,
                attention_dropout=attention_dropout,
                stochastic_depth=stochastic_depth,
            )
        if not torch.empty(0).is_meta:  # weights that are read from a file need not be drawn
            weights = _initial_weights(
                hidden_size=hidden_size,
                num_hidden_layers=num_layers,
                num_attention_heads=num_heads,
                intermediate_size=intermediate_size,
                max_position_embeddings=max_position_embeddings,
            )
            bert.load_state_dict(weights, assign=True)
        super().__init__(bert, hidden_size=hidden_size, dropout=dropout, pooling=pooling)

    def read(self, vectors: Tensor, inside: Tensor) -> Tensor:
        """Return the states (B, N, H) of vectors (B, N, H), of which those inside (B, N) are not padding."""
        return self.bert(vectors, inside)


def _initial_weights(**sizes: int) -> dict[str, Tensor]:
    """Draw the weights that transformers' `BertModel` begins with.

    The library draws them, so that a seed gives the weights that it gave while the library's model was used.
    """
    from transformers import BertConfig, BertModel  # takes seconds, which tagging need not wait for

    config = BertConfig(vocab_size=1, initializer_range=INIT_STD, **sizes)  # tokens are embedded elsewhere
    weights = BertModel(config, add_pooling_layer=False).state_dict()
    del weights["embeddings.word_embeddings.weight"]
    return weights


def _check_heads(hidden_size: int, num_heads: int) -> None:
    if hidden_size % num_heads:
        raise UserError(
            f"model.hidden_size={hidden_size} is not a multiple of model.num_heads={num_heads}; change one."
        )


def _check_positions(max_position_embeddings: int, n_positions: int) -> None:
    if max_position_embeddings < n_positions + 1:
        raise UserError(
            f"model.max_position_embeddings={max_position_embeddings} is smaller than the {n_positions} "
            "tokens and [CLS] that a clip gives; raise it, or raise features.hop_length or features.stride."
        )
