"""The layers of BERT, from vectors of positions to states: no word embeddings, no pooling.

Outputs equal those of transformers' `BertModel` for the same weights, which have the same names; a test holds
the two together. Written out here are only the steps that this package needs. `BertModel` also inspects every
mask, which waits for a GPU. Attention is one fused kernel, and dropout is the fast one of `dropout.py`.

Source: J. Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers for Language
Understanding", NAACL 2019.
"""

from collections import OrderedDict

from torch import Tensor, nn
from torch.nn import functional as F

from audiotok.model.dropout import ClipDropout, Dropout

_EPSILON = 1e-12  # of layer norms
_N_TYPES = 2  # kinds of sentences that BERT knows; every position here is of the first


class BertLayers(nn.Module):
    """Add position embeddings to vectors and run them through the layers.

    The names of parts, here and below, are those of transformers, so that checkpoints fit both.

    Args:
        num_layers: Transformer layers.
        hidden_size: Width of a position, H.
        num_heads: Attention heads; must divide the width.
        intermediate_size: Width of a layer's inner product.
        max_position_embeddings: Most positions that can be read, N.
        dropout: Share of activations dropped, in embeddings and layers.
        attention_dropout: Share of attention weights dropped.
        stochastic_depth: Share of clips that skip the last layer in training; earlier layers are skipped
            less, in proportion (G. Huang et al., "Deep Networks with Stochastic Depth", ECCV 2016).
    """

    def __init__(
        self,
        *,
        num_layers: int,
        hidden_size: int,
        num_heads: int,
        intermediate_size: int,
        max_position_embeddings: int,
        dropout: float,
        attention_dropout: float,
        stochastic_depth: float,
    ) -> None:
        super().__init__()
        self.embeddings = _Embeddings(max_position_embeddings, hidden_size, dropout)
        layers = nn.ModuleList(
            _Layer(
                hidden_size,
                num_heads,
                intermediate_size,
                dropout,
                attention_dropout,
                stochastic_depth * number / num_layers,
            )
            for number in range(1, num_layers + 1)
        )
        self.encoder = nn.ModuleDict({"layer": layers})

    @property
    def layers(self) -> nn.ModuleList:
        """The transformer layers, first to last."""
        return self.encoder["layer"]  # type: ignore[return-value]

    def forward(self, vectors: Tensor, inside: Tensor) -> Tensor:
        """Read vectors (B, N, H), of which those inside (B, N) count; return states (B, N, H)."""
        states = self.embeddings(vectors)
        mask = inside[:, None, None]  # (B, heads, queries, keys)
        for layer in self.layers:
            states = layer(states, mask)
        return states


class _Embeddings(nn.Module):
    """Add to each vector the embedding of its position."""

    def __init__(self, max_position_embeddings: int, hidden_size: int, dropout: float) -> None:
        super().__init__()
        self.position_embeddings = nn.Embedding(max_position_embeddings, hidden_size)
        self.token_type_embeddings = nn.Embedding(_N_TYPES, hidden_size)
        self.LayerNorm = nn.LayerNorm(hidden_size, eps=_EPSILON)
        self.dropout = Dropout(dropout)

    def forward(self, vectors: Tensor) -> Tensor:
        """Return vectors (B, N, H) that know their positions."""
        places = (
            self.position_embeddings.weight[: vectors.shape[1]] + self.token_type_embeddings.weight[0]
        )  # (N, H)
        return self.dropout(self.LayerNorm(vectors + places))


class _Layer(nn.Module):
    """Attention over all positions, then two linear layers at each; both are added to what came in."""

    def __init__(
        self,
        hidden_size: int,
        num_heads: int,
        intermediate_size: int,
        dropout: float,
        attention_dropout: float,
        stochastic_depth: float,
    ) -> None:
        super().__init__()
        self.attention = nn.ModuleDict(
            {
                "self": _SelfAttention(hidden_size, num_heads, attention_dropout),
                "output": _AddAndNorm(hidden_size, hidden_size, dropout),
            }
        )
        self.intermediate = nn.Sequential(
            OrderedDict(dense=nn.Linear(hidden_size, intermediate_size), activation=nn.GELU())
        )
        self.output = _AddAndNorm(intermediate_size, hidden_size, dropout)
        self.skip = ClipDropout(stochastic_depth)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """Map states (B, N, H) to states, looking where the mask (B, 1, 1, N) is true."""
        attended = self.attention["output"](self.attention["self"](states, mask), states)
        after = self.output(self.intermediate(attended), attended)
        if self.training and self.skip.p:
            return states + self.skip(after - states)
        return after


class _SelfAttention(nn.Module):
    """Each head averages the values of all positions, weighted by how their keys fit a query."""

    def __init__(self, hidden_size: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.query = nn.Linear(hidden_size, hidden_size)
        self.key = nn.Linear(hidden_size, hidden_size)
        self.value = nn.Linear(hidden_size, hidden_size)
        self.dropout = Dropout(dropout)  # holds the share; the kernel applies it

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """Return what the heads see (B, N, H), side by side."""
        query, key, value = (
            projection(states).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for projection in (self.query, self.key, self.value)
        )  # (B, heads, N, H / heads)
        share = self.dropout.p if self.training else 0.0
        seen = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=share)
        return seen.transpose(1, 2).flatten(2)


class _AddAndNorm(nn.Module):
    """A linear layer whose output is added to what came in before, and normalised."""

    def __init__(self, n_in: int, hidden_size: int, dropout: float) -> None:
        super().__init__()
        self.dense = nn.Linear(n_in, hidden_size)
        self.LayerNorm = nn.LayerNorm(hidden_size, eps=_EPSILON)
        self.dropout = Dropout(dropout)

    def forward(self, states: Tensor, before: Tensor) -> Tensor:
        """Map states (B, N, n_in) to the width, and add them to those before (B, N, H)."""
        return self.LayerNorm(self.dropout(self.dense(states)) + before)
