"""The Hydra programs: from the command line to one run, or to a sweep of runs."""

import errno
import logging
import math
import multiprocessing
import re
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from tqdm.contrib.logging import logging_redirect_tqdm

from audiotok.errors import ERROR, UserError
from audiotok.run.plugins import search_current_folder

log = logging.getLogger(__name__)
_BY_CTRL_C = 130  # exit status, as shells have it
# Hydra's options that take the argument after them.
_WITH_A_VALUE = {"--cfg", "--config-dir", "--config-name", "--config-path", "--package"}
_WITH_A_VALUE |= {"-c", "-cd", "-cn", "-cp", "-p"}
PLUGINS = {  # what a command line may name: the package of Hydra's plugin, and the extra that installs it
    "hydra/launcher=jobs": ("hydra_joblib_launcher", "joblib"),
    "hydra/launcher=joblib": ("hydra_joblib_launcher", "joblib"),
    "hydra/launcher=slurm": ("hydra_submitit_launcher", "submitit"),
    "hydra/launcher=slurm_local": ("hydra_submitit_launcher", "submitit"),
    "hydra/launcher=submitit_slurm": ("hydra_submitit_launcher", "submitit"),
    "hydra/launcher=submitit_local": ("hydra_submitit_launcher", "submitit"),
    "hydra/launcher=ray_cluster": ("hydra_ray_launcher", "ray-launcher"),
    "hydra/launcher=ray": ("hydra_ray_launcher", "ray-launcher"),
    "hydra/sweeper=optuna": ("hydra_optuna_sweeper", "sweep"),
    "hparams_search": ("hydra_optuna_sweeper", "sweep"),
}


def config_folder() -> Path:
    """Return where the configs lie: inside an installed package, at the root of a checkout."""
    installed = Path(__file__).parent / "configs"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "configs"


def run(config: DictConfig) -> float:
    """Run one job: the function of `experiment` that has the name of the program's YAML.

    Returns the metric that `optimized_metric` names, for sweepers; of the doctor, how many findings are bad.

    A job that fails says so in one line where the user can mend it, and with a traceback where not. Alone,
    it ends the program; in a sweep it leaves `error.txt` and returns NaN, and the others go on. A job of a
    sweep that has its results already is not done again.
    """
    search_current_folder()  # once more: a launcher may have started this process
    from audiotok import experiment  # torch and Lightning take seconds, and --help needs neither
    from audiotok.logger.destination import Destination
    from audiotok.run.processes import leads

    if multiprocessing.get_start_method() == "loky":  # joblib's way, which starts no process that reads clips
        multiprocessing.set_start_method(None, force=True)
    job = HydraConfig.get()
    folder = Path(job.runtime.output_dir)
    in_sweep = job.mode is RunMode.MULTIRUN
    group = Path(job.sweep.dir).name if in_sweep else None
    leader = "trainer" not in config or leads(config.trainer.devices, config.trainer.num_nodes)
    overrides = tuple(job.overrides.task)
    name, program = job.job.override_dirname or folder.name, str(job.job.config_name)
    destination = Destination(folder, name, group, leader, overrides, program)
    try:
        results = experiment.finished(folder, config) if in_sweep else None
        if results:
            log.info("Job %d is done already; its results are in %s.", job.job.num, folder)
        else:
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
        if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EROFS}:
            log.error("hydra.run.dir=%s cannot be written (%s); free some space.", folder, error.strerror)
            raise SystemExit(1) from None  # also of a sweep: its other jobs would find the disk as full
        if not in_sweep:
            raise
        log.exception("The job failed.")
        _leave_error(folder, f"{type(error).__name__}: {error}")
    return math.nan


def _optimized(config: DictConfig, results: dict[str, Any], folder: Path) -> float:
    if "optimized_metric" not in config:
        return math.nan
    if config.optimized_metric not in results:
        raise UserError(
            f"optimized_metric={config.optimized_metric} is no key of {folder / 'metrics.json'}, which "
            f"has {', '.join(results)}; choose one of these."
        )
    return float(results[config.optimized_metric])


def _leave_error(folder: Path, message: str) -> None:
    with suppress(OSError):  # where the disk is full, the log has said it
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ERROR).write_text(message + "\n", encoding="utf-8")


