"""The same BERT on the continuous frames: what tokens lose."""

from torch import Tensor, nn

from audiotok.model.encoder import Encoder, Pooling
from audiotok.model.model import Sizes, normalize_inside, without_padding
from audiotok.model.transformer import Transformer


class Frames(Transformer):
    """Normalise every dimension of frames, project them to the width, read, pool, and map to logits.

    Args:
        num_layers: Transformer layers.
        hidden_size: Width of a position.
        num_heads: Attention heads; must divide the width.
        intermediate_size: Width of a layer's inner product; None for 4 times the width.
        max_position_embeddings: Most positions that can be read, [CLS] included.
        dropout: Share of activations dropped, in embeddings, layers and before the logits.
        attention_dropout: Share of attention weights dropped.
        stochastic_depth: Share of clips that skip the last layer in training.
        pooling: What the logits are made from: "cls", "mean", "attention" or "mean_max".
        start_at_prior: Begin with the logits of how often each class is heard.
        sizes: Of frames, clip and classes.

    Raises:
        UserError: The numbers contradict each other, or a clip is longer than the positions.
    """

    reads = "frames"

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
        start_at_prior: bool,
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
        normalize = nn.BatchNorm1d(sizes.n_dimensions)
        project = nn.Linear(sizes.n_dimensions, hidden_size)
        super().__init__(encoder, dropout, start_at_prior, sizes.n_classes)
        self.normalize, self.project = normalize, project

    def embed(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Project frames (B, T, D): (B, T, hidden)."""
        return without_padding(self.project(normalize_inside(self.normalize, inputs, lengths)), lengths)
