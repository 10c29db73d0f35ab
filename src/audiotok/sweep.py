"""Hydra's callback around a run and around the jobs of a multirun: their folder, checks, final tables."""

import logging
import os
from collections.abc import Callable
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from rich.console import Console
from rich.table import Table

from audiotok.disk.writing import complaint, write_rows
from audiotok.errors import UserError
from audiotok.run.claim import claim, claim_new, release
from audiotok.run.jobs import (
    REPLICATED,
    Job,
    Replicates,
    average,
    ranked,
    read_jobs,
    short_names,
    short_value,
    table_columns,
)
from audiotok.run.processes import is_first
from audiotok.run.stopping import at_end, forward
from audiotok.run.sweep_folder import SweepFolder

log = logging.getLogger(__name__)
_WIDE = 10_000  # characters a line, where output goes to a file or a pipe


class Sweep(Callback):
    """Refuse sweeps that cannot work, resume those that were stopped, and rank the jobs at the end.

    The tables are printed and written to the sweep's folder, also where a signal ends the sweep; the exit
    status is 1 if a job failed or a table cannot be written. A folder that two processes would write is
    refused to the second one, and a folder named after the time gets a number where it exists.
    """

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Claim the folder of a single run."""
        if is_first():
            _end_with_a_sentence(partial(claim_folder, config, "run"), config.hydra.run.dir, "hydra.run.dir")

    def on_run_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Release the folder of a single run."""
        release(Path(config.hydra.run.dir))

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check the sweep before its first job."""
        _end_with_a_sentence(partial(self._begin, config), config.hydra.sweep.dir, "hydra.sweep.dir")

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Write and print the tables after the last job."""
        folder = SweepFolder(Path(config.hydra.sweep.dir))
        tables = partial(self._write_tables, folder, str(config.optimized_metric))
        try:
            _end_with_a_sentence(tables, folder.path, "hydra.sweep.dir")
        finally:
            release(folder.path)

    def _begin(self, config: DictConfig) -> None:
        claim_folder(config, "sweep")
        check_folder(config.hydra)
        if is_search(config.hydra):
            check_direction(config.hydra.sweeper, str(config.optimized_metric))
            resume_study(config.hydra.sweeper)
        _begin_folder(config)
        at_end(partial(self._stop, config))
        if ".hydra_joblib_launcher." in config.hydra.launcher._target_:
            forward()

    def _stop(self, config: DictConfig) -> None:
        """Write the tables of what is done, and say how to go on."""
        folder = os.path.relpath(config.hydra.sweep.dir)
        again = "" if is_search(config.hydra) else f" with hydra.sweep.dir={folder}"
        try:
            if SweepFolder(Path(folder)).jobs():
                self.on_multirun_end(config)
        finally:
            log.error("The sweep was stopped; the same command%s runs the jobs that are missing.", again)

    def _write_tables(self, folder: SweepFolder, metric: str) -> None:
        jobs = ranked(read_jobs(folder), metric)
        if not jobs:
            log.info("No jobs are left to run.")
            return
        write_csv(folder.table, jobs, metric)
        show(jobs, metric, folder.table)
        settings = average(jobs, metric)
        if any(setting.n_jobs > 1 for setting in settings):
            write_means(folder.means, settings)
            show_means(settings, folder.means)
        if any(job.error for job in jobs):
            raise SystemExit(1)


def _end_with_a_sentence(do: Callable[[], object], folder: str | Path, key: str) -> None:
    """Do something, and end the program with 1 and a sentence if that fails: Hydra would only warn."""
    try:
        do()
    except UserError as error:
        log.error("%s", error)
    except OSError as error:
        sentence = complaint(error, {key: folder})
        log.error("%s", sentence or f"{key}={folder}: {error}.", exc_info=sentence is None)
    except Exception:
        log.exception("%s=%s: the callback of the sweep failed.", key, folder)
    else:
        return
    raise SystemExit(1)


