"""The configuration that a benchmark measures: that of a command, without running it."""

from collections.abc import Sequence

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from audiotok.programs import config_folder


def compose_program(overrides: Sequence[str], program: str = "train") -> DictConfig:
    """Compose what `python train.py OVERRIDES`, or another program, would run with."""
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        return compose(program, list(overrides))


def data_overrides(root: str | None) -> list[str]:
    """Return the overrides for a folder in AudioSet's layout; without one, for the embedded dataset."""
    return ["data=audioset", f"data.root={root}"] if root else ["data=synthetic"]
