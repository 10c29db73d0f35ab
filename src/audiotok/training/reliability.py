"""Whether probabilities are how often what they say is so: reliability by bins, expected calibration error.

Where classes are independent (sigmoid), every class of every clip is a statement with a probability. Where a
clip has one class (softmax), the statement is that it has the most probable one.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from audiotok.model.activation import Activation

N_BINS = 15  # of equal width, as in C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017


@dataclass(frozen=True)
class Reliability:
    """Statements in bins of their probabilities.

    Args:
        counts: Statements in each bin, float64 (bins,), or (C, bins) where classes are apart.
        probabilities: Sum of their probabilities, of the same shape.
        hits: How many were true, of the same shape.
    """

    counts: Tensor
    probabilities: Tensor
    hits: Tensor

    @classmethod
    def of(cls, probabilities: Tensor, truths: Tensor) -> "Reliability":
        """Count statements (..., N) with their probabilities and truths; bins end with their upper limits."""
        probabilities = probabilities.double()
        bins = ((probabilities * N_BINS).ceil().long() - 1).clamp(0, N_BINS - 1)
        zeros = probabilities.new_zeros(*probabilities.shape[:-1], N_BINS)
        return cls(
            *(
                zeros.scatter_add(-1, bins, values.double())
                for values in (torch.ones_like(probabilities), probabilities, truths)
            )
        )

    def error(self) -> float:
        """Return the expected calibration error: how far probabilities and shares of hits are apart.

        The mean over the statements of the distance in their bin; where classes are apart, the mean of that
        over the classes.
        """
        apart = (self.probabilities - self.hits).abs().sum(-1) / self.counts.sum(-1)
        return float(apart.mean())

    def pooled(self) -> "Reliability":
        """Return the bins of all classes together."""
        parts = (self.counts, self.probabilities, self.hits)
        return Reliability(*(part.reshape(-1, N_BINS).sum(0) for part in parts))

    def rows(self) -> list[list[float]]:
        """Return a row for each bin that is not empty: statements, mean probability, share of hits."""
        pooled = self.pooled()
        means = (pooled.probabilities / pooled.counts).tolist(), (pooled.hits / pooled.counts).tolist()
        rows = zip(pooled.counts.tolist(), *means, strict=True)
        return [[int(n), round(mean, 6), round(share, 6)] for n, mean, share in rows if n]


def reliability(probabilities: Tensor, targets: Tensor, activation: Activation) -> Reliability:
    """Count the statements that probabilities (clips, C) make about targets (clips, C).

    With sigmoid, those of each class that occurs are apart (M. Kull et al., "Beyond temperature scaling",
    NeurIPS 2019, classwise); with softmax, a clip is one statement, that it has its most probable class.
    """
    if activation == "sigmoid":
        occurs = targets.any(0)
        return Reliability.of(probabilities[:, occurs].T.contiguous(), targets[:, occurs].T)
    best = probabilities.max(1)
    return Reliability.of(best.values[None], targets.gather(1, best.indices[:, None]).T)
