"""An uninitialised BERT that reads a clip as a sentence.

Source: J. Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers for Language
Understanding", NAACL 2019; the layers are transformers' `BertModel`, built from its configuration.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from transformers import BertConfig, BertModel

from audiotok.errors import UserError

PAD, CLS = range(2)
N_SPECIAL = 2  # [PAD] and [CLS] come before the tokens of the codebooks
_LEAST_PRIOR = 1e-3  # what a class that training never hears begins at


class Bert(nn.Module):
    """Sum the embeddings of a position's Q tokens, read all positions, pool them, and map to logits.

    Args:
        num_layers: Transformer layers.
        hidden_size: Width of a position.
        num_heads: Attention heads; must divide the width.
        intermediate_size: Width of a layer's inner product; None for 4 times the width.
        max_position_embeddings: Most positions that can be read, [CLS] included.
        dropout: Share of activations dropped, in embeddings, layers and before the logits.
        attention_dropout: Share of attention weights dropped.
        pooling: What the logits are made from: "cls", the [CLS] position, or "mean", all positions.
        embedding: What a token's vector begins at: "random", or "centroids", the projected centroid, so that
            tokens that sound alike begin alike.
        start_at_prior: Begin with the logits of how often each class is heard, so that training does not
            spend its first steps on that (T. Lin et al., "Focal Loss for Dense Object Detection", ICCV
            2017); false begins at probabilities of 0.5.
        n_codebooks: Tokens at a position, Q.
        n_clusters: Centroids per codebook, K.
        n_tokens: Positions that a clip takes, T, [CLS] not counted.
        n_classes: Logits, C.

    Raises:
        UserError: The numbers contradict each other, or a clip is longer than the positions.
    """

    offsets: Tensor

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
        pooling: Literal["cls", "mean"],
        embedding: Literal["random", "centroids"],
        start_at_prior: bool,
        n_codebooks: int,
        n_clusters: int,
        n_tokens: int,
        n_classes: int,
    ) -> None:
        super().__init__()
        intermediate_size = 4 * hidden_size if intermediate_size is None else intermediate_size
        _check_sizes(
            num_layers=num_layers,
            hidden_size=hidden_size,
            num_heads=num_heads,
            intermediate_size=intermediate_size,
        )
        _check_shares(dropout=dropout, attention_dropout=attention_dropout)
        _check_positions(max_position_embeddings, n_tokens)
        self.pooling, self.embedding, self.start_at_prior = pooling, embedding, start_at_prior
        self.n_codebooks, self.n_clusters = n_codebooks, n_clusters
        config = BertConfig(
            vocab_size=N_SPECIAL + n_codebooks * n_clusters,
            hidden_size=hidden_size,
            num_hidden_layers=num_layers,
            num_attention_heads=num_heads,
            intermediate_size=intermediate_size,
            max_position_embeddings=max_position_embeddings,
            hidden_dropout_prob=dropout,
            attention_probs_dropout_prob=attention_dropout,
            pad_token_id=PAD,
        )
        self.bert = BertModel(config, add_pooling_layer=False)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(hidden_size, n_classes)
        nn.init.normal_(self.classifier.weight, std=config.initializer_range)
        nn.init.zeros_(self.classifier.bias)
        offsets = N_SPECIAL + n_clusters * torch.arange(n_codebooks)
        self.register_buffer("offsets", offsets, persistent=False)

    @property
    def vocab_size(self) -> int:
        """Rows of the embedding: all codebooks' centroids and the special tokens."""
        return self.bert.config.vocab_size

    @torch.no_grad()
    def start_from(self, centroids: Tensor, class_prior: Tensor) -> None:
        """Take from the training clips what the weights begin at, where the configuration says so.

        A random projection keeps the distances between centroids (W. Johnson, J. Lindenstrauss, 1984).

        Args:
            centroids: (Q, K, dimensions of a codebook)
            class_prior: Share of the training clips in which each class is heard, (C,).
        """
        if self.embedding == "centroids":
            centred = centroids - centroids.mean(1, keepdim=True)
            projections = torch.randn(*centroids.shape[::2], self.bert.config.hidden_size)
            rows = (centred.cpu() @ projections).flatten(0, 1)  # (Q * K, hidden)
            scale = self.bert.config.initializer_range / rows.std().clamp(min=1e-12)
            self.bert.embeddings.word_embeddings.weight[N_SPECIAL:] = rows * scale
        if self.start_at_prior:
            self.classifier.bias.copy_(class_prior.clamp(_LEAST_PRIOR, 1 - _LEAST_PRIOR).logit())

    def embed(self, tokens: Tensor) -> Tensor:
        """Sum the embeddings of tokens (B, T, Q) and put [CLS] before them: (B, 1 + T, hidden)."""
        table = self.bert.embeddings.word_embeddings
        words = nn.functional.embedding_bag(
            (tokens + self.offsets).flatten(0, 1), table.weight, mode="sum"
        ).unflatten(0, tokens.shape[:2])
        start = table.weight[CLS].expand(len(tokens), 1, -1)
        return torch.cat([start, words], 1)

    def forward(self, tokens: Tensor, n_tokens: Tensor) -> Tensor:
        """Read a batch.

        Args:
            tokens: (B, T, Q)
            n_tokens: (B,), positions that are not padding; what lies behind them changes nothing.

        Returns:
            Logits (B, C).
        """
        positions = torch.arange(1 + tokens.shape[1], device=tokens.device)
        mask = positions <= n_tokens[:, None]  # (B, 1 + T), [CLS] first
        states = self.bert(inputs_embeds=self.embed(tokens), attention_mask=mask.long()).last_hidden_state
        return self.classifier(self.dropout(self._pool(states, mask)))

    def _pool(self, states: Tensor, mask: Tensor) -> Tensor:
        if self.pooling == "cls":
            return states[:, 0]
        weights = mask.to(states.dtype)[..., None]
        return (states * weights).sum(1) / weights.sum(1)


def _check_sizes(**sizes: int) -> None:
    for key, value in sizes.items():
        if value < 1:
            raise UserError(f"model.{key}={value} is too small; choose 1 or more.")
    if sizes["hidden_size"] % sizes["num_heads"]:
        raise UserError(
            f"model.hidden_size={sizes['hidden_size']} is not a multiple of "
            f"model.num_heads={sizes['num_heads']}; change one."
        )


def _check_shares(**shares: float) -> None:
    for key, share in shares.items():
        if not 0 <= share < 1:
            raise UserError(f"model.{key}={share} is no share; choose 0 or more, and less than 1.")


def _check_positions(max_position_embeddings: int, n_tokens: int) -> None:
    if max_position_embeddings < n_tokens + 1:
        raise UserError(
            f"model.max_position_embeddings={max_position_embeddings} is smaller than the {n_tokens} tokens "
            "and [CLS] that a clip gives; raise it, or raise features.hop_length or features.stride."
        )
