"""A command line: its flags, its overrides, and the plugins of Hydra that it needs."""

import re
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from audiotok.data.reading.passwords import conceal
from audiotok.errors import UserError
from audiotok.run.trained import find_trained, is_tokenizer

# Flags of Hydra that take the argument after them.
_WITH_A_VALUE = {"--cfg", "--config-dir", "--config-name", "--config-path", "--package"}
_WITH_A_VALUE |= {"-c", "-cd", "-cn", "-cp", "-p"}
# Other flags of Hydra, which argparse also knows by their beginnings.
_ALONE = {"--help", "-h", "--hydra-help", "--version", "--resolve", "--run", "-r", "--multirun", "-m"}
_ALONE |= {"--shell-completion", "-sc", "--experimental-rerun", "--info", "-i"}
# Values of a group that Hydra ends with a traceback for: what its grammar reads as no text.
_NO_NAME = re.compile(
    r"null|true|false|[+-]?(\d[\d_]*(\.\d*)?|\.\d+)(e[+-]?\d+)?|[+-]?inf|nan", re.IGNORECASE
)
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
_UNSET = ("experiment", "hparams_search")  # groups without an option by default


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


def with_data(arguments: Sequence[str]) -> list[str]:
    """Return overrides, with `data=OPTION data.root=PATH` for an argument that is a path alone.

    Args:
        arguments: Overrides, among which may be a folder or a file.

    Raises:
        UserError: It does not exist or cannot be data, or there are several.
    """
    paths = [argument for argument in arguments if is_path(argument)]
    if not paths:
        return list(arguments)
    rest = [argument for argument in arguments if argument not in paths]
    if len(paths) > 1:
        raise UserError(f"{' and '.join(paths)} are several folders or tables; give one.")
    if any(argument.startswith("data.root=") for argument in rest):
        raise UserError(f"{paths[0]} stands for data.root, which is given too; leave one of them out.")
    from audiotok.data.recognition import option_of  # imports what reads sound

    is_chosen = any(argument.startswith("data=") for argument in rest)
    chosen = [] if is_chosen else [f"data={option_of(paths[0])}"]
    return [*chosen, f"data.root={quoted(paths[0])}", *rest]


def with_run(
    verb: str, arguments: Sequence[str], *, needed: bool = True, with_data: bool = True
) -> list[str]:
    """Return overrides with `run=PATH` for the first argument that is a path alone: a finished run.

    A verb that needs no data also takes the folder of a tokenizer.

    Args:
        verb: What the run is for, `evaluate` for example.
        arguments: Overrides, among which should be that path, and data.
        needed: Whether a run must be there, as it must unless help is asked for.
        with_data: Whether data must be there too.

    Raises:
        UserError: One is missing, or the path is not that of a finished run.
    """
    paths = [argument for argument in arguments if is_path(argument)]
    rest = [argument for argument in arguments if argument not in paths[:1]]
    given = [f"run={quoted(paths[0])}"] if paths else []
    if not needed:
        return [*given, *rest]
    if not paths and not any(argument.startswith("run=") for argument in rest):
        data = " data=OPTION" if with_data else ""
        raise UserError(f"audiotok {verb} needs a finished run; write audiotok {verb} RUN{data}.")
    if paths and (with_data or not is_tokenizer(Path(paths[0]).expanduser())):
        find_trained(Path(paths[0]).expanduser())
    if with_data and not paths[1:] and not any(argument.startswith("data=") for argument in rest):
        raise UserError(
            f"audiotok {verb} needs data; add data=OPTION data.root=PATH, or the path of a folder or table."
        )
    return [*given, *rest]


def is_path(argument: str) -> bool:
    """Tell whether an argument is a path alone, and not an override."""
    if argument.startswith(("/", "./", "../", "~/")):
        return "=" not in argument or Path(argument).expanduser().exists()
    return "=" not in argument and not argument.startswith("~")  # ~key leaves a key out


def quoted(text: str) -> str:
    """Return a text as an override's value, in quotes: Hydra's grammar would read something else of many."""
    escaped = re.sub(r"(\\*)'", r"\1\1\\'", text)  # backslashes count before a quote alone
    trailing = len(escaped) - len(escaped.rstrip("\\"))
    return f"'{escaped}{escaped[len(escaped) - trailing :]}'"


def without_passwords(overrides: Sequence[str]) -> list[str]:
    """Return overrides with stars for the passwords in the URLs of data, which this process remembers."""
    return [
        conceal(override) if override.lstrip("+").startswith(("data.", "data=")) else override
        for override in overrides
    ]


def check_flags(arguments: Sequence[str]) -> None:
    """Look for overrides that are written as options of other programs are.

    Args:
        arguments: The whole command line after the program.

    Raises:
        UserError: There is one, `--clustering.n_clusters=5` or `--n_clusters 5` for example.
    """
    known = _WITH_A_VALUE | _ALONE
    for number, argument in enumerate(arguments):
        flag, equals, value = argument.partition("=")
        name = flag.lstrip("-")
        is_value = number and arguments[number - 1] in _WITH_A_VALUE
        is_begun = len(name) > 1 and flag.startswith("--") and any(other.startswith(flag) for other in known)
        if not flag.startswith("-") or flag in known or is_begun or is_value or not name:
            continue
        following = arguments[number + 1] if number + 1 < len(arguments) else ""
        if not equals and following and "=" not in following and not following.startswith("-"):
            value = following
        raise UserError(
            f"{argument} is not a flag; write key=value without --, for example {name}={value or 'VALUE'}."
        )


def check_choices(overrides: Sequence[str], groups: Mapping[str, Sequence[str]]) -> None:
    """Look for groups that are set to what cannot be the name of an option, a number for example.

    Args:
        overrides: Of a command line.
        groups: The options of every group.

    Raises:
        UserError: There is one.
    """
    for override in overrides:
        group, _, value = override.partition("=")
        if (
            group in groups
            and _NO_NAME.fullmatch(value.strip())
            and not (value == "null" and group in _UNSET)
        ):
            raise UserError(f"{override} is not an option; choose one of {', '.join(groups[group])}.")


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
