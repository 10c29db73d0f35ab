"""What a stored configuration may build: the code of audiotok, and that which the user trusts.

The config.yaml of a run folder may come from anybody, as may the folder of a tokenizer, and whatever it
names is called with the arguments that it gives. So before anything is imported, every `_target_` in it has
to be a class defined in audiotok, one of the few others that `configs/` names, or to lie in a module that the
user has named. Interpolations such as `${oc.env:...}`, which would read the environment, are refused: what is
stored is resolved.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from hydra.utils import get_object

from audiotok.disk.parsing import read_yaml
from audiotok.errors import UserError

_PACKAGE = Path(__file__).parents[1]
# Rooms of audiotok with classes that a configuration builds.
ROOMS = (
    "augment", "callbacks", "clustering", "data", "doctor", "engine", "features", "loader", "logger", "model",
    "tokens", "training",
)  # fmt: skip
# The classes outside audiotok that `configs/` names, and none besides.
OTHERS = (
    "pytorch_lightning.Trainer",
    "pytorch_lightning.callbacks.EarlyStopping",
    "pytorch_lightning.callbacks.ModelCheckpoint",
)
_MOST_CHARACTERS = 100  # of a value that an error shows


def check_trust(path: Path, config: Mapping[str, Any], trusted: Iterable[str] = ()) -> None:
    """Check that a stored configuration builds nothing but what is trusted.

    Args:
        path: The file of the configuration, for errors.
        config: What it says, or what is wanted of it; dictionaries, lists and plain values.
        trusted: Modules whose classes and functions it may name, with those of their submodules.

    Raises:
        UserError: It names something else, or is not resolved.
    """
    trusted = tuple(trusted)
    for module in trusted:
        if not all(part.isidentifier() for part in module.split(".")):
            raise UserError(f"--trust={module} is not the dotted name of a module; give one.")
    foreign = []
    for key, value in _leaves("", config):
        name = key.rpartition(".")[2]
        if isinstance(value, str) and ("${" in value or value == "???"):
            raise UserError(
                f"{path}: {key}={_shown(value)} is not a value, and a run's configuration holds nothing "
                "else; write the value there."
            )
        if key.partition(".")[0] in ("hydra", "defaults"):
            raise UserError(
                f"{path}: {key}={_shown(value)} is a setting of Hydra, which no run's configuration has; "
                "delete it."
            )
        if name == "_target_" and not is_own(value):
            _check_module(path, key, value, trusted)
            foreign.append((key, value))
    for key, target in foreign:
        _check_origin(path, key, target, trusted)


def is_own(target: object) -> bool:
    """Tell whether a `_target_` is a class that is defined in audiotok, or that `configs/` names.

    The source is read, and nothing is imported: a module may also hold functions and the modules that it
    imports, as `audiotok.data.csv.Path`.
    """
    return target in OTHERS or (isinstance(target, str) and target in _classes(target.rpartition(".")[0]))


def modules_of(node: object) -> set[str]:
    """Return the modules outside audiotok that a configuration of the user's own names."""
    targets = [value for key, value in _leaves("", node) if key.rpartition(".")[2] == "_target_"]
    return {str(target).rpartition(".")[0] or str(target) for target in targets if not is_own(target)}


def modules_of_command(overrides: Iterable[str], folders: Iterable[Path]) -> set[str]:
    """Return the modules that the user trusts on a command line of Hydra's.

    These are the modules that overrides name as `_target_`, and those that the options of the user's own
    folders do (`--config-dir`), where they can be read.
    """
    named = {
        override.partition("=")[2].strip("'\"").rpartition(".")[0]
        for override in overrides
        if override.partition("=")[0].endswith("_target_")
    }
    for folder in folders:
        for path in sorted(folder.rglob("*.yaml")):
            with suppress(OSError, ValueError):
                named |= modules_of(read_yaml(path))
    return {module for module in named if module}


def _leaves(key: str, node: object) -> Iterator[tuple[str, Any]]:
    """Go through the values in a tree by their dotted keys, and through keys that could be interpolated."""
    if isinstance(node, Mapping):
        for name, value in node.items():
            path = f"{key}.{name}" if key else str(name)
            if "${" in str(name):
                yield path, name
            if name == "_target_":
                yield path, value
            else:
                yield from _leaves(path, value)
    elif isinstance(node, list):
        for i, value in enumerate(node):
            yield from _leaves(f"{key}.{i}", value)
    else:
        yield key, node


def _check_module(path: Path, key: str, target: object, trusted: tuple[str, ...]) -> None:
    parts = str(target).split(".")
    if not isinstance(target, str) or len(parts) < 2 or not all(part.isidentifier() for part in parts):
        raise UserError(
            f"{path}: {key}={_shown(target)} is not the dotted path of a class; copy the file again."
        )
    if any(target.startswith(f"{module}.") for module in trusted):
        return
    if parts[0] == "audiotok":
        raise UserError(
            f"{path}: {key}={_shown(target)} is not a class of audiotok, and a run's configuration builds "
            "nothing else; copy the file again."
        )
    module = target.rpartition(".")[0]
    raise UserError(
        f"{path}: {key}={_shown(target)} is code from outside audiotok, which a run's configuration may not "
        f"call by itself; if you trust that code, add --trust {module}."
    )


def _check_origin(path: Path, key: str, target: str, trusted: tuple[str, ...]) -> None:
    """Check where what a trusted module holds is defined: it may have imported `os.system`, too."""
    try:
        origin = str(getattr(get_object(target), "__module__", None))
    except (ImportError, ValueError):  # it is missing, which is said where it is built
        return
    if not any(f"{origin}.".startswith(f"{module}.") for module in trusted):
        raise UserError(
            f"{path}: {key}={_shown(target)} is defined in {origin}; if you trust that code, add "
            f"--trust {origin}."
        )


@cache
def _classes(module: str) -> frozenset[str]:
    """Return the dotted paths of the public classes that the source of a module of audiotok defines."""
    package, *parts = module.split(".")
    named = all(part.isidentifier() and not part.startswith("_") for part in parts)
    if package != "audiotok" or not parts or not named or parts[0] not in ROOMS:
        return frozenset()
    source = _PACKAGE.joinpath(*parts).with_suffix(".py")
    if not source.is_file():
        return frozenset()
    names = [node.name for node in ast.parse(source.read_bytes()).body if isinstance(node, ast.ClassDef)]
    return frozenset(f"{module}.{name}" for name in names if not name.startswith("_"))


def _shown(value: object) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}..."
