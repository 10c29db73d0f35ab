"""Optimisers: the interface, and the options of the config group `optimizer`."""

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import torch
from torch import nn

from audiotok.errors import UserError
from audiotok.errors.ranges import NotNegative, Positive, ShareBelowOne


@runtime_checkable
class Optimizer(Protocol):
    """What every option of the config group `optimizer` builds.

    Its `repr` names all settings: checkpoints hold it, and a run resumes only those with an equal one.
    """

    def build(self, model: nn.Module) -> torch.optim.Optimizer:
        """Return an optimiser of a model's parameters."""
        ...


@dataclass(frozen=True)
class AdamW:
    """Build torch's AdamW, by default without weight decay on norms and biases.

    Source: I. Loshchilov, F. Hutter, "Decoupled Weight Decay Regularization", ICLR 2019.

    Args:
        lr: Highest learning rate; the schedule scales it.
        weight_decay: Decoupled weight decay.
        betas: Decay of the running means of the gradient and of its square.
        decay_norms_and_biases: Decay every parameter, as torch does by default; false spares vectors.
        fused: Update all parameters in one kernel, which takes a quarter of the time; for CUDA, MPS and CPUs.

    Raises:
        UserError: A number is out of range.
    """

    lr: Positive = 1e-3
    weight_decay: NotNegative = 0.01
    betas: list[ShareBelowOne] = field(default_factory=lambda: [0.9, 0.999])
    decay_norms_and_biases: bool = False
    fused: bool = True

    def __post_init__(self) -> None:
        if self.lr <= 0:
            raise UserError(f"optimizer.lr={self.lr} does not train; choose more than 0.")
        if self.weight_decay < 0:
            raise UserError(f"optimizer.weight_decay={self.weight_decay} is negative; choose 0 or more.")
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise UserError(
                f"optimizer.betas={self.betas} must be two shares; give two numbers from 0 to below 1."
            )

    def build(self, model: nn.Module) -> torch.optim.Optimizer:
        """Return the optimiser of a model's trainable parameters."""
        parameters = [p for p in model.parameters() if p.requires_grad]
        decayed = [p for p in parameters if self.decay_norms_and_biases or p.ndim > 1]
        spared = [p for p in parameters if not self.decay_norms_and_biases and p.ndim <= 1]
        groups = [
            {"params": decayed, "weight_decay": self.weight_decay},
            {"params": spared, "weight_decay": 0.0},
        ]
        beta1, beta2 = self.betas
        groups = [group for group in groups if group["params"]]
        return torch.optim.AdamW(groups, lr=self.lr, betas=(beta1, beta2), fused=self.fused)
