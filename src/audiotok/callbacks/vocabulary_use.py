"""How much of its vocabulary the training clips use, after augmentation."""

from typing import Any

import pytorch_lightning as pl
from torch import Tensor

from audiotok.logger.logger import RunLogger
from audiotok.padding import is_position
from audiotok.tokens.measures import token_counts, token_use


class VocabularyUse(pl.Callback):
    """Log the share of centroids that occur and their perplexity, over all tokens of an epoch.

    Args:
        n_clusters: Centroids per codebook, K.
        logger: Is shown, after training, how often each centroid occurred in the last epoch.
    """

    def __init__(self, n_clusters: int, logger: RunLogger) -> None:
        self.n_clusters, self.logger = n_clusters, logger
        self._counts: Tensor | None = None  # of the epoch so far, (Q, K)
        self._last: Tensor | None = None  # of the last whole epoch, in all processes

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin to count."""
        self._counts = None

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: dict[str, Tensor],
        batch_idx: int,
    ) -> None:
        """Count a batch's tokens, and log after the epoch's last batch."""
        inputs = batch["inputs"]
        if inputs.is_floating_point():  # the model reads frames, not tokens
            return
        inside = is_position(batch["lengths"], inputs.shape[1])
        counts = token_counts(inputs[inside], self.n_clusters)
        self._counts = counts if self._counts is None else self._counts.to(counts.device) + counts
        if trainer.is_last_batch:
            self.log_epoch(trainer, pl_module)

    def epoch_state(self) -> dict[str, Any]:
        """Return the counts of the epoch so far."""
        return {"counts": self._counts}

    def restore_epoch(self, state: dict[str, Any]) -> None:
        """Restore what `epoch_state` returned."""
        self._counts = state["counts"]

    def log_epoch(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the use in a whole epoch."""
        if self._counts is None:
            return
        # A copy, since it is added up in place.
        counts = trainer.strategy.reduce(self._counts.to(pl_module.device, copy=True), reduce_op="sum")
        assert isinstance(counts, Tensor)
        self._last = counts.cpu()
        used, perplexity = token_use(counts)
        scores = {"vocabulary/used": used, "vocabulary/perplexity": perplexity}
        pl_module.log_dict(scores, on_step=False, on_epoch=True, batch_size=1)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show the counts of the last epoch."""
        if self._last is not None:
            self.logger.show_vocabulary_use(self._last.numpy())
