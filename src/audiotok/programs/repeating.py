"""`audiotok repeat`: run again what the configuration in a run's folder says."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import hydra
from omegaconf import OmegaConf

from audiotok.errors import UserError
from audiotok.programs.job import run
from audiotok.programs.options import config_folder


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