def claim_folder(config: DictConfig, kind: str) -> None:
    """Claim the folder of a run or of a sweep; one that is named after the time is a new one.

    Args:
        config: With Hydra's own under `hydra`; the name of a new folder is changed in it.
        kind: "run" or "sweep".

    Raises:
        UserError: Another process has claimed it.
        OSError: It cannot be created.
    """
    pattern = str(OmegaConf.to_container(config.hydra[kind], resolve=False)["dir"])  # type: ignore[call-overload, index]
    HydraConfig.instance().cfg = config  # type: ignore[assignment]  # so that later errors can name the folder
    folder = Path(config.hydra[kind].dir)
    if "${now:" not in pattern:
        claim(folder, f"hydra.{kind}.dir")
        return
    new = claim_new(folder)
    if new != folder:
        quoted = str(new).replace("\\", "\\\\").replace("'", "\\'")
        with read_write(config), open_dict(config):
            config.hydra[kind].dir = str(new)
            config.hydra.overrides.hydra.append(f"hydra.{kind}.dir='{quoted}'")  # jobs compose anew


def _begin_folder(config: DictConfig) -> None:
    """Create the folder of a sweep with Hydra's record of its overrides, which Hydra itself may leave half.

    Raises:
        UserError: It cannot be written.
    """
    folder = SweepFolder(Path(config.hydra.sweep.dir))
    try:
        folder.begin(OmegaConf.to_yaml(config))
    except OSError as error:
        sentence = complaint(error, {"hydra.sweep.dir": folder.path})
        if sentence is None:
            raise
        raise UserError(sentence) from error


def is_search(hydra: DictConfig) -> bool:
    """Tell whether optuna chooses the settings of the jobs."""
    return ".hydra_optuna_sweeper." in hydra.sweeper._target_


def check_folder(hydra: DictConfig) -> None:
    """Check that a sweep's folder is empty, or contains the same sweep, which then resumes.

    Raises:
        UserError: It contains another sweep, whose results would be overwritten.
    """
    folder = SweepFolder(Path(hydra.sweep.dir))
    if not folder.jobs():
        return
    if is_search(hydra):
        raise UserError(
            f"hydra.sweep.dir={folder.path} contains jobs, and a search numbers its own from 0; leave it "
            f"out: the study resumes from {hydra.sweeper.storage}."
        )
    try:
        before = folder.read_overrides()
    except (OSError, ValueError):  # without Hydra's record, each job still compares its configuration
        return
    now = list(hydra.overrides.task)
    if before != now:
        there = " ".join(override for override in before if override not in now) or "another order"
        here = " ".join(override for override in now if override not in before) or "nothing"
        raise UserError(
            f"hydra.sweep.dir={folder.path} contains another sweep ({there} there, {here} here); "
            "repeat its command line to resume it, or choose another folder."
        )


def check_direction(sweeper: DictConfig, metric: str) -> None:
    """Check that a search optimises its metric in the right direction; optuna minimises by default.

    Raises:
        UserError: It would search for the worst settings.
    """
    wanted = "minimize" if "loss" in metric else "maximize"
    direction = sweeper.direction
    if isinstance(direction, str | Enum) and getattr(direction, "name", direction) != wanted:
        raise UserError(
            f"hydra.sweeper.direction={getattr(direction, 'name', direction)} searches for the worst "
            f"optimized_metric={metric}; set it to {wanted}."
        )


