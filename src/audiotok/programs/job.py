"""One job of a program: a run, or one run of a sweep."""

import logging
import math
import multiprocessing
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig
from tqdm.contrib.logging import logging_redirect_tqdm

from audiotok import experiment
from audiotok.disk.writing import complaint
from audiotok.errors import UserError
from audiotok.experiment.configuration import check_early
from audiotok.experiment.stored import leave_out_passwords
from audiotok.experiment.tokenizer import take_tokenizer
from audiotok.run.destination import Destination
from audiotok.run.folder import RunFolder
from audiotok.run.plugins import search_current_folder
from audiotok.run.processes import leads
from audiotok.run.stopping import Stopped, asked, handling_signals

log = logging.getLogger(__name__)


def run(config: DictConfig) -> float:
    """Run one job: the function of `experiment` that has the name of the program's YAML.

    A job that fails logs one line if the user can fix the cause, and a traceback otherwise. A single run then
    ends the program. In a sweep the job writes `error.txt` and returns NaN, and the other jobs continue. A
    job of a sweep that already has results is skipped. A signal ends the program, or the sweep.

    Returns:
        The metric that `optimized_metric` names, for sweepers; for the doctor, the number of bad findings.

    Raises:
        SystemExit: The program ends, with this status.
    """
    try:
        with handling_signals():
            return _run(config)
    except Stopped as stopped:
        if multiprocessing.current_process().name == "MainProcess":
            raise
        logging.shutdown()  # a launcher's process would go on with its next job
        os._exit(int(stopped.code or 1))


def _run(config: DictConfig) -> float:
    search_current_folder()  # once more: a launcher may have started this process
    if multiprocessing.get_start_method() == "loky":  # joblib's method, which cannot start DataLoader workers
        multiprocessing.set_start_method(None, force=True)
    job = HydraConfig.get()
    folder = RunFolder(Path(job.runtime.output_dir))
    leave_out_passwords(config, folder.overrides.parent)
    in_sweep = job.mode is RunMode.MULTIRUN
    group = Path(job.sweep.dir).name if in_sweep else None
    leader = "trainer" not in config or leads(config.trainer.devices, config.trainer.num_nodes)
    overrides = tuple(job.overrides.task)
    name, program = job.job.override_dirname or folder.path.name, str(job.job.config_name)
    destination = Destination(folder, name, group, leader, overrides, program)
    if leader:
        log.info("Run folder: %s", os.path.relpath(folder.path))
    try:
        take_tokenizer(config, overrides)
        results = experiment.finished(folder, config) if in_sweep else None
        if results:
            log.info("Job %d is done already; its results are in %s.", job.job.num, folder)
        else:
            destination.begin()
            check_early(config, program)
            with logging_redirect_tqdm():  # log lines go above progress bars, not into them
                results = _program(program)(config, destination)
        return float(results["n_bad"]) if "n_bad" in results else _optimized(config, results, folder)
    except (Exception, SystemExit) as error:
        stopped = asked()
        if stopped:  # whatever was raised: the same signal may have ended a process that this one waited for
            log.error("%s%s.", stopped, _how_to_go_on(folder, program, in_sweep, stopped))
            raise stopped from None
        if isinstance(error, SystemExit):
            raise
        _report(error, config, folder, in_sweep)
    return math.nan


def _program(name: str) -> Callable[[DictConfig, Destination], dict[str, Any]]:
    if name == "evaluate":  # which uses finished runs, and is built on more than `experiment`
        from audiotok.evaluation.program import evaluate

        return evaluate
    if name == "explore":
        from audiotok.explore.program import explore

        return explore
    function: Callable[[DictConfig, Destination], dict[str, Any]] = getattr(experiment, name)
    return function


def _report(error: Exception, config: DictConfig, folder: RunFolder, in_sweep: bool) -> None:
    """Log an error, and raise it where it ends more than this job of a sweep."""
    if isinstance(error, UserError):
        log.error("%s", error)
        _leave_error(folder, str(error))
        if not in_sweep:
            raise SystemExit(1) from None
        return
    cache = os.path.expanduser(str(config.cache_dir))  # noqa: PTH111  # Path's raises for a user without a home
    places = {"hydra.run.dir": folder.path, "cache_dir": Path(cache)}
    sentence = complaint(error, places) if isinstance(error, OSError) else None
    if sentence:
        log.error("%s", sentence)
        raise SystemExit(1) from None  # also of a sweep: its other jobs would find the disk as full
    if not in_sweep:
        raise error
    log.exception("The job failed.")
    _leave_error(folder, f"{type(error).__name__}: {error}")


def _optimized(config: DictConfig, results: dict[str, Any], folder: RunFolder) -> float:
    if "optimized_metric" not in config:
        return math.nan
    if config.optimized_metric not in results:
        raise UserError(
            f"optimized_metric={config.optimized_metric} is not a key of {folder.metrics}, which "
            f"has {', '.join(results)}; choose one of these."
        )
    return float(results[config.optimized_metric])


def _how_to_go_on(folder: RunFolder, program: str, in_sweep: bool, stopped: Stopped) -> str:
    """Say how a run that was stopped goes on; a sweep says so itself, once for all jobs."""
    if in_sweep or program in ("doctor", "evaluate", "explore"):
        return ""
    if not folder.last.exists():
        return "; the same command begins again, with what is in the cache"
    lost_place = stopped.place.startswith("in epoch")  # `Interruption` has written no checkpoint
    does = "resumes from its beginning" if lost_place else "continues from there"
    return f"; ckpt_path={os.path.relpath(folder.last)} {does}"


def _leave_error(folder: RunFolder, message: str) -> None:
    with suppress(OSError):  # where the disk is full, the log has said it
        folder.write_error(message)


def examine(config: DictConfig) -> None:
    """Run the doctor, and exit with 1 where it found something bad."""
    if run(config):
        raise SystemExit(1)
