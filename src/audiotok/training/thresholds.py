"""Probabilities above which classes count as heard: chosen on validation, by F1."""

import torch
from torch import Tensor

HALFWAY = 10  # positives with which a class's own threshold counts as much as that of all classes
_LEAST = 1e-6  # distance of a threshold from 0 and 1, to take its logit


def best_threshold(scores: Tensor, targets: Tensor) -> float:
    """Return the threshold, the same for all classes, with the highest micro F1.

    The search is exact: every score is tried. At 0.5, F1 is 0 for taggers that are never that confident.

    Args:
        scores: Probabilities (clips, C).
        targets: (clips, C), 0 or 1.
    """
    ranked, order = scores.flatten().sort(descending=True, stable=True)
    hits = targets.flatten()[order].double().cumsum(0)
    n_predicted = torch.arange(1, len(ranked) + 1, device=ranked.device, dtype=torch.float64)
    f1 = 2 * hits / (n_predicted + hits[-1]).clamp(min=1)
    is_last_of_ties = torch.ones_like(ranked, dtype=torch.bool)
    is_last_of_ties[:-1] = ranked[:-1] != ranked[1:]
    best = int(torch.where(is_last_of_ties, f1, -1.0).argmax())
    below = ranked[best + 1] if best + 1 < len(ranked) else torch.zeros_like(ranked[0])
    middle = (ranked[best] + below) / 2
    return float(middle if middle < ranked[best] else below)


def class_thresholds(scores: Tensor, targets: Tensor) -> Tensor:
    """Return a threshold for each class, float64 (C,): its own best one, drawn towards that of all classes.

    The mean of both is taken of their logits; the class's own weighs as much as it has positives, the other
    as `HALFWAY` positives. A class without a positive has that of all classes.

    Args:
        scores: Probabilities (clips, C).
        targets: (clips, C), 0 or 1.
    """
    n_positives = targets.sum(0).double()
    own = [
        best_threshold(s, t) if n else 0.5 for s, t, n in zip(scores.T, targets.T, n_positives, strict=True)
    ]
    shared, best = _logits([best_threshold(scores, targets)]), _logits(own)
    weight = n_positives.cpu() / (n_positives.cpu() + HALFWAY)
    return (weight * best + (1 - weight) * shared).sigmoid()


def _logits(thresholds: list[float]) -> Tensor:
    return torch.tensor(thresholds, dtype=torch.float64).clamp(_LEAST, 1 - _LEAST).logit()
