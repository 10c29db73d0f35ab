"""One line an epoch, for logs in files and for people who scroll back."""

import logging

import pytorch_lightning as pl

log = logging.getLogger(__name__)


class EpochLine(pl.Callback):
    """Log a line after every epoch."""

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log losses, validation mAP and speed."""
        metrics = trainer.callback_metrics
        names = ("train/loss", "val/loss", "train/mAP", "val/mAP", "val/f1_micro_tuned")
        scores = ", ".join(f"{name} {metrics[name]:.4f}" for name in names if name in metrics)
        rate = metrics.get("train/clips_per_second")
        progress = "; ".join(filter(None, [scores, "" if rate is None else f"{rate:.0f} clips/s"]))
        epoch = f"Epoch {trainer.current_epoch + 1} of {trainer.max_epochs}"
        log.info("%s.", f"{epoch}: {progress}" if progress else epoch)
