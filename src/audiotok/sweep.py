"""The table after a multirun: its jobs ranked by the metric that they were run for."""

import csv
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table

COLUMNS = ("val/mAP", "test/mAP", "test/f1_micro_tuned", "test/hamming_loss")


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


class SweepTable(Callback):
    """Rank the jobs on screen and in `sweep.csv`, and exit with 1 where one failed."""

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Write the table once all jobs are through."""
        folder = Path(config.hydra.sweep.dir)
        metric = str(config.optimized_metric)
        jobs = ranked(read_jobs(folder), metric)
        write_csv(folder / "sweep.csv", jobs, metric)
        show(jobs, metric, folder)
        if any(job.error for job in jobs):
            raise SystemExit(1)


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
        error = ""
    except (OSError, ValueError):
        scores = {}
        path = folder / "error.txt"
        error = path.read_text(encoding="utf-8").strip() if path.is_file() else "it ended without results"
    return Job(folder, {key: value for key, _, value in pairs}, scores, error)


def ranked(jobs: list[Job], metric: str) -> list[Job]:
    """Order jobs by a metric, highest first (a loss: lowest first), failed ones last."""
    sign = 1 if "loss" in metric else -1

    def rank(job: Job) -> tuple[bool, float]:
        value = float(job.scores.get(metric, math.nan))
        return math.isnan(value), sign * value

    return sorted(jobs, key=rank)


def _columns(jobs: list[Job], metric: str) -> tuple[list[str], list[str]]:
    """Return the overrides in which the jobs differ, and the scores that are shown."""
    keys = list(dict.fromkeys(key for job in jobs for key in job.overrides))
    varied = [key for key in keys if len({job.overrides.get(key) for job in jobs}) > 1]
    return varied, list(dict.fromkeys([metric, *COLUMNS]))


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
    for name in ["rank", "job", *varied]:
        table.add_column(name, overflow="fold")
    for name in scores:
        table.add_column(name, justify="right")
    for rank, job in enumerate(jobs, start=1):
        overrides = [job.overrides.get(key, "") for key in varied]
        values = [f"{job.scores[name]:.4f}" if name in job.scores else "failed" for name in scores]
        table.add_row(str(rank), job.folder.name, *overrides, *values)
    Console().print(table)
    for job in jobs:
        if job.error:
            Console().print(f"Job {job.folder.name} failed: {job.error}", style="red", highlight=False)
