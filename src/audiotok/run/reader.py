"""Finished and failed runs, read from their folders without trust.

What is missing or damaged is left empty and noted in a line; no run stops the reading of the others.
"""

import csv
import io
import json
import math
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from audiotok.disk.arrays import read_arrays
from audiotok.errors import UserError
from audiotok.run.folder import RunFolder
from audiotok.run.history import read_history
from audiotok.run.sums import check_inside, fault_of, read_summed

T = TypeVar("T")
_MOST_DIGITS = 15  # of a count


@dataclass(frozen=True, slots=True)
class ClassScore:
    """The average precision of one class on the test clips.

    Args:
        id: Id of the class, `/m/09x0r` for example.
        name: Its name for people.
        positives: How many test clips have it.
        average_precision: None where no test clip has it.
    """

    id: str
    name: str
    positives: int
    average_precision: float | None


@dataclass(frozen=True)
class Predictions:
    """Scores and targets of the test clips, in the order of their ids.

    Args:
        ids: Ids of the clips (clips,).
        classes: Ids of the classes (C,).
        scores: (clips, C), float32.
        targets: (clips, C), bool.
    """

    ids: np.ndarray
    classes: np.ndarray
    scores: np.ndarray
    targets: np.ndarray


@dataclass
class Run:
    """What one run has left.

    Args:
        folder: Its folder.
        name: Its path below the folder that all compared runs have in common.
        program: The program that made it; "" where neither its record nor its configuration can be read.
        settings: Its configuration, flat: dotted keys; lists are written as JSON.
        metrics: Its scores and facts, the finite numbers among them.
        per_class: The scores of its classes.
        history: Epochs and values of every metric.
        predictions: Its scores of the test clips.
        notes: What is missing or damaged, a line each.
    """

    folder: RunFolder
    name: str
    program: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    per_class: list[ClassScore] = field(default_factory=list)
    history: dict[str, tuple[list[int], list[float]]] = field(default_factory=dict)
    predictions: Predictions | None = None
    notes: list[str] = field(default_factory=list)


def find_runs(folders: Iterable[Path]) -> list[RunFolder]:
    """Return the run folders among and below some folders, each once, in the order of their paths.

    Folders inside a run's folder are not searched.

    Raises:
        UserError: One of the folders does not exist, or there is no run at all.
    """
    folders = list(folders)
    found: dict[RunFolder, None] = {}
    for folder in folders:
        if not folder.is_dir():
            raise UserError(
                f"FOLDER={folder} is not a folder; give folders of runs, or one that contains them."
            )
        for path, subfolders, _ in os.walk(folder):
            run = RunFolder(Path(path).resolve())
            if run.is_run:
                found[run] = None
                subfolders.clear()
            subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
    if not found:
        marks = " or ".join(mark.name for mark in (run.config, run.metrics))
        raise UserError(
            f"FOLDER={' '.join(map(str, folders))} contains no run, that is, no folder with {marks}; "
            "give the folder that hydra.run.dir or hydra.sweep.dir named."
        )
    return list(found)


def read_runs(folders: list[RunFolder]) -> list[Run]:
    """Read runs, and name each by the part of its path that the others do not share."""
    common = os.path.commonpath([folder.path.parent for folder in folders])
    return [read_run(folder, folder.path.relative_to(common).as_posix()) for folder in folders]


def read_run(folder: RunFolder, name: str) -> Run:
    """Read a run; what cannot be read is left empty, and noted."""
    run = Run(folder, name)
    error = folder.read_error()
    if error:
        run.notes.append(f"it failed: {' '.join(error.split())}")
    if fault := fault_of(folder.path):
        run.notes.append(fault)
    run.settings = _read(run, folder.config, lambda: flatten(folder.read_config())) or {}
    if run.settings and folder.config_is_changed:
        run.notes.append(f"{folder.config.name} was changed after the run had written it")
    with suppress(OSError, ValueError):
        run.program = folder.program
    run.metrics = _read(run, folder.metrics, lambda: _numbers(folder.read_metrics())) or {}
    run.history = _read(run, folder.history, lambda: _curves(read_history(folder.history))) or {}
    if run.program != "pretrain":  # which tests nothing
        run.per_class = _read(run, folder.per_class, lambda: _read_per_class(folder.per_class)) or []
        run.predictions = _read(run, folder.predictions, lambda: _read_predictions(folder.predictions))
    return run


def _read(run: Run, path: Path, reader: Callable[[], T]) -> T | None:
    """Read a file of a run; one that is missing or damaged is noted, and gives None."""
    try:
        return reader()
    except FileNotFoundError:
        run.notes.append(f"{path.name} is missing")
    except (OSError, ValueError, LookupError, TypeError, AttributeError, csv.Error) as error:
        run.notes.append(f"{path.name} cannot be read ({_one_line(error)})")
    return None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__


def flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Turn nested dictionaries into one with dotted keys; lists are written as JSON."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = json.dumps(value) if isinstance(value, list) else value
    return flat


def _numbers(metrics: dict[str, Any]) -> dict[str, float]:
    return {
        key: value
        for key, value in metrics.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }


def _curves(rows: list[dict[str, float]]) -> dict[str, tuple[list[int], list[float]]]:
    """Turn one dictionary an epoch into one curve a metric, without the values that are not finite."""
    curves: dict[str, tuple[list[int], list[float]]] = {}
    for row in rows:
        for name, value in row.items():
            if name not in ("epoch", "step") and math.isfinite(value):
                epochs, values = curves.setdefault(name, ([], []))
                epochs.append(int(row["epoch"]))
                values.append(value)
    return curves


def _read_per_class(path: Path) -> list[ClassScore]:
    return [
        ClassScore(
            row["id"],
            row["name"],
            _count(row["test_positives"]),
            float(row["average_precision"]) if row["average_precision"] else None,
        )
        for row in csv.DictReader(io.StringIO(read_summed(path).decode(), newline=""))
    ]


def _count(cell: str) -> int:
    if not cell.isdecimal() or len(cell) > _MOST_DIGITS:
        raise ValueError(f"{cell[:_MOST_DIGITS]} is not a count")
    return int(cell)


def _read_predictions(path: Path) -> Predictions:
    check_inside(path, path.parent)
    names = ("ids", "classes", "scores", "targets")
    found = read_arrays(path, names)
    ids, classes, scores, targets = (found[name] for name in names)
    kinds = "".join(array.dtype.kind for array in (ids, classes, scores))
    if kinds != "UUf" or targets.dtype.kind not in "biuf" or (ids.ndim, classes.ndim) != (1, 1):
        raise ValueError("its arrays are of other types")
    if scores.shape != targets.shape or scores.shape != (len(ids), len(classes)):
        raise ValueError(f"{len(ids)} ids, scores {scores.shape} and targets {targets.shape}")
    if not np.isfinite(scores).all():
        raise ValueError("some scores are not finite numbers")
    order = np.argsort(ids, kind="stable")
    return Predictions(ids[order], classes, scores[order], targets[order] > 0)
