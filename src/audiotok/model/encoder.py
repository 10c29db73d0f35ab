"""The transformer that reads a clip, whatever its positions are made of, and pools it into one vector.

Source: J. Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers for Language
Understanding", NAACL 2019; the layers are transformers' `BertModel`, built from its configuration.
"""

from typing import Any, Literal

import torch
from torch import Tensor, nn
from transformers import BertConfig, BertModel

from audiotok.errors import UserError
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
        self.cls = nn.Parameter(torch.randn(hidden_size) * config.initializer_range)
        self.pooling = pooling
        self.attention = nn.Linear(hidden_size, 1, bias=False) if pooling == "attention" else None
        for i, layer in enumerate(self.bert.encoder.layer, start=1):
            if stochastic_depth:
                layer.register_forward_hook(_StochasticDepth(stochastic_depth * i / num_layers))

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
        start = self.cls.to(vectors.dtype).expand(len(vectors), 1, -1)
        mask = is_position(lengths + 1, 1 + vectors.shape[1])
        inputs = torch.cat([start, vectors], 1)
        return self.bert(inputs_embeds=inputs, attention_mask=mask.long()).last_hidden_state

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


class _StochasticDepth:
    """Let a share of the clips skip a layer in training; the others' change is scaled up."""

    def __init__(self, share: float) -> None:
        self.share = share

    def __call__(self, layer: nn.Module, inputs: tuple[Tensor, ...], outputs: Any) -> Any:
        if not layer.training:
            return None
        before, after = inputs[0], outputs[0] if isinstance(outputs, tuple) else outputs
        kept = torch.rand(len(before), 1, 1, device=before.device) >= self.share
        states = before + kept * (after - before) / (1 - self.share)
        return (states, *outputs[1:]) if isinstance(outputs, tuple) else states


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
