"""The scores of every epoch in the run's folder, whatever the logger is."""

import csv
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

HISTORY = "history.csv"


class History(pl.Callback):
    """Write `history.csv` after every epoch: `epoch`, `step`, then all scores; empty where there is none.

    Checkpoints carry it, so that a run that goes on in another folder has its earlier epochs too.

    Args:
        folder: The run's folder.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / HISTORY
        self._rows: list[dict[str, float]] = []

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep what a run that is gone on with has had, up to where it is taken up."""
        self._rows = [row for row in self._rows if row["epoch"] < trainer.current_epoch]

    def state_dict(self) -> dict[str, Any]:
        """Return the epochs so far."""
        return {"rows": self._rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the epochs so far."""
        self._rows = state_dict["rows"]

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Add the scores of an epoch."""
        scores = {name: float(value) for name, value in trainer.callback_metrics.items()}
        self._rows.append({"epoch": trainer.current_epoch, "step": trainer.global_step, **scores})
        if trainer.is_global_zero:
            self._write()

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write what a run that was finished already has had."""
        if trainer.is_global_zero and self._rows and not self.path.exists():
            self._write()

    def _write(self) -> None:
        names = dict.fromkeys(name for row in self._rows for name in row)
        with self.path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(self._rows)


def read_history(path: Path) -> list[dict[str, float]]:
    """Read what `History` wrote, one dictionary an epoch; nothing where there is no file."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [{name: float(cell) for name, cell in row.items() if cell} for row in csv.DictReader(file)]
