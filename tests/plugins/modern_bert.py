"""ModernBERT in place of BERT: the library's model, called as it is.

Source: B. Warner et al., "Smarter, Better, Faster, Longer: A Modern Bidirectional Encoder for Fast, Memory
Efficient, and Long Context Finetuning and Inference", 2024.
"""

from torch import Tensor
from transformers import ModernBertConfig, ModernBertModel

from audiotok.model.encoder import Encoder, Pooling
from audiotok.model.model import Sizes
from audiotok.model.transformer import TokenTransformer


class ModernBertEncoder(Encoder):
    """ModernBERT's layers over vectors, with [CLS] before them."""

    def read(self, vectors: Tensor, inside: Tensor) -> Tensor:
        """Return the states (B, N, H) of vectors (B, N, H), of which those inside (B, N) are not padding."""
        return self.bert(inputs_embeds=vectors, attention_mask=inside.long()).last_hidden_state


class ModernBert(TokenTransformer):
    """Sum the embeddings of a position's tokens, let ModernBERT read them, pool, and map to logits.

    Args:
        num_layers: Transformer layers.
        hidden_size: Width of a position.
        num_heads: Attention heads.
        dropout: Share of activations dropped.
        pooling: What the logits are made from.
        sizes: Of vocabulary, clip and classes.
    """

    def __init__(
        self,
        *,
        num_layers: int = 2,
        hidden_size: int = 128,
        num_heads: int = 4,
        dropout: float = 0.1,
        pooling: Pooling = "mean_max",
        sizes: Sizes,
    ) -> None:
        config = ModernBertConfig(
            vocab_size=1,
            pad_token_id=0,
            hidden_size=hidden_size,
            intermediate_size=2 * hidden_size,
            num_hidden_layers=num_layers,
            num_attention_heads=num_heads,
            max_position_embeddings=sizes.n_tokens + 1,
            embedding_dropout=dropout,
            mlp_dropout=dropout,
        )
        encoder = ModernBertEncoder(
            ModernBertModel(config), hidden_size=hidden_size, dropout=dropout, pooling=pooling
        )
        super().__init__(encoder, embedding="centroids", start_at_prior=True, sizes=sizes)
