"""A callback that times the epochs of a run and how long they wait for data."""

import json
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

NEXT_BATCH = "train_dataloader_next"  # ends the name under which Lightning's profiler times the loader


class Watch(pl.Callback):
    """Write a file with a row for each epoch; the trainer needs `profiler=simple`.

    What counts is the time from the first step's fetch to the end of the last step, without validation. The
    loop waits while it is blocked because the loader has no batch ready. A GPU may still be busy with earlier
    steps then, so this is the most that it can have waited.

    Args:
        path: JSON file: a list of objects with `seconds`, `clips_per_second` and `share_waiting`.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self.rows: list[dict[str, float]] = []
        self.start, self.waited, self.n_clips = 0.0, 0.0, 0

    def on_train_epoch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        """Start the clock."""
        self.start, self.waited, self.n_clips = time.perf_counter(), waited(trainer), 0

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, *_: Any
    ) -> None:
        """Count the clips, and stop the clock after the last batch."""
        self.n_clips += len(batch["index"]) * trainer.world_size
        if not trainer.is_last_batch:
            return
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        seconds = time.perf_counter() - self.start
        row = {
            "seconds": seconds,
            "clips_per_second": self.n_clips / seconds,
            "share_waiting": (waited(trainer) - self.waited) / seconds,
        }
        if torch.cuda.is_available():
            row["peak_memory_gb"] = torch.cuda.max_memory_allocated() / 1e9
        self.rows.append(row)
        if trainer.is_global_zero:
            self.path.write_text(json.dumps(self.rows), encoding="utf-8")


def waited(trainer: pl.Trainer) -> float:
    """Return how many seconds the training loop has waited for batches since the run began."""
    durations: dict[str, list[float]] = trainer.profiler.recorded_durations  # type: ignore[attr-defined]
    return sum(sum(times) for name, times in durations.items() if name.endswith(NEXT_BATCH))
