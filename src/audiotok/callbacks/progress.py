"""The progress bar of a run: one for all of training, with the loss and the time left, and one for each test.

Bars vanish when they are done, since `epoch_line` logs how an epoch went. They are drawn by tqdm, so that log
lines are written above them.
"""

import time
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ProgressBar
from tqdm import tqdm

_FORMAT = "{l_bar}{bar}| {n_fmt}/{total_fmt}, {remaining} left{postfix}"
_LOSS_SECONDS = 0.5  # between two readings of the loss, as each waits for a GPU


class Progress(ProgressBar):
    """Count the batches of all epochs; the epoch is counted from 1, as in the lines of `epoch_line`."""

    def __init__(self) -> None:
        super().__init__()
        self._enabled = True
        self._training: tqdm[Any] | None = None
        self._scoring: tqdm[Any] | None = None
        self._loss_time = 0.0

    def disable(self) -> None:
        """Draw nothing, as in all processes but one."""
        self._enabled = False

    def enable(self) -> None:
        """Draw bars."""
        self._enabled = True

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin the bar of training, where a resumed run is."""
        n_batches, n_epochs = int(trainer.num_training_batches), trainer.max_epochs or 1
        self._training = self._bar(n_batches * n_epochs, n_batches * trainer.current_epoch)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show the epoch."""
        assert self._training is not None
        self._training.set_description(f"Epoch {trainer.current_epoch + 1} of {trainer.max_epochs}")

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count a batch, and show the loss from time to time."""
        assert self._training is not None
        if time.monotonic() - self._loss_time > _LOSS_SECONDS:
            loss = outputs["loss"] if isinstance(outputs, dict) else outputs
            self._training.set_postfix(loss=f"{float(loss):.4f}", refresh=False)
            self._loss_time = time.monotonic()
        self._training.update()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """End the bar of training."""
        assert self._training is not None
        self._training.close()

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin the bar of validation, except within training."""
        if trainer.state.fn == "validate":
            self._scoring = self._bar(_total(trainer.num_val_batches), description="Validation")

    def on_validation_batch_end(self, *_: Any) -> None:
        """Count a batch."""
        if self._scoring is not None:
            self._scoring.update()

    def on_validation_end(self, *_: Any) -> None:
        """End the bar of validation."""
        self._end_scoring()

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin the bar of the test."""
        self._scoring = self._bar(_total(trainer.num_test_batches), description="Test")

    def on_test_batch_end(self, *_: Any) -> None:
        """Count a batch."""
        if self._scoring is not None:
            self._scoring.update()

    def on_test_end(self, *_: Any) -> None:
        """End the bar of the test."""
        self._end_scoring()

    def on_exception(self, *_: Any) -> None:
        """Remove the bars, so that the error stands by itself."""
        self._end_scoring()
        if self._training is not None:
            self._training.close()

    def _bar(self, total: int, initial: int = 0, description: str | None = None) -> "tqdm[Any]":
        return tqdm(
            total=total,
            initial=initial,
            desc=description,
            bar_format=_FORMAT,
            smoothing=0,  # the time left follows from the mean rate, validation included
            leave=False,
            dynamic_ncols=True,
            disable=not self._enabled,
        )

    def _end_scoring(self) -> None:
        if self._scoring is not None:
            self._scoring.close()
            self._scoring = None


def _total(n_batches: Any) -> int:
    """Return the batches of all loaders of a split."""
    return int(sum(n_batches)) if isinstance(n_batches, list) else int(n_batches)
