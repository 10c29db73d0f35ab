"""Which settings matter: how much worse a small forest predicts the score without one of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from audiotok.compare.settings import Setting, Value

MIN_RUNS = 8
_TREES, _FOLDS, _SHUFFLES = 40, 4, 5


@dataclass(frozen=True, slots=True)
class Importance:
    """What a forest learned about settings and a score.

    Args:
        explained: Share of the variance of scores that it predicts for runs that it has not seen (R²): at
            most 1, and below 0 where it predicts worse than the mean does.
        losses: How much of that share is lost when the values of a setting are shuffled between these runs,
            greatest first. Settings that always changed together cannot be separated and share one entry.
    """

    explained: float
    losses: list[tuple[str, float]]


def importance(settings: Sequence[Setting], scores: np.ndarray, seed: int = 0) -> Importance | None:
    """Measure the permutation importance of settings (Breiman, Random Forests, 2001), on unseen runs.

    Args:
        settings: The settings in which the runs differ.
        scores: The score of each run (runs,); runs whose score is NaN are left out.
        seed: Seed of folds, trees and shuffles.

    Returns:
        None for fewer than MIN_RUNS scores, or where all scores or all settings are equal.
    """
    scored = np.flatnonzero(np.isfinite(scores))
    together = _together(settings, scored)
    if len(scored) < MIN_RUNS or not together or np.ptp(scores[scored]) == 0:
        return None
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.inspection import permutation_importance
    from sklearn.model_selection import KFold

    inputs = np.column_stack([_numbers([group[0].values[run] for run in scored]) for group in together])
    outputs = scores[scored]
    forest = RandomForestRegressor(_TREES, min_samples_leaf=2, random_state=seed)
    squares, lost = 0.0, np.zeros(len(together))
    for seen, unseen in KFold(_FOLDS, shuffle=True, random_state=seed).split(inputs):
        forest.fit(inputs[seen], outputs[seen])
        squares += ((forest.predict(inputs[unseen]) - outputs[unseen]) ** 2).sum()
        shuffled = permutation_importance(
            forest,
            inputs[unseen],
            outputs[unseen],
            scoring="neg_mean_squared_error",
            n_repeats=_SHUFFLES,
            random_state=seed,
        )
        lost += len(unseen) * shuffled.importances_mean
    variance = ((outputs - outputs.mean()) ** 2).sum()
    labels = [" = ".join(setting.label for setting in group) for group in together]
    losses = zip(labels, (lost / variance).tolist(), strict=True)
    return Importance(float(1 - squares / variance), sorted(losses, key=lambda pair: -pair[1]))


def _together(settings: Sequence[Setting], runs: np.ndarray) -> list[list[Setting]]:
    """Group settings that split the runs in the same way; those that do not split them are left out."""
    groups: dict[tuple[int, ...], list[Setting]] = {}
    for setting in settings:
        split = tuple(_codes([setting.values[run] for run in runs]))
        if len(set(split)) > 1:
            groups.setdefault(split, []).append(setting)
    return list(groups.values())


def _numbers(values: Sequence[Value]) -> list[float]:
    """Return numbers as they are, and the codes of other values, which a tree can separate by its splits."""
    numbers = [float(value) for value in values if isinstance(value, int | float)]
    return numbers if len(numbers) == len(values) else list(map(float, _codes(values)))


def _codes(values: Sequence[Value]) -> list[int]:
    """Number values in the order of their first occurrence."""
    codes: dict[Value, int] = {}
    return [codes.setdefault(value, len(codes)) for value in values]
