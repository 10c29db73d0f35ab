"""The page: one HTML file that contains its data, its program and plotly, and needs no network.

`page.html` is the frame, `page.css` the style, `table.js`, `plots.js` and `page.js` the program; what all
pages share is in `audiotok.page`.
"""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from audiotok.compare.bootstrap import N_RESAMPLES, draw_resamples, resampled_map
from audiotok.compare.importance import MIN_RUNS, importance
from audiotok.compare.settings import Setting, differing
from audiotok.errors import UserError
from audiotok.page.assembly import assemble, require, write_page
from audiotok.run.jobs import COLUMNS
from audiotok.run.reader import Run, find_runs, read_runs

# Scores and facts that have a column beside the metric that runs are ranked by.
SCORES = (*COLUMNS, "chance/mAP", "n_parameters", "seconds/train")
_MAX_POINTS = 200  # of one learning curve
_PRECISION = 100_000  # resampled mAPs are embedded as integers, in units of 1 / _PRECISION
_PROGRAM = ("table.js", "plots.js", "page.js")


def compare(folders: Iterable[Path], to: Path, metric: str) -> list[Run]:
    """Write a page that compares the runs in some folders.

    Args:
        folders: Folders of runs, or folders that contain such at any depth.
        to: File of the page.
        metric: Score that runs are ranked by; where "loss" is in its name, less is better.

    Returns:
        The runs.

    Raises:
        UserError: There are no runs, no run has the metric, a package is missing, or the page cannot be
            written.
    """
    require("compare", "compare", "plotly", "sklearn")
    runs = read_runs(find_runs(folders))
    names = sorted({name for run in runs for name in run.metrics})
    if metric not in names:
        known = f"they have {', '.join(names)}" if names else "their scores are missing or damaged"
        raise UserError(f"--metric={metric} is in none of the {len(runs)} runs; {known}.")
    write_page(to, render(contents(runs, metric)), "--to")
    return runs


def contents(runs: list[Run], metric: str) -> dict[str, Any]:
    """Compute everything that the page shows, in types that JSON knows."""
    settings = differing([run.settings for run in runs])
    scores = [
        metric,
        *(name for name in SCORES if name != metric and any(name in run.metrics for run in runs)),
    ]
    class_sets: dict[tuple[Any, ...], int] = {}
    rows = []
    for number, run in enumerate(runs):
        classes = tuple((score.id, score.name, score.positives) for score in run.per_class)
        values = [setting.values[number] for setting in settings]
        rows.append(
            {
                "name": run.name,
                "notes": run.notes,
                "cells": [*values, *(_rounded(run.metrics.get(name)) for name in scores)],
                "curves": {name: _thinned(*curve) for name, curve in run.history.items()},
                "classes": class_sets.setdefault(classes, len(class_sets)),
                "precision": [_rounded(score.average_precision) for score in run.per_class],
            }
        )
    for row, resampled in zip(rows, _bootstrap(runs), strict=True):
        row.update(resampled)
    return {
        "metric": metric,
        "lower": "loss" in metric,
        "unit": 1 / _PRECISION,
        "n_resamples": N_RESAMPLES,
        "columns": [*map(_setting_column, settings), *({"key": name, "label": name} for name in scores)],
        "n_settings": len(settings),
        "runs": rows,
        "class_sets": list(class_sets),
        "importance": _importance(settings, runs, metric),
    }


def _setting_column(setting: Setting) -> dict[str, Any]:
    return {
        "key": setting.key,
        "label": setting.label,
        "implied": setting.implied,
        "replicated": setting.replicated,
    }


def _rounded(value: float | None) -> float | None:
    """Keep six digits, of which the page shows four."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.6g}")


def _thinned(epochs: list[int], values: list[float]) -> tuple[list[int], list[float | None]]:
    """Keep at most _MAX_POINTS of a curve, evenly spaced, with its last one."""
    kept = np.unique(np.linspace(0, len(epochs) - 1, min(len(epochs), _MAX_POINTS)).round().astype(int))
    return [epochs[i] for i in kept], [_rounded(values[i]) for i in kept]


def _bootstrap(runs: list[Run]) -> list[dict[str, Any]]:
    """Resample every run that has predictions; runs with the same clips and classes share resamples."""
    test_sets: dict[tuple[bytes, bytes], tuple[int, np.ndarray]] = {}
    rows: list[dict[str, Any]] = []
    for run in runs:
        found = run.predictions
        if found is None or not found.targets.any():
            rows.append({"test_set": None})
            continue
        key = found.ids.tobytes(), found.classes.tobytes()
        if key not in test_sets:
            n_clips = len(found.ids)
            whole = np.ones((n_clips, 1), dtype=np.float32)  # the first resample is the test set itself
            test_sets[key] = len(test_sets), np.hstack([whole, draw_resamples(n_clips)])
        number, counts = test_sets[key]
        values = resampled_map(found.scores, found.targets, counts)
        rows.append(
            {
                "test_set": number,
                "n_clips": len(found.ids),
                "mAP": _rounded(values[0]),
                "resampled": [
                    None if math.isnan(value) else round(value * _PRECISION) for value in values[1:].tolist()
                ],
            }
        )
    return rows


def _importance(settings: list[Setting], runs: list[Run], metric: str) -> dict[str, Any]:
    scores = np.array([run.metrics.get(metric, math.nan) if run.settings else math.nan for run in runs])
    found = importance(settings, scores)
    n_scored = int(np.isfinite(scores).sum())
    if found is None:
        return {"n_runs": n_scored, "n_missing": max(0, MIN_RUNS - n_scored)}
    losses = [(label, _rounded(loss)) for label, loss in found.losses]
    return {"n_runs": n_scored, "explained": _rounded(found.explained), "losses": losses}


def render(data: dict[str, Any]) -> str:
    """Return the HTML of the page."""
    return assemble(__package__, _PROGRAM, data)
