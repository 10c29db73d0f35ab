"""The transformer that reads a clip, whatever its positions are made of, and pools it into one vector.

Source: J. Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers for Language
Understanding", NAACL 2019. The weights are those of transformers' `BertModel`, built from its configuration;
how they are read is written out here, without what makes `BertModel` serve for everything else: it looks into
every mask, which waits for a GPU.
"""

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import BertConfig, BertModel

from audiotok.errors import UserError
from audiotok.model.dropout import Dropout
from audiotok.model.model import check_counts, check_shares
from audiotok.padding import is_position

Pooling = Literal["cls", "mean", "attention", "mean_max"]


class Encoder(nn.Module):
    """BERT's layers over vectors, with [CLS] before them.

    Args:
        num_layers: Transformer layers.
        hidden_size: Width of a position, H.
        num_heads: Attention heads; must divide the width.
        intermediate_size: Width of a layer's inner product; None for 4 times the width.
        max_position_embeddings: Most positions that can be read, [CLS] included.
        dropout: Share of activations dropped, in embeddings and layers.
        attention_dropout: Share of attention weights dropped.
        stochastic_depth: Share of clips that skip the last layer in training; earlier layers are skipped
            less, in proportion (G. Huang et al., "Deep Networks with Stochastic Depth", ECCV 2016).
        pooling: "cls", the [CLS] position; "mean" of all positions; "attention", a mean with learnt weights;
            "mean_max", the mean and the maximum of every dimension, added up (Q. Kong et al., "PANNs", TASLP
            2020): what lasts counts, and so does what is heard once.
        n_positions: Positions that a clip takes, T, [CLS] not counted.

    Raises:
        UserError: The numbers contradict each other, or a clip is longer than the positions.
    """

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
        n_positions: int,
    ) -> None:
        super().__init__()
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
        config = BertConfig(
            vocab_size=1,  # words are embedded elsewhere
            hidden_size=hidden_size,
            num_hidden_layers=num_layers,
            num_attention_heads=num_heads,
            intermediate_size=intermediate_size,
            max_position_embeddings=max_position_embeddings,
            hidden_dropout_prob=dropout,
            attention_probs_dropout_prob=attention_dropout,
        )
        self.bert = BertModel(config, add_pooling_layer=False)
        self.bert.embeddings.word_embeddings = None
        for part in list(self.bert.modules()):
            for name, child in part.named_children():
                if isinstance(child, nn.Dropout):
                    setattr(part, name, Dropout(child.p))
        self.cls = nn.Parameter(torch.randn(hidden_size) * config.initializer_range)
        self.pooling = pooling
        self.attention = nn.Linear(hidden_size, 1, bias=False) if pooling == "attention" else None
        self.stochastic_depth = stochastic_depth

    @property
    def hidden_size(self) -> int:
        """Width of a position, H."""
        return self.bert.config.hidden_size

    @property
    def initializer_range(self) -> float:
        """Deviation of BERT's weights at the start."""
        return self.bert.config.initializer_range

    def states(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        """Read vectors (B, T, H) of which `lengths` (B,) count; return states (B, 1 + T, H), [CLS] first."""
        embeddings: Any = self.bert.embeddings
        layers = self.bert.encoder.layer
        start = self.cls.to(vectors.dtype).expand(len(vectors), 1, -1)
        inputs = torch.cat([start, vectors], 1)  # (B, 1 + T, H)
        n_positions = inputs.shape[1]
        places = (
            embeddings.position_embeddings.weight[:n_positions] + embeddings.token_type_embeddings.weight[0]
        )
        states = embeddings.dropout(embeddings.LayerNorm(inputs + places))
        mask = is_position(lengths + 1, n_positions)[:, None, None]  # (B, heads, queries, keys)
        for number, layer in enumerate(layers, start=1):
            before, states = states, _read(layer, states, mask)
            if self.training and self.stochastic_depth:
                states = _skip(before, states, self.stochastic_depth * number / len(layers))
        return states

    def forward(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        """Read vectors (B, T, H) of which `lengths` (B,) count, and pool them: (B, H)."""
        states = self.states(vectors, lengths)
        if self.pooling == "cls":
            return states[:, 0]
        mask = is_position(lengths + 1, states.shape[1])[..., None]
        if self.attention is None:
            weights = mask / (lengths + 1)[:, None, None]
        else:
            weights = self.attention(states).float().masked_fill(~mask, -torch.inf).softmax(1)
        pooled = (states * weights.to(states.dtype)).sum(1)
        if self.pooling == "mean_max":
            pooled = pooled + states.masked_fill(~mask, -torch.inf).amax(1)
        return pooled


def _read(layer: Any, states: Tensor, mask: Tensor) -> Tensor:
    """Run one of BERT's layers over states (B, 1 + T, H)."""
    attention = layer.attention.self

    def by_head(projection: nn.Module) -> Tensor:
        """Project states to (B, heads, 1 + T, H / heads)."""
        return projection(states).unflatten(-1, (attention.num_attention_heads, -1)).transpose(1, 2)

    query, key, value = by_head(attention.query), by_head(attention.key), by_head(attention.value)
    dropout = attention.dropout.p if layer.training else 0.0
    seen = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout)
    seen = seen.transpose(1, 2).flatten(2)
    states = layer.attention.output(seen, states)
    return layer.output(layer.intermediate(states), states)


def _skip(before: Tensor, after: Tensor, share: float) -> Tensor:
    """Let a share of the clips skip a layer; the others' change is scaled up."""
    kept = torch.rand(len(before), 1, 1, device=before.device) >= share
    return before + kept * (after - before) / (1 - share)


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
