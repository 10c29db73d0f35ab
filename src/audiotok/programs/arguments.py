"""A command line: its flags, its overrides, and the plugins of Hydra that it needs."""

from collections.abc import Sequence
from importlib.util import find_spec

from audiotok.data.reading.passwords import conceal
from audiotok.errors import UserError

# Flags of Hydra that take the argument after them.
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


def split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the flags of a command line, with their values, and its overrides.

    Flags may stand between overrides; argparse, which Hydra reads a line with, takes only one row of those.
    """
    flags: list[str] = []
    overrides: list[str] = []
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        if not argument.startswith("-"):
            overrides.append(argument)
            continue
        flags.append(argument)
        if argument in ("--info", "-i"):  # its value may be left out
            flags.append("all" if not rest or "=" in rest[0] or rest[0].startswith("-") else rest.pop(0))
        elif argument in _WITH_A_VALUE and rest:
            flags.append(rest.pop(0))
    return flags, overrides


def without_passwords(overrides: Sequence[str]) -> list[str]:
    """Return overrides with stars for the passwords in the URLs of data, which this process remembers."""
    return [
        conceal(override) if override.lstrip("+").startswith(("data.", "data=")) else override
        for override in overrides
    ]


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
