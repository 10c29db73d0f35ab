"""Training that is told to stop, by SIGTERM or Ctrl-C, stops between two steps, and leaves a checkpoint."""

import signal
import threading
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from audiotok.run.stopping import asked, defer_signals, stop_deferring, stop_here


class Interruption(pl.Callback):
    """Note signals while training, and stop at the end of a step or of a batch of validation.

    After a step a checkpoint is written first, from which training resumes in that place. Several processes
    stop with the first one: it alone stops by itself, and the others, which then wait for it, fail or are
    ended by it. They leave no checkpoint, for which all of them are needed.

    Args:
        last: Where the checkpoint is written, in place of that of the last epoch.
    """

    def __init__(self, last: Path) -> None:
        self._last = last
        self._handler = signal.getsignal(signal.SIGTERM)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note signals from now on."""
        self._take_back()
        defer_signals()

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop during validation as before it."""
        self._take_back()

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop during the test as before it."""
        self._take_back()

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Stop after a step; this is the last of the callbacks, so that the others have counted it."""
        if asked() and trainer.world_size == 1:
            trainer.save_checkpoint(self._last)
            stop_here(f"after step {trainer.global_step}, in epoch {trainer.current_epoch + 1}")
        self._stop(trainer)

    def on_validation_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Stop after a batch of validation."""
        self._stop(trainer)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop after the last epoch."""
        self._stop(trainer)
        stop_deferring()

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Raise at signals again."""
        stop_deferring()

    def _take_back(self) -> None:
        """Put back the handler of SIGTERM that Lightning has wrapped.

        Lightning's own ends the program with status 0, and sends a message to other processes from inside the
        handler, which may block for ever.
        """
        ours = self._handler not in (None, signal.SIG_DFL)
        if ours and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._handler)

    @staticmethod
    def _stop(trainer: pl.Trainer) -> None:
        if trainer.is_global_zero and (trainer.training or trainer.validating):
            stop_here(f"in epoch {trainer.current_epoch + 1}")
