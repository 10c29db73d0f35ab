"""A moving average of the weights, which is what is validated, kept and tested."""

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import WeightAveraging
from torch import Tensor

from audiotok.errors import UserError


class Averaging(WeightAveraging):
    """Lightning's weight averaging with a decay that rises from 0, so that no run averages its random start.

    After n steps the average keeps min(decay, (1 + n) / (10 + n)) of itself: the rule of
    `tf.train.ExponentialMovingAverage`. Statistics of batch norm are averaged as weights are; counts are not.

    Args:
        decay: Highest share of itself that the average keeps at a step.
    """

    def __init__(self, decay: float) -> None:
        if not 0 <= decay < 1:
            raise UserError(
                f"callbacks.averaging.decay={decay} is no share; choose 0 or more, and less than 1."
            )

        def average(means: list[Tensor], currents: list[Tensor], n_averaged: Tensor | int) -> None:
            n = int(n_averaged)  # once for all weights, as it waits for a GPU
            share = 1 - min(decay, (1 + n) / (10 + n))
            for mean, current in zip(means, currents, strict=True):
                if mean.is_floating_point():
                    mean.lerp_(current, share)
                else:
                    mean.copy_(current)

        super().__init__(multi_avg_fn=average)

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep the average where the model is: Lightning makes it before the model is there."""
        assert self._average_model is not None
        self._average_model.to(pl_module.device)

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Go on with the average of a checkpoint; to score it, its weights are all that is needed."""
        if self._average_model is not None:
            super().on_load_checkpoint(trainer, pl_module, checkpoint)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Let go of the average, or Lightning would score it in place of the checkpoint that is asked for."""
        self._average_model = None
