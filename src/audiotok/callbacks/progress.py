"""The progress bar of training and scoring; the line of `epoch_line` remains when it is gone."""

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import TQDMProgressBar


class Progress(TQDMProgressBar):
    """Lightning's tqdm bar with the epoch counted from 1, the loss, and the time left in the epoch.

    It is tqdm's, so that log lines are written above the bar and not into it.
    """

    BAR_FORMAT = "{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt}, {remaining} left{postfix}"

    def __init__(self) -> None:
        super().__init__()
        self._loss: Any = None  # of the last training batch

    def on_train_epoch_start(self, trainer: pl.Trainer, *arguments: Any) -> None:
        """Name the epoch as `epoch_line` does."""
        super().on_train_epoch_start(trainer, *arguments)
        self.train_progress_bar.set_description(f"Epoch {trainer.current_epoch + 1} of {trainer.max_epochs}")

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Advance the bar, and show the loss of the batch."""
        self._loss = outputs["loss"] if outputs else None
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)

    def get_metrics(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, Any]:
        """Return what stands behind the bar; the loss is read from the device only when it is drawn."""
        metrics = super().get_metrics(trainer, pl_module)
        metrics.pop("v_num", None)  # the version number of a logger
        return metrics if self._loss is None else {**metrics, "loss": f"{float(self._loss):.4f}"}