def examine(config: DictConfig) -> None:
    """Run the doctor, and exit with 1 where it found something bad."""
    if run(config):
        raise SystemExit(1)


def repeat(folder: Path, overrides: Sequence[str]) -> None:
    """Run again what the resolved configuration in a run's folder says, whatever the YAML says by now.

    Args:
        folder: The run's folder.
        overrides: Of Hydra, after it.

    Raises:
        UserError: The folder is not that of a run of train or pretrain, or an override names an option.
    """
    path = folder / "config.yaml"
    if not path.is_file():
        raise UserError(f"{folder} is not the folder of a run: it has no {path.name}; give another.")
    text = path.read_text(encoding="utf-8")
    keys = set(re.findall(r"^(\w+):", text, re.MULTILINE))
    if "trainer" not in keys or "doctor" in keys:
        raise UserError(f"{folder} is no run of audiotok train or pretrain; give the folder of one.")
    check_values(overrides)
    name = "pretrain" if "objective" in keys else "train"
    with TemporaryDirectory() as configs:
        (Path(configs) / f"{name}.yaml").write_text(f"{text}\n{_hydra_settings(name)}", encoding="utf-8")
        sys.argv = [f"audiotok {name}", *overrides]
        hydra.main(config_name=name, version_base="1.3", config_path=configs)(run)()


def _hydra_settings(name: str) -> str:
    """Return as YAML what a program, and what it shares with others, sets of Hydra: folders, log, table."""
    files = [config_folder() / f"{part}.yaml" for part in ("_program", "_run", name)]
    return OmegaConf.to_yaml({"hydra": OmegaConf.merge(*(OmegaConf.load(file).hydra for file in files))})


def check_values(overrides: Sequence[str]) -> None:
    """Look for overrides that exchange options of groups: a run's configuration has no groups any more.

    Raises:
        UserError: There is one.
    """
    groups = {folder.name for folder in config_folder().iterdir() if folder.is_dir()}
    for override in overrides:
        key, _, value = override.lstrip("+").partition("=")
        if key in groups and not value.startswith("{") and override != "logger=null":
            raise UserError(
                f"{override} names an option of a group, and a repeat takes values of keys alone "
                "(optimizer.lr=0.001, or logger=null); train anew with that option."
            )


def check_plugins(arguments: Sequence[str]) -> None:
    """Look for the packages of the launchers and sweepers that a command line names.

    Raises:
        UserError: One is not installed; Hydra's own message would not say of which package.
    """
    for argument in arguments:
        option = argument.lstrip("+")
        group = option.partition("=")[0]
        plugin = PLUGINS.get(option) or PLUGINS.get(group)
        if plugin and find_spec(f"hydra_plugins.{plugin[0]}") is None:
            package = plugin[0].replace("_", "-")
            raise UserError(
                f"{option} needs {package}, which is not installed; pip install 'audiotok[{plugin[1]}]'."
            )


def options_first(arguments: Sequence[str]) -> list[str]:
    """Return a command line with its options before its overrides: argparse takes only one row of those."""
    options, overrides, rest = [], [], list(arguments)
    while rest:
        argument = rest.pop(0)
        if not argument.startswith("-"):
            overrides.append(argument)
            continue
        options.append(argument)
        if argument in ("--info", "-i"):  # its value may be left out
            options.append("all" if not rest or "=" in rest[0] or rest[0].startswith("-") else rest.pop(0))
        elif argument in _WITH_A_VALUE and rest:
            options.append(rest.pop(0))
    return options + overrides


def program(name: str, job: Callable[[DictConfig], float | None] = run) -> Callable[[], None]:
    """Return the Hydra program of a YAML of `configs/`; it reads `sys.argv`, and does a job."""
    start = hydra.main(config_name=name, version_base="1.3", config_path=str(config_folder()))(job)

    def checked() -> None:
        search_current_folder()
        sys.argv[1:] = options_first(sys.argv[1:])
        try:
            check_plugins(sys.argv[1:])
        except UserError as error:
            raise SystemExit(str(error)) from None
        start()

    return checked


train, pretrain, prepare = program("train"), program("pretrain"), program("prepare")
doctor = program("doctor", examine)
