"""A moving average of the weights, which is what is validated, kept and tested."""

from pytorch_lightning.callbacks import WeightAveraging
from torch import Tensor

from audiotok.errors import UserError


class Averaging(WeightAveraging):
    """Lightning's weight averaging with a decay that rises from 0, so that no run averages its random start.

    After n steps the average keeps min(decay, (1 + n) / (10 + n)) of itself: the rule of
    `tf.train.ExponentialMovingAverage`.

    Args:
        decay: Highest share of itself that the average keeps at a step.
    """

    def __init__(self, decay: float) -> None:
        if not 0 <= decay < 1:
            raise UserError(
                f"callbacks.averaging.decay={decay} is no share; choose 0 or more, and less than 1."
            )

        def average(mean: Tensor, current: Tensor, n_averaged: Tensor | int) -> Tensor:
            n = int(n_averaged)
            return mean.lerp(current, 1 - min(decay, (1 + n) / (10 + n)))

        super().__init__(avg_fn=average)
