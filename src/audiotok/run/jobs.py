"""The jobs of a sweep, read from their folders: ranked, and averaged over replicates.

Jobs that differ in seed or test fold alone are replicates of one setting.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from omegaconf import OmegaConf

from audiotok.errors import ERROR

COLUMNS = ("val/mAP", "val/accuracy", "test/mAP", "test/top1", "test/f1_micro_tuned", "test/hamming_loss")
REPLICATED = ("seed", "data.test_fold")  # keys that make replicates, not settings


@dataclass(frozen=True, slots=True)
class Job:
    """One job of a sweep.

    Args:
        folder: Its run folder.
        overrides: What it changed.
        scores: Its `metrics.json`, empty where it failed.
        error: Why it failed, or "".
    """

    folder: Path
    overrides: dict[str, str]
    scores: dict[str, Any]
    error: str


@dataclass(frozen=True, slots=True)
class Setting:
    """Jobs of a sweep that are replicates of each other.

    Args:
        overrides: What they have in common and other settings have not.
        n_jobs: How many of them have results.
        means: Of every score that is shown.
        deviations: Sample standard deviations of these; NaN for a single job, or where a score is NaN.
    """

    overrides: dict[str, str]
    n_jobs: int
    means: dict[str, float]
    deviations: dict[str, float]


def read_jobs(folder: Path) -> list[Job]:
    """Read the jobs of a sweep from their folders, those that are numbered."""
    folders = [path for path in folder.iterdir() if path.name.isdigit() and path.is_dir()]
    return [_read_job(path) for path in sorted(folders, key=lambda path: int(path.name))]


def _read_job(folder: Path) -> Job:
    try:
        overrides = OmegaConf.to_container(OmegaConf.load(folder / ".hydra" / "overrides.yaml"))
        pairs = [str(override).lstrip("+~").partition("=") for override in overrides or ()]
    except OSError:
        pairs = []
    try:
        scores = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        scores = {}
    path = folder / ERROR  # also of a job whose scores lack what it was run for
    error = path.read_text(encoding="utf-8").strip() if path.is_file() else ""
    if not scores and not error:
        error = "it ended without results"
    return Job(folder, {key: value for key, _, value in pairs}, scores, error)


def ranked(jobs: list[Job], metric: str) -> list[Job]:
    """Order jobs by a metric, highest first (a loss: lowest first), failed ones last."""
    sign = 1 if "loss" in metric else -1

    def rank(job: Job) -> tuple[bool, float]:
        value = float(job.scores.get(metric, math.nan))
        return math.isnan(value), sign * value

    return sorted(jobs, key=rank)


def replicates(jobs: list[Job], metric: str) -> list[Setting]:
    """Average jobs that differ in `REPLICATED` keys alone, in the order of the jobs; failed ones aside."""
    varied, scores = table_columns(jobs, metric)
    varied = [key for key in varied if key not in REPLICATED]
    groups: dict[tuple[str, ...], list[Job]] = {}
    for job in jobs:
        if not job.error:
            groups.setdefault(tuple(job.overrides.get(key, "") for key in varied), []).append(job)
    settings = []
    for values, group in groups.items():
        columns = {
            name: [float(job.scores[name]) for job in group]
            for name in scores
            if all(name in job.scores for job in group)
        }
        means = {name: fmean(column) for name, column in columns.items()}
        deviations = {name: _deviation(column) for name, column in columns.items()}
        settings.append(Setting(dict(zip(varied, values, strict=True)), len(group), means, deviations))
    return settings


def _deviation(values: list[float]) -> float:
    known = len(values) > 1 and all(map(math.isfinite, values))  # stdev fails at a NaN
    return stdev(values) if known else math.nan


def table_columns(jobs: list[Job], metric: str) -> tuple[list[str], list[str]]:
    """Return the overrides in which the jobs differ, and those of the scores that are shown which any has."""
    keys = list(dict.fromkeys(key for job in jobs for key in job.overrides))
    varied = [key for key in keys if len({job.overrides.get(key) for job in jobs}) > 1]
    known = [name for name in COLUMNS if any(name in job.scores for job in jobs)]
    return varied, list(dict.fromkeys([metric, *known]))


def short_names(keys: list[str]) -> list[str]:
    """Return the last parts of keys, as many as tell them apart: `lr` for `optimizer.lr`."""

    def ending(key: str, n_parts: int) -> str:
        return ".".join(key.split(".")[-n_parts:])

    names = []
    for key in keys:
        lengths = range(1, key.count(".") + 1)
        told_apart = (n for n in lengths if sum(ending(other, n) == ending(key, n) for other in keys) == 1)
        names.append(ending(key, next(told_apart, key.count(".") + 1)))
    return names


def short_value(value: str) -> str:
    """Return what a setting shows on screen: a number drawn at random has 17 digits, and 4 of them tell."""
    try:
        return f"{float(value):.4g}" if len(value) > 8 else value
    except ValueError:
        return value
