"""`audiotok repeat`: run the configuration in a run's folder again, whatever `configs/` says by now.

That configuration is resolved and has no groups, so overrides may change values, and not exchange options.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from audiotok.errors import UserError
from audiotok.nodes.trust import check_trust, modules_of_command
from audiotok.programs.arguments import check_flags, check_plugins, split, without_passwords
from audiotok.programs.job import run
from audiotok.programs.options import config_folder, config_folders
from audiotok.programs.spelling import closest
from audiotok.programs.unwritable import disk_errors_in_a_sentence
from audiotok.run.folder import RunFolder
from audiotok.run.reader import flatten


def repeat(path: Path, arguments: Sequence[str], trust: Sequence[str] = ()) -> None:
    """Run again what a run's folder says, in a new folder.

    Args:
        path: The folder of a run of train or pretrain.
        arguments: Flags and overrides of Hydra that follow it on the command line.
        trust: Modules outside audiotok that its configuration may name.

    Raises:
        UserError: The folder is not that of such a run, its configuration names code that is not trusted, or
            an override names an option of a group or a key that the configuration lacks.
    """
    folder = RunFolder(path)
    if not folder.config.is_file():
        raise UserError(f"{folder} is not the folder of a run: it has no {folder.config.name}; give another.")
    try:
        config, program = folder.read_config(), folder.program
    except (OSError, ValueError) as error:
        raise UserError(f"{folder.config} cannot be read ({error}); copy it again.") from error
    if program not in ("train", "pretrain"):
        raise UserError(f"{folder} is not a run of audiotok train or pretrain; give the folder of one.")
    check_flags(arguments)
    flags, overrides = split(arguments)
    overrides = without_passwords(overrides)
    trusted = {*trust, *modules_of_command(overrides, config_folders(flags)[1:])}
    check_trust(folder.config, config, sorted(trusted))
    check_plugins(overrides)
    check_values(overrides)
    check_keys(overrides, folder.config, config)
    sys.argv = [f"audiotok {program}", *flags, *overrides]
    with _stored(program, {**config, "hydra": _hydra_settings(program)}), disk_errors_in_a_sentence():
        hydra.main(config_name=program, version_base="1.3", config_path=None)(run)()


@contextmanager
def _stored(name: str, config: dict[str, Any]) -> Iterator[None]:
    """Let Hydra find a configuration under a name, as long as the block lasts.

    Afterwards it would take that of `configs/` for one that has to match this one.
    """
    store = ConfigStore.instance()
    store.store(name, OmegaConf.create(config))
    try:
        yield
    finally:
        del store.repo[f"{name}.yaml"]


def _hydra_settings(program: str) -> Any:
    """Return what a program, and what it shares with others, sets of Hydra: folders, log, table."""
    files = [config_folder() / f"{part}.yaml" for part in ("_program", "_run", program)]
    return OmegaConf.merge(*(OmegaConf.load(file).hydra for file in files))


def check_values(overrides: Sequence[str]) -> None:
    """Check that overrides do not exchange options of groups, which a resolved configuration does not have.

    Raises:
        UserError: One of them does.
    """
    groups = {folder.name for folder in config_folder().iterdir() if folder.is_dir()}
    for override in overrides:
        key, _, value = override.lstrip("+").partition("=")
        if key in groups and not value.startswith("{") and override != "logger=null":
            raise UserError(
                f"{override} names an option of a group, and a repeat takes only values of keys "
                "(optimizer.lr=0.001, or logger=null); train anew with that option."
            )


def check_keys(overrides: Sequence[str], path: Path, config: dict[str, Any]) -> None:
    """Check that overrides change keys that a configuration has; `+key=value` may add others.

    Args:
        overrides: Overrides of Hydra.
        path: The file of the configuration, for errors.
        config: The configuration.

    Raises:
        UserError: One of them does not.
    """
    keys = list(flatten(config))
    groups = {key[:end] for key in keys for end in range(len(key)) if key[end] == "."}
    for override in overrides:
        key = override.partition("=")[0]
        if override.startswith(("+", "~")) or key in {*keys, *groups, "logger"} or key.startswith("hydra"):
            continue
        close = " or ".join(closest(key, keys))
        advice = f"did you mean {close}?" if close else "give a key that it has, or add one with +."
        raise UserError(f"{override} names no key of {path}; {advice}")
