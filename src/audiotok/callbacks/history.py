"""The scores of every epoch in the run's folder, whatever the logger is."""

from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from audiotok.run.history import write_history


class History(pl.Callback):
    """Write all scores to a table after every epoch.

    Checkpoints contain the epochs so far, so that a run that resumes in another folder keeps them.

    Args:
        path: The table.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._rows: list[dict[str, float]] = []

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Drop the epochs of a resumed run that are about to be repeated."""
        self._rows = [row for row in self._rows if row["epoch"] < trainer.current_epoch]

    def state_dict(self) -> dict[str, Any]:
        """Return the epochs so far."""
        return {"rows": self._rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the epochs so far."""
        self._rows = state_dict["rows"]

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Add the scores of an epoch."""
        scores = {name: float(value) for name, value in trainer.callback_metrics.items()}
        self._rows.append({"epoch": trainer.current_epoch, "step": trainer.global_step, **scores})
        if trainer.is_global_zero:
            write_history(self.path, self._rows)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the epochs of a resumed run that had none left to train."""
        if trainer.is_global_zero and self._rows and not self.path.exists():
            write_history(self.path, self._rows)
