"""What runs left in their folders, read without trust: what is missing or damaged is said in a line."""

import csv
import json
import math
import os
import zipfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from audiotok.errors import UserError

MARKS = ("config.yaml", "metrics.json", "error.txt")  # any of these makes a folder a run's
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ClassScore:
    """The average precision of one class on the test clips.

    Args:
        id: Of the class, `/m/09x0r` for example.
        name: For people.
        positives: Test clips that have it.
        average_precision: None where none has.
    """

    id: str
    name: str
    positives: int
    average_precision: float | None


@dataclass(frozen=True)
class Predictions:
    """Scores and targets of the test clips, in the order of their ids.

    Args:
        ids: Of the clips (clips,).
        classes: Ids (C,).
        scores: (clips, C), float32.
        targets: (clips, C), bool.
    """

    ids: np.ndarray
    classes: np.ndarray
    scores: np.ndarray
    targets: np.ndarray


@dataclass
class Run:
    """What one run left.

    Args:
        folder: Where.
        name: What tells it from the others: its path below the folder that all have in common.
        settings: Its `config.yaml`, flat: dotted keys; lists are written out.
        metrics: The numbers in its `metrics.json`.
        per_class: Its `per_class.csv`.
        history: Epochs and values of every metric in its `history.csv`.
        predictions: Its `predictions.npz`.
        notes: What is missing or damaged, a line each.
    """

    folder: Path
    name: str
    settings: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    per_class: list[ClassScore] = field(default_factory=list)
    history: dict[str, tuple[list[int], list[float]]] = field(default_factory=dict)
    predictions: Predictions | None = None
    notes: list[str] = field(default_factory=list)


def find_runs(folders: Iterable[Path]) -> list[Path]:
    """Return the run folders among and below some folders, each once, in the order of their paths.

    A run's own folders are not looked into.

    Raises:
        UserError: One of the folders is none, or there is no run at all.
    """
    folders = list(folders)
    found: dict[Path, None] = {}
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"FOLDER={folder} is no folder; give folders of runs, or one that contains them.")
        for path, subfolders, files in os.walk(folder):
            if any(mark in files for mark in MARKS):
                found[Path(path).resolve()] = None
                subfolders.clear()
            subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
    if not found:
        raise UserError(
            f"FOLDER={' '.join(map(str, folders))} contains no run, that is no folder with "
            f"{' or '.join(MARKS[:2])}; give the folder that hydra.run.dir or hydra.sweep.dir named."
        )
    return list(found)


def read_runs(folders: list[Path]) -> list[Run]:
    """Read runs, and name them by what their paths do not have in common."""
    common = os.path.commonpath([folder.parent for folder in folders])
    return [read_run(folder, folder.relative_to(common).as_posix()) for folder in folders]


def read_run(folder: Path, name: str) -> Run:
    """Read all that a run left; what cannot be read is left empty, and noted."""
    run = Run(folder, name)
    error = folder / "error.txt"
    if error.is_file():
        run.notes.append(f"it failed: {' '.join(error.read_text('utf-8', 'replace').split())}")
    run.settings = _read(run, "config.yaml", _settings) or {}
    run.metrics = _read(run, "metrics.json", _metrics) or {}
    run.history = _read(run, "history.csv", _history) or {}
    if "objective._target_" not in run.settings:  # pretraining tests nothing
        run.per_class = _read(run, "per_class.csv", _per_class) or []
        run.predictions = _read(run, "predictions.npz", _predictions)
    return run


def _read(run: Run, name: str, reader: Callable[[Path], T]) -> T | None:
    """Read a file of a run; one that is missing or damaged is noted, and gives None."""
    import yaml

    try:
        return reader(run.folder / name)
    except FileNotFoundError:
        run.notes.append(f"{name} is missing")
    except (OSError, ValueError, LookupError, EOFError, TypeError, AttributeError, csv.Error) as error:
        run.notes.append(f"{name} cannot be read ({_one_line(error)})")
    except (zipfile.BadZipFile, zlib.error, yaml.YAMLError) as error:
        run.notes.append(f"{name} is damaged ({_one_line(error)})")
    return None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__


def _settings(path: Path) -> dict[str, Any]:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C it takes a tenth of the time
    return flatten(yaml.load(path.read_text(encoding="utf-8"), loader))


def flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Turn nested dictionaries into one with dotted keys; lists are written out as JSON."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = json.dumps(value) if isinstance(value, list) else value
    return flat


def _metrics(path: Path) -> dict[str, float]:
    metrics = json.loads(path.read_text(encoding="utf-8"))
    return {
        key: value
        for key, value in metrics.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }


def _history(path: Path) -> dict[str, tuple[list[int], list[float]]]:
    """Read one row an epoch; a cell that is empty, or no finite number, is no point of the curve."""
    curves: dict[str, tuple[list[int], list[float]]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            for name, cell in row.items():
                if name in ("epoch", "step") or not cell or not math.isfinite(value := float(cell)):
                    continue
                epochs, values = curves.setdefault(name, ([], []))
                epochs.append(int(row["epoch"]))
                values.append(value)
    return curves


def _per_class(path: Path) -> list[ClassScore]:
    with path.open(newline="", encoding="utf-8") as file:
        return [
            ClassScore(
                row["id"],
                row["name"],
                int(row["test_positives"]),
                float(row["average_precision"]) if row["average_precision"] else None,
            )
            for row in csv.DictReader(file)
        ]


def _predictions(path: Path) -> Predictions:
    with np.load(path) as arrays:
        ids, classes, scores, targets = (arrays[name] for name in ("ids", "classes", "scores", "targets"))
    if scores.shape != targets.shape or scores.shape != (len(ids), len(classes)):
        raise ValueError(f"{len(ids)} ids, scores {scores.shape} and targets {targets.shape}")
    if not np.isfinite(scores).all():
        raise ValueError("some scores are no numbers")
    order = np.argsort(ids, kind="stable")
    return Predictions(ids[order], classes, scores[order], targets[order] > 0)
