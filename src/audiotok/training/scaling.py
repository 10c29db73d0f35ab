"""Fit what turns logits into probabilities to the clips of validation, after training.

With softmax that is a temperature. With sigmoid it is a scale and an offset: shared by all classes, or each
class's own, drawn towards the shared ones. How strongly is decided by cross-validation on the same clips; the
shared map stays unless another is better by more than the standard error. Every fit begins at logits as they
are and is drawn towards them a little, which small validation sets need.

Each class's map rises, so that the order of clips by a class, and with it average precision and the area
under the ROC curve, stay as they are. A temperature leaves the most probable class as it is; maps of their
own may change the order of the classes of a clip.
"""

import torch
from torch import Tensor

from audiotok.model.activation import Activation
from audiotok.training.calibration import Calibration, only_candidates
from audiotok.training.thresholds import class_thresholds

MOST_VALUES = 4_000_000  # logits that are fitted to; clips beyond are left out evenly
_SPREADS = (0.25, 1.0)  # tried: deviation of classes from the shared map, in logits at one deviation of those
_LEAST_SCALE = 0.05
_N_FOLDS = 5
_N_STEPS = 50
_LONGEST_STEP = 2.0  # logits; Newton's step is cut to it


def fit_calibration(logits: Tensor, targets: Tensor, activation: Activation) -> Calibration:
    """Return the calibration and thresholds that validation clips choose.

    Args:
        logits: (clips, C)
        targets: (clips, C), 0 or 1.
        activation: How the logits become probabilities.
    """
    logits, targets = logits.cpu().double(), targets.cpu().double()
    n_clips, n_classes = logits.shape
    rows = torch.linspace(0, n_clips - 1, min(n_clips, max(1, MOST_VALUES // n_classes))).round().long()
    chosen = logits[rows], targets[rows]
    if activation == "softmax":
        scale, offset = torch.full((n_classes,), _temperature(*chosen)).double(), torch.zeros(n_classes)
    else:
        scale, offset = _scales_and_offsets(*chosen)
    plain = Calibration(activation, _numbers(scale), _numbers(offset), (0.5,) * n_classes)
    candidates = only_candidates(plain.probabilities(logits), activation)
    thresholds = class_thresholds(candidates, targets)
    return Calibration(activation, plain.scale, plain.offset, _numbers(thresholds))


def _numbers(values: Tensor) -> tuple[float, ...]:
    return tuple(map(float, values))


def _temperature(logits: Tensor, targets: Tensor) -> float:
    """Return the scale of all logits (N, C) with the highest likelihood of the labels, by Newton's method.

    A deviation of 1 from the given logits, at one standard deviation of theirs, costs as much as in a normal
    distribution.
    """
    logits = logits - logits.mean(1, keepdim=True)
    labels = targets / targets.sum(1, keepdim=True).clamp(min=1)
    cost = float(logits.var(correction=0))
    scale = 1.0
    for _ in range(_N_STEPS):
        shares = (scale * logits).softmax(1)
        means = (shares * logits).sum(1)
        slope = float((means - (labels * logits).sum(1)).sum()) + cost * (scale - 1)
        curvature = float(((shares * logits**2).sum(1) - means**2).sum()) + cost
        step = slope / max(curvature, 1e-9)
        scale -= max(-0.5, min(step, 0.5))
        if scale < _LEAST_SCALE:
            return _LEAST_SCALE
        if abs(step) < 1e-7:
            break
    return scale


def _scales_and_offsets(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return the scale and the offset of each class (C,), chosen by cross-validation."""
    generator = torch.Generator().manual_seed(0)
    folds = torch.arange(len(logits))[torch.randperm(len(logits), generator=generator)].chunk(_N_FOLDS)
    spreads = [0.0, *_SPREADS]
    costs = torch.zeros(len(logits), len(spreads), dtype=torch.float64)
    for fold in folds:
        rest = torch.ones(len(logits), dtype=torch.bool)
        rest[fold] = False
        if not rest.any():
            return _fit(logits, targets, 0.0)
        for i, spread in enumerate(spreads):
            scale, offset = _fit(logits[rest], targets[rest], spread)
            costs[fold, i] = torch.nn.functional.binary_cross_entropy_with_logits(
                logits[fold] * scale + offset, targets[fold], reduction="none"
            ).sum(1)
    best = int(costs.sum(0).argmin())
    gain = costs[:, 0] - costs[:, best]
    is_sure = gain.sum() > gain.std(correction=0) * len(gain) ** 0.5
    return _fit(logits, targets, spreads[best] if is_sure else 0.0)


def _fit(logits: Tensor, targets: Tensor, spread: float) -> tuple[Tensor, Tensor]:
    """Return scales and offsets (C,) for logits (N, C): shared, or with some spread of the classes."""
    heard = logits[targets > 0.5]
    middle = float(heard.mean() if len(heard) else logits.mean())
    unit = max(1e-3, float(logits.std(correction=0)))
    standard = (logits - middle) / unit
    as_they_are = torch.tensor([[unit, middle]], dtype=torch.float64)
    lines = _newton(standard.reshape(-1, 1), targets.reshape(-1, 1), as_they_are, 1.0)
    if spread:
        lines = _newton(standard, targets, lines.expand(logits.shape[1], 2), spread**-2)
    slope = lines[:, 0].clamp(min=_LEAST_SCALE * unit).expand(logits.shape[1])
    return slope / unit, lines[:, 1] - slope * middle / unit


def _newton(inputs: Tensor, targets: Tensor, before: Tensor, stiffness: float) -> Tensor:
    """Fit a line to each column: its slope and height (C, 2), by logistic regression.

    Args:
        inputs: (N, C)
        targets: (N, C), 0 or 1.
        before: Slopes and heights (C, 2) that the lines are drawn towards.
        stiffness: How strongly: 1 / variance of a normal distribution around them.
    """
    lines = before.clone()
    for _ in range(_N_STEPS):
        shares = (inputs * lines[:, 0] + lines[:, 1]).sigmoid()
        errors, weights = shares - targets, shares * (1 - shares)
        slopes = torch.stack([(errors * inputs).sum(0), errors.sum(0)], 1) + stiffness * (lines - before)
        mixed = (weights * inputs).sum(0)
        curvature = torch.stack([(weights * inputs**2).sum(0), mixed, mixed, weights.sum(0)], 1)
        curvature = curvature.view(-1, 2, 2) + stiffness * torch.eye(2, dtype=torch.float64)
        step = torch.linalg.solve(curvature, slopes[..., None])[..., 0]
        longest = step.abs().amax(1, keepdim=True)
        lines = lines - step * (_LONGEST_STEP / longest.clamp(min=_LONGEST_STEP))
        if float(longest.max()) < 1e-7:
            break
    return lines