def resume_study(sweeper: DictConfig) -> None:
    """Subtract the finished trials of a study from `n_trials`, and create the folder of its database."""
    import optuna

    storage = str(sweeper.storage or "")
    if not storage:
        return
    if storage.startswith("sqlite:///"):
        Path(storage.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        trials = optuna.load_study(sweeper.study_name, storage).trials
    except KeyError:  # the study does not exist yet
        return
    n_done = sum(trial.state.is_finished() for trial in trials)
    log.info("Study %s resumes: %d of %d trials are finished.", sweeper.study_name, n_done, sweeper.n_trials)
    sweeper.n_trials = max(0, sweeper.n_trials - n_done)


def _names(settings: list[Replicates]) -> list[str]:
    """Return the names of the scores that any setting has."""
    return list(dict.fromkeys(name for setting in settings for name in setting.means))


def write_csv(path: Path, jobs: list[Job], metric: str) -> None:
    """Write one row for each job, best first."""
    varied, scores = table_columns(jobs, metric)
    rows: list[list[object]] = [["rank", "job", *varied, *scores, "error"]]
    for rank, job in enumerate(jobs, start=1):
        overrides = [job.overrides.get(key, "") for key in varied]
        values = [job.scores.get(name, "") for name in scores]
        rows.append([rank, job.folder.path.name, *overrides, *values, job.error])
    write_rows(path, rows)


def show(jobs: list[Job], metric: str, path: Path) -> None:
    """Print the table of jobs, and their errors.

    Args:
        jobs: Best first.
        metric: Score that they are ranked by.
        path: File of the same table, which the line above it names.
    """
    varied, scores = table_columns(jobs, metric)
    table = Table()
    for name in ["rank", "job", *short_names(varied)]:
        table.add_column(name, overflow="fold")
    for name in scores:
        table.add_column(name, justify="right", overflow="fold", min_width=len("12.3456"))
    for rank, job in enumerate(jobs, start=1):
        overrides = [short_value(job.overrides.get(key, "")) for key in varied]
        absent = "failed" if job.error else ""
        values = [f"{job.scores[name]:.4f}" if name in job.scores else absent for name in scores]
        table.add_row(str(rank), job.folder.path.name, *overrides, *values)
    console = _console()
    n_jobs = "1 job" if len(jobs) == 1 else f"{len(jobs):,} jobs"
    console.print(f"{n_jobs} by {metric} ({path}):", highlight=False, soft_wrap=True)
    console.print(table, crop=False)  # a terminal wraps lines that are too long
    for job in jobs:
        if job.error:
            error = f"Job {job.folder.path.name} failed: {job.error}"
            console.print(error, style="red", highlight=False, soft_wrap=True)


def _console() -> Console:
    """Return a console that prints text verbatim: settings and errors may contain [brackets] and :colons:.

    In a terminal, names and settings are folded; elsewhere a table is as wide as its content.
    """
    console = Console(markup=False, emoji=False)
    if not console.is_terminal:
        console.width = _WIDE
    return console


def write_means(path: Path, settings: list[Replicates]) -> None:
    """Write one row for each setting: how many jobs it has, and mean and deviation of every score."""
    names = _names(settings)
    header: list[object] = [
        *settings[0].overrides,
        "jobs",
        *(f"{n} {part}" for n in names for part in ("mean", "sd")),
    ]
    rows: list[list[object]] = [header]
    for setting in settings:
        values = [value for n in names for value in (setting.means.get(n, ""), setting.deviations.get(n, ""))]
        rows.append([*setting.overrides.values(), setting.n_jobs, *values])
    write_rows(path, rows)


def show_means(settings: list[Replicates], path: Path) -> None:
    """Print the table of means; settings are in the order of their best jobs.

    Args:
        settings: The averaged jobs.
        path: File of the same table, which the line above it names.
    """
    names = _names(settings)
    table = Table()
    for name in [*short_names(list(settings[0].overrides)), "jobs"]:
        table.add_column(name, overflow="fold")
    for name in names:
        table.add_column(name, justify="right", overflow="fold", min_width=len("0.1234 ± 0.1234"))
    for setting in settings:
        values = [_with_deviation(setting, name) for name in names]
        table.add_row(*map(short_value, setting.overrides.values()), str(setting.n_jobs), *values)
    console = _console()
    title = f"Mean ± standard deviation over {', '.join(REPLICATED)} ({path}):"
    console.print(title, highlight=False, soft_wrap=True)
    console.print(table, crop=False)


def _with_deviation(setting: Replicates, name: str) -> str:
    if name not in setting.means:
        return ""
    mean = f"{setting.means[name]:.4f}"
    return f"{mean} ± {setting.deviations[name]:.4f}" if setting.n_jobs > 1 else mean
