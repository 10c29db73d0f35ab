"""The configuration groups as they lie on the disk."""

from pathlib import Path

_PACKAGE = Path(__file__).parents[1]


def config_folder() -> Path:
    """Return the folder of the configs: inside an installed package, at the root of a checkout."""
    installed = _PACKAGE / "configs"
    return installed if installed.is_dir() else _PACKAGE.parents[1] / "configs"
