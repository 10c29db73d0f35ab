"""The jobs of a sweep, read from their folders: ranked, and averaged over replicates.

Jobs that differ only in seed or test fold are replicates of one setting.
"""

import logging
import math
from contextlib import suppress
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from audiotok.run.folder import RunFolder
from audiotok.run.sweep_folder import SweepFolder

log = logging.getLogger(__name__)
COLUMNS = ("val/mAP", "val/accuracy", "test/mAP", "test/top1", "test/f1_micro_tuned", "test/hamming_loss")
REPLICATED = ("seed", "data.test_fold")  # keys that make replicates, not settings


@dataclass(frozen=True, slots=True)
class Job:
    """One job of a sweep.

    Args:
        folder: Its folder.
        overrides: The values that it changed, by their keys.
        scores: Its scores and facts; empty where it failed.
        error: Why it failed, or "".
    """

    folder: RunFolder
    overrides: dict[str, str]
    scores: dict[str, Any]
    error: str


@dataclass(frozen=True, slots=True)
class Replicates:
    """The jobs of a sweep that have one setting: they differ only in `REPLICATED` keys.

    Args:
        overrides: The values that distinguish them from other settings, by their keys.
        n_jobs: How many of them have results.
        means: The mean of every score that is shown.
        deviations: The sample standard deviations; NaN for a single job, or where a score is NaN.
    """

    overrides: dict[str, str]
    n_jobs: int
    means: dict[str, float]
    deviations: dict[str, float]


def read_jobs(folder: SweepFolder) -> list[Job]:
    """Read the jobs of a sweep from their folders."""
    return [_read_job(job) for job in folder.jobs()]


def _read_job(folder: RunFolder) -> Job:
    overrides, scores = {}, {}
    try:
        overrides = folder.read_overrides()
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as damage:
        log.warning(
            "%s cannot be read (%s); tables lack the values that it changed.", folder.overrides, damage
        )
    with suppress(OSError, ValueError):
        scores = {name: value for name, value in folder.read_metrics().items() if _is_number(value)}
    error = folder.read_error()  # there may be scores too, that lack the optimized metric
    if not scores and not error:
        error = "it ended without results"
    return Job(folder, overrides, scores, error)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def ranked(jobs: list[Job], metric: str) -> list[Job]:
    """Order jobs by a metric, highest first (a loss: lowest first), failed ones last."""
    sign = 1 if "loss" in metric else -1

    def rank(job: Job) -> tuple[bool, float]:
        value = float(job.scores.get(metric, math.nan))
        return math.isnan(value), sign * value

    return sorted(jobs, key=rank)


def average(jobs: list[Job], metric: str) -> list[Replicates]:
    """Average jobs that differ only in `REPLICATED` keys, in the order of the jobs, without failed ones."""
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
        settings.append(Replicates(dict(zip(varied, values, strict=True)), len(group), means, deviations))
    return settings


def _deviation(values: list[float]) -> float:
    known = len(values) > 1 and all(map(math.isfinite, values))  # stdev fails at a NaN
    return stdev(values) if known else math.nan


def table_columns(jobs: list[Job], metric: str) -> tuple[list[str], list[str]]:
    """Return the keys in which the jobs differ, and the scores that are shown: `metric` and `COLUMNS`."""
    keys = list(dict.fromkeys(key for job in jobs for key in job.overrides))
    varied = [key for key in keys if len({job.overrides.get(key) for job in jobs}) > 1]
    known = [name for name in COLUMNS if any(name in job.scores for job in jobs)]
    return varied, list(dict.fromkeys([metric, *known]))


def short_names(keys: list[str]) -> list[str]:
    """Return the shortest endings that distinguish some keys: `lr` for `optimizer.lr`."""

    def ending(key: str, n_parts: int) -> str:
        return ".".join(key.split(".")[-n_parts:])

    names = []
    for key in keys:
        lengths = range(1, key.count(".") + 1)
        unique = (n for n in lengths if sum(ending(other, n) == ending(key, n) for other in keys) == 1)
        names.append(ending(key, next(unique, key.count(".") + 1)))
    return names


def short_value(value: str) -> str:
    """Return a value as it is shown on screen: a number drawn at random has 17 digits, of which 4 suffice."""
    try:
        return f"{float(value):.4g}" if len(value) > 8 else value
    except ValueError:
        return value
