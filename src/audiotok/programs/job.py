"""One job of a program: a run, or one run of a sweep."""

import logging
import math
import multiprocessing
import os
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
from audiotok.experiment.configuration import PrepareRoot, Root, check_early
from audiotok.run.destination import Destination
from audiotok.run.folder import RunFolder
from audiotok.run.plugins import search_current_folder
from audiotok.run.processes import leads

log = logging.getLogger(__name__)
_BY_CTRL_C = 130  # exit status, by the convention of shells


def run(config: DictConfig) -> float:
    """Run one job: the function of `experiment` that has the name of the program's YAML.

    A job that fails logs one line if the user can fix the cause, and a traceback otherwise. A single run then
    ends the program. In a sweep the job writes `error.txt` and returns NaN, and the other jobs continue. A
    job of a sweep that already has results is skipped.

    Returns:
        The metric that `optimized_metric` names, for sweepers; for the doctor, the number of bad findings.
    """
    search_current_folder()  # once more: a launcher may have started this process
    if multiprocessing.get_start_method() == "loky":  # joblib's method, which cannot start DataLoader workers
        multiprocessing.set_start_method(None, force=True)
    job = HydraConfig.get()
    folder = RunFolder(Path(job.runtime.output_dir))
    in_sweep = job.mode is RunMode.MULTIRUN
    group = Path(job.sweep.dir).name if in_sweep else None
    leader = "trainer" not in config or leads(config.trainer.devices, config.trainer.num_nodes)
    overrides = tuple(job.overrides.task)
    name, program = job.job.override_dirname or folder.path.name, str(job.job.config_name)
    destination = Destination(folder, name, group, leader, overrides, program)
    if leader:
        log.info("Run folder: %s", os.path.relpath(folder.path))
    try:
        results = experiment.finished(folder, config) if in_sweep else None
        if results:
            log.info("Job %d is done already; its results are in %s.", job.job.num, folder)
        else:
            destination.begin()
            check_early(config, PrepareRoot if program == "prepare" else Root)
            with logging_redirect_tqdm():  # log lines go above progress bars, not into them
                results = getattr(experiment, program)(config, destination)
        return float(results["n_bad"]) if "n_bad" in results else _optimized(config, results, folder)
    except KeyboardInterrupt:
        log.error("Stopped.")
        raise SystemExit(_BY_CTRL_C) from None
    except UserError as error:
        log.error("%s", error)
        _leave_error(folder, str(error))
        if not in_sweep:
            raise SystemExit(1) from None
    except Exception as error:
        places = {"hydra.run.dir": folder.path, "cache_dir": Path(str(config.cache_dir)).expanduser()}
        sentence = complaint(error, places) if isinstance(error, OSError) else None
        if sentence:
            log.error("%s", sentence)
            raise SystemExit(1) from None  # also of a sweep: its other jobs would find the disk as full
        if not in_sweep:
            raise
        log.exception("The job failed.")
        _leave_error(folder, f"{type(error).__name__}: {error}")
    return math.nan


def _optimized(config: DictConfig, results: dict[str, Any], folder: RunFolder) -> float:
    if "optimized_metric" not in config:
        return math.nan
    if config.optimized_metric not in results:
        raise UserError(
            f"optimized_metric={config.optimized_metric} is not a key of {folder.metrics}, which "
            f"has {', '.join(results)}; choose one of these."
        )
    return float(results[config.optimized_metric])


def _leave_error(folder: RunFolder, message: str) -> None:
    with suppress(OSError):  # where the disk is full, the log has said it
        folder.write_error(message)


def examine(config: DictConfig) -> None:
    """Run the doctor, and exit with 1 where it found something bad."""
    if run(config):
        raise SystemExit(1)
