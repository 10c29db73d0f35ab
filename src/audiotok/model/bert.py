"""A randomly initialised BERT that reads a clip as a sentence of tokens."""

from typing import Annotated, Any, Literal

from audiotok.model.bert_encoder import BertEncoder
from audiotok.model.model import Sizes
from audiotok.model.transformer import TokenTransformer


class Bert(TokenTransformer):
    """Sum the embeddings of a position's Q tokens, read all positions, pool them, and map to logits.

    Args:
        embedding: What a token's vector begins at: "random", or "centroids", the projected centroid, so that
            tokens that sound alike begin alike.
        start_at_prior: Begin with the logits of how often each class is heard; false begins at
            probabilities of 0.5.
        sizes: Of vocabulary, clip and classes.
        encoder: Arguments of `BertEncoder`: number and width of layers, dropout, pooling.

    Raises:
        UserError: The numbers contradict each other, or a clip has more positions than can be read.
    """

    def __init__(
        self,
        *,
        embedding: Literal["random", "centroids"] = "centroids",
        start_at_prior: bool = True,
        sizes: Sizes,
        **encoder: Annotated[Any, BertEncoder],
    ) -> None:
        super().__init__(
            BertEncoder(**encoder, n_positions=sizes.n_tokens),
            embedding=embedding,
            start_at_prior=start_at_prior,
            sizes=sizes,
        )
