"""The mean of something over all clips, whichever batch and process they are in."""

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric


class Mean(Metric):
    """Average values, each weighted by how many clips or tokens it is the mean of.

    Lightning's own `log(..., sync_dist=True)` rounds the weights of several processes down to whole numbers.
    """

    total: Tensor
    weight: Tensor
    full_state_update = False

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_state("total", torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("weight", torch.tensor(0.0), dist_reduce_fx="sum")

    def update(self, value: Tensor, weight: Tensor | int) -> None:
        """Take in a mean () of so many things."""
        self.total = self.total + value * weight  # in place would fail after inference mode
        self.weight = self.weight + weight

    def compute(self) -> Tensor:
        """Divide."""
        return self.total / self.weight
