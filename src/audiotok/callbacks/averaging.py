"""A moving average of the weights, which is validated, saved and tested in place of the weights."""

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import WeightAveraging
from torch import Tensor

from audiotok.errors import UserError
from audiotok.errors.ranges import ShareBelowOne


class Averaging(WeightAveraging):
    """Lightning's weight averaging with a decay that rises from 0, so that no run averages its random start.

    After n steps the average keeps min(decay, (1 + n) / (10 + n)) of itself: the rule of
    `tf.train.ExponentialMovingAverage`. Statistics of batch norm are averaged as weights are; counts are not.

    Args:
        decay: Highest share of itself that the average keeps at a step.
    """

    def __init__(self, decay: ShareBelowOne = 0.99) -> None:
        if not 0 <= decay < 1:
            raise UserError(
                f"callbacks.averaging.decay={decay} is not a share; choose 0 or more, and less than 1."
            )

        def average(means: list[Tensor], currents: list[Tensor], n_averaged: Tensor | int) -> None:
            n = int(n_averaged)  # once for all weights, since it waits for a GPU
            share = 1 - min(decay, (1 + n) / (10 + n))
            for mean, current in zip(means, currents, strict=True):
                if mean.is_floating_point():
                    mean.lerp_(current, share)
                else:
                    mean.copy_(current)

        super().__init__(multi_avg_fn=average)

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Move the average to the model's device: Lightning creates it before it moves the model."""
        assert self._average_model is not None
        self._average_model.to(pl_module.device)

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Restore the average of a checkpoint when training resumes; scoring needs only its weights."""
        if self._average_model is not None:
            super().on_load_checkpoint(trainer, pl_module, checkpoint)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave the average in the module even if the resumed checkpoint was of the last step."""
        self._copy_average_to_current(pl_module)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Delete the average, which Lightning would score in place of the checkpoint that is asked for."""
        self._average_model = None
