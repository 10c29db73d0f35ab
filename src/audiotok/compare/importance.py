"""Which settings matter: what a small forest loses of the score when it no longer knows one of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from audiotok.compare.settings import Setting, Value

MIN_RUNS = 8
_TREES, _FOLDS, _SHUFFLES = 60, 4, 8


@dataclass(frozen=True, slots=True)
class Importance:
    """What a forest learned about settings and a score.

    Args:
        explained: Share of the variance of scores that it predicts of runs that it has not seen (R²); at
            most 1, and below 0 where it predicts worse than the mean does.
        losses: How much of that share goes when the values of a setting are shuffled between these runs, most
            first. Settings that always changed together cannot be told apart and share one entry.
    """

    explained: float
    losses: list[tuple[str, float]]


def importance(settings: Sequence[Setting], scores: np.ndarray, seed: int = 0) -> Importance | None:
    """Measure the importance of settings by permutation (Breiman, Random Forests, 2001), on unseen runs.

    Args:
        settings: In which the runs differ.
        scores: Of the runs (runs,); NaN for those that have none, which are left out.
        seed: Of folds, trees and shuffles.

    Returns:
        None for less than MIN_RUNS scores, or where these or the settings are all the same.
    """
    scored = np.flatnonzero(np.isfinite(scores))
    together = _together(settings, scored)
    if len(scored) < MIN_RUNS or not together or np.ptp(scores[scored]) == 0:
        return None
    from sklearn.ensemble import RandomForestRegressor

    rng = np.random.default_rng(seed)
    blocks = [_encoded(group[0])[scored] for group in together]
    owner = np.repeat(np.arange(len(blocks)), [block.shape[1] for block in blocks])
    inputs, outputs = np.hstack(blocks), scores[scored]
    fold = rng.permutation(len(outputs)) % _FOLDS
    squares, shuffled_squares = 0.0, np.zeros(len(blocks))
    for number in range(_FOLDS):
        unseen, seen = fold == number, fold != number
        forest = RandomForestRegressor(_TREES, min_samples_leaf=2, random_state=seed)
        forest.fit(inputs[seen], outputs[seen])
        known, wanted = inputs[unseen], outputs[unseen]
        versions = [known]
        for setting in range(len(blocks)):
            for _ in range(_SHUFFLES):
                version = known.copy()
                version[:, owner == setting] = known[rng.permutation(len(known))][:, owner == setting]
                versions.append(version)
        errors = forest.predict(np.concatenate(versions)).reshape(len(versions), -1) - wanted
        lost = (errors**2).sum(1)
        squares += lost[0]
        shuffled_squares += lost[1:].reshape(len(blocks), _SHUFFLES).mean(1)
    variance = float(((outputs - outputs.mean()) ** 2).sum())
    losses = ((shuffled_squares - squares) / variance).tolist()
    labels = [" = ".join(setting.label for setting in group) for group in together]
    return Importance(
        1 - squares / variance, sorted(zip(labels, losses, strict=True), key=lambda pair: -pair[1])
    )


def _together(settings: Sequence[Setting], runs: np.ndarray) -> list[list[Setting]]:
    """Group settings that split the runs in the same way, those aside that do not split them at all."""
    groups: dict[tuple[int, ...], list[Setting]] = {}
    for setting in settings:
        codes: dict[Value, int] = {}
        split = tuple(codes.setdefault(setting.values[run], len(codes)) for run in runs)
        if len(codes) > 1:
            groups.setdefault(split, []).append(setting)
    return list(groups.values())


def _encoded(setting: Setting) -> np.ndarray:
    """Turn a setting into inputs (runs, columns): a number is one column, else each value has its own."""
    values = setting.values
    if all(isinstance(value, int | float) for value in values):
        return np.array(values, dtype=float)[:, None]
    distinct = sorted(set(values), key=str)
    return np.array([[value == other for other in distinct] for value in values], dtype=float)
