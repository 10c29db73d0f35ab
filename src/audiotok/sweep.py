"""The tables after a multirun: its jobs ranked by the metric they were run for, and means over replicates.

Jobs that differ in seed or test fold alone are replicates of one setting.
"""

import csv
import json
import logging
import math
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table

from audiotok.errors import ERROR, UserError

log = logging.getLogger(__name__)

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


class Sweep(Callback):
    """Refuse what cannot go well, go on where a sweep was stopped, and rank its jobs in the end.

    The table is on screen and in `sweep.csv`; the exit status is 1 where a job failed.
    """

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Look before the first job."""
        try:
            check_folder(config.hydra)
            if is_search(config.hydra):
                take_up(config.hydra.sweeper)
            Path(config.hydra.sweep.dir).mkdir(parents=True, exist_ok=True)
        except UserError as error:
            log.error("%s", error)
            raise SystemExit(1) from None

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Write the table once all jobs are through."""
        folder = Path(config.hydra.sweep.dir)
        metric = str(config.optimized_metric)
        jobs = ranked(read_jobs(folder), metric)
        if not jobs:
            log.info("Nothing was left to do.")
            return
        write_csv(folder / "sweep.csv", jobs, metric)
        show(jobs, metric, folder)
        settings = replicates(jobs, metric)
        if any(setting.n_jobs > 1 for setting in settings):
            write_means(folder / "means.csv", settings)
            show_means(settings, folder)
        if any(job.error for job in jobs):
            raise SystemExit(1)


def is_search(hydra: DictConfig) -> bool:
    """Tell whether optuna chooses the jobs."""
    return ".hydra_optuna_sweeper." in hydra.sweeper._target_


def check_folder(hydra: DictConfig) -> None:
    """Compare a sweep with the one that its folder holds.

    Raises:
        UserError: It is another one, whose results it would overwrite.
    """
    folder = Path(hydra.sweep.dir)
    if not folder.is_dir() or not read_jobs(folder):
        return
    if is_search(hydra):
        raise UserError(
            f"hydra.sweep.dir={folder} holds jobs, and a search numbers its own from 0; leave it out: the "
            f"study goes on from {hydra.sweeper.storage}."
        )
    with suppress(OSError):
        before = list(OmegaConf.load(folder / "multirun.yaml").hydra.overrides.task)
        now = list(hydra.overrides.task)
        if before != now:
            there = " ".join(override for override in before if override not in now) or "other order"
            here = " ".join(override for override in now if override not in before) or "nothing"
            raise UserError(
                f"hydra.sweep.dir={folder} holds another sweep ({there} there, {here} here); repeat its line "
                "to go on with it, or choose another folder."
            )


def take_up(sweeper: DictConfig) -> None:
    """Count what a study has finished into the trials that it is to have, and make room for a new one."""
    import optuna

    storage = str(sweeper.storage or "")
    if not storage:
        return
    if storage.startswith("sqlite:///"):
        Path(storage.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        trials = optuna.load_study(sweeper.study_name, storage).trials
    except KeyError:  # there is none of that name yet
        return
    n_done = sum(trial.state.is_finished() for trial in trials)
    log.info("Study %s goes on: %d of %d trials are done.", sweeper.study_name, n_done, sweeper.n_trials)
    sweeper.n_trials = max(0, sweeper.n_trials - n_done)


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
    varied, scores = _columns(jobs, metric)
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


def _columns(jobs: list[Job], metric: str) -> tuple[list[str], list[str]]:
    """Return the overrides in which the jobs differ, and those of the scores that are shown which any has."""
    keys = list(dict.fromkeys(key for job in jobs for key in job.overrides))
    varied = [key for key in keys if len({job.overrides.get(key) for job in jobs}) > 1]
    known = [name for name in COLUMNS if any(name in job.scores for job in jobs)]
    return varied, list(dict.fromkeys([metric, *known]))


def _names(settings: list[Setting]) -> list[str]:
    """Return the scores that any setting has."""
    return list(dict.fromkeys(name for setting in settings for name in setting.means))


def write_csv(path: Path, jobs: list[Job], metric: str) -> None:
    """Write one row a job, best first."""
    varied, scores = _columns(jobs, metric)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["rank", "job", *varied, *scores, "error"])
        for rank, job in enumerate(jobs, start=1):
            overrides = [job.overrides.get(key, "") for key in varied]
            values = [job.scores.get(name, "") for name in scores]
            writer.writerow([rank, job.folder.name, *overrides, *values, job.error])


def show(jobs: list[Job], metric: str, folder: Path) -> None:
    """Print the table."""
    varied, scores = _columns(jobs, metric)
    table = Table(title=f"{len(jobs)} jobs by {metric} ({folder / 'sweep.csv'})")
    for name in ["rank", "job", *short_names(varied)]:
        table.add_column(name, overflow="fold")
    for name in scores:
        table.add_column(name, justify="right")
    for rank, job in enumerate(jobs, start=1):
        overrides = [short_value(job.overrides.get(key, "")) for key in varied]
        absent = "failed" if job.error else ""
        values = [f"{job.scores[name]:.4f}" if name in job.scores else absent for name in scores]
        table.add_row(str(rank), job.folder.name, *overrides, *values)
    Console().print(table)
    for job in jobs:
        if job.error:
            Console().print(f"Job {job.folder.name} failed: {job.error}", style="red", highlight=False)


def short_names(keys: list[str]) -> list[str]:
    """Return the last parts of keys, as many as tell them apart: `lr` for `optimizer.lr`."""

    def ending(key: str, n_parts: int) -> str:
        return ".".join(key.split(".")[-n_parts:])

    names = []
    for key in keys:
        n_parts = 1
        while sum(ending(other, n_parts) == ending(key, n_parts) for other in keys) > 1:
            n_parts += 1
        names.append(ending(key, n_parts))
    return names


def short_value(value: str) -> str:
    """Return what a setting shows on screen: a number drawn at random has 17 digits, and 4 of them tell."""
    try:
        return f"{float(value):.4g}" if len(value) > 8 else value
    except ValueError:
        return value


def write_means(path: Path, settings: list[Setting]) -> None:
    """Write one row a setting: its jobs, and mean and deviation of every score."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        names = _names(settings)
        writer.writerow(
            [*settings[0].overrides, "jobs", *(f"{n} {part}" for n in names for part in ("mean", "sd"))]
        )
        for setting in settings:
            values = [
                value for n in names for value in (setting.means.get(n, ""), setting.deviations.get(n, ""))
            ]
            writer.writerow([*setting.overrides.values(), setting.n_jobs, *values])


def show_means(settings: list[Setting], folder: Path) -> None:
    """Print mean and deviation of every score, settings in the order of their best job."""
    names = _names(settings)
    table = Table(title=f"Mean ± standard deviation over {', '.join(REPLICATED)} ({folder / 'means.csv'})")
    for name in [*short_names(list(settings[0].overrides)), "jobs"]:
        table.add_column(name, overflow="fold")
    for name in names:
        table.add_column(name, justify="right")
    for setting in settings:
        values = [_with_deviation(setting, name) for name in names]
        table.add_row(*map(short_value, setting.overrides.values()), str(setting.n_jobs), *values)
    Console().print(table)


def _with_deviation(setting: Setting, name: str) -> str:
    if name not in setting.means:
        return ""
    mean = f"{setting.means[name]:.4f}"
    return f"{mean} ± {setting.deviations[name]:.4f}" if setting.n_jobs > 1 else mean
