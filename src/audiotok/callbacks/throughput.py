"""The speed of training in clips a second, without validation."""

import time
from typing import Any

import pytorch_lightning as pl
from torch import Tensor


class Throughput(pl.Callback):
    """Log `train/clips_per_second` for every epoch; the time spent waiting for data counts."""

    def __init__(self) -> None:
        self._n_clips, self._start = 0, 0.0

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start to count and to measure time."""
        self._n_clips, self._start = 0, time.perf_counter()

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: dict[str, Tensor],
        batch_idx: int,
    ) -> None:
        """Count the clips, and log after the epoch's last batch, which validation follows."""
        self._n_clips += len(batch["index"]) * trainer.world_size
        if trainer.is_last_batch:
            self.log_epoch(trainer, pl_module)

    def epoch_state(self) -> dict[str, Any]:
        """Return the clips and seconds of the epoch so far."""
        return {"n_clips": self._n_clips, "seconds": time.perf_counter() - self._start}

    def restore_epoch(self, state: dict[str, Any]) -> None:
        """Restore what `epoch_state` returned."""
        self._n_clips, self._start = state["n_clips"], time.perf_counter() - state["seconds"]

    def log_epoch(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the speed in a whole epoch."""
        rate = self._n_clips / (time.perf_counter() - self._start)
        pl_module.log("train/clips_per_second", rate, on_step=False, on_epoch=True, batch_size=1)
