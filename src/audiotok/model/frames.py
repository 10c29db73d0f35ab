"""The same BERT on continuous frames: what tokens lose."""

from typing import Annotated, Any

from torch import Tensor, nn

from audiotok.model.bert_encoder import BertEncoder
from audiotok.model.model import Sizes, normalize_inside, without_padding
from audiotok.model.transformer import Transformer


class Frames(Transformer):
    """Normalise every dimension of frames, project them to the width, read, pool, and map to logits.

    Args:
        start_at_prior: Begin with the logits of how often each class is heard; false begins at
            probabilities of 0.5.
        sizes: Of frames, clip and classes.
        encoder: Arguments of `BertEncoder`: number and width of layers, dropout, pooling.

    Raises:
        UserError: The numbers contradict each other, or a clip has more positions than can be read.
    """

    reads = "frames"

    def __init__(
        self,
        *,
        start_at_prior: bool = True,
        sizes: Sizes,
        **encoder: Annotated[Any, BertEncoder],
    ) -> None:
        built = BertEncoder(**encoder, n_positions=sizes.n_tokens)
        normalize = nn.BatchNorm1d(sizes.n_dimensions)
        project = nn.Linear(sizes.n_dimensions, built.hidden_size)
        super().__init__(built, start_at_prior=start_at_prior, sizes=sizes)
        self.normalize, self.project = normalize, project

    def embed(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Project frames (B, T, D): (B, T, hidden)."""
        return without_padding(self.project(normalize_inside(self.normalize, inputs, lengths)), lengths)
