"""A composed configuration: its checks, its copy in the run's folder, and what it names, built."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from hydra.errors import InstantiationException
from hydra.utils import get_object, instantiate
from omegaconf import DictConfig, OmegaConf, open_dict

from audiotok.data.source import Check, Source
from audiotok.errors import UserError
from audiotok.experiment.signature import check_signature, check_targets, check_value
from audiotok.experiment.stored import anchored, as_yaml
from audiotok.run.destination import Destination
from audiotok.run.folder import RunFolder

_N_SEEDS = 2**32  # of numpy's generators


@dataclass(frozen=True)
class Root:
    """The keys at the root of `configs/train.yaml`, and their types."""

    seed: int
    cache_dir: str
    threads: int | Literal["auto"]
    compile: bool
    ckpt_path: str | None
    optimized_metric: str


@dataclass(frozen=True)
class PrepareRoot:
    """The keys at the root of `configs/prepare.yaml`, and their types."""

    cache_dir: str
    check: Check
    min_positives: int
    fill: Literal["none", "frames", "tokens"]
    seed: int


def begin(config: DictConfig, destination: Destination, root: type[Root | PrepareRoot]) -> None:
    """Check a configuration, and write it to the run's folder, without results of an earlier run."""
    check(config, root)
    destination.begin()
    if destination.leads:
        destination.folder.write_config(as_yaml(config))


def finished(folder: RunFolder, config: DictConfig) -> dict[str, Any] | None:
    """Return the results in a run's folder, if it has any and they are of this configuration."""
    try:
        results, ran = folder.read_metrics(), folder.read_config()
    except (OSError, ValueError):
        return None
    return results if anchored(ran) == anchored(plain(config)) else None


def check_early(config: DictConfig, root: type[Root | PrepareRoot]) -> None:
    """Check what takes no time and needs no torch: the types of values, and the files that they name.

    Args:
        config: Composed from one of the programs' YAMLs.
        root: The keys at its root.

    Raises:
        UserError: A value is of the wrong type, or a file is missing or lacks a column.
    """
    check(config, root, imported=False)
    source = build_node(config.data)
    if isinstance(source, Source):  # a plugin may have written another class
        source.check_tables()
    if config.get("ckpt_path") and not Path(config.ckpt_path).is_file():
        raise UserError(
            f"ckpt_path={config.ckpt_path} is not a file; give one of a run's checkpoints/, or null to start "
            "from the beginning."
        )


def check(config: DictConfig, root: type[Root | PrepareRoot] = Root, *, imported: bool = True) -> None:
    """Compare every value with the type hint of the parameter that it configures.

    Args:
        config: Composed from one of the programs' YAMLs.
        root: The keys at its root.
        imported: Whether what is configured is imported; otherwise its source is read.

    Raises:
        UserError: A value is of the wrong type.
    """
    values = plain(config)
    groups = {key: node for key, node in values.items() if isinstance(node, dict)}
    check_value("model.init_from", groups.get("model", {}).pop("init_from", None), str | None)
    for key, node in groups.items():
        check_signature(key, node, imported=imported)
    keys = {key: value for key, value in values.items() if key not in groups and key != "logger"}
    check_signature("", {"_target_": f"{__name__}.{root.__name__}", **keys})
    if not 0 <= keys.get("seed", 0) < _N_SEEDS:
        raise UserError(f"seed must be 0 to {_N_SEEDS - 1}, got {keys['seed']}.")
    if keys.get("threads", "auto") != "auto" and keys["threads"] < 1:
        raise UserError(f"threads must be auto, or 1 or more, got {keys['threads']}.")
    if not keys.get("cache_dir", "."):
        raise UserError("cache_dir is empty; give a folder.")


def model_node(config: DictConfig) -> DictConfig:
    """Return the model's node without `init_from`, which the experiment reads and no model knows."""
    node = config.model.copy()
    with open_dict(node):
        node.pop("init_from", None)
    return node


def build_node(node: DictConfig, **derived: object) -> Any:
    """Build what a node names.

    Raises:
        UserError: As the constructor raises it, or because what the node names cannot be imported.
    """
    try:
        partial = instantiate(node, _convert_="all", _partial_=True)
        return partial(**derived)
    except InstantiationException as error:
        if isinstance(error.__cause__, UserError):
            raise error.__cause__ from None
        check_targets(node._get_full_key(None), plain(node))  # of a run whose plugin is elsewhere
        raise


def build_offered(node: DictConfig, offered: Mapping[str, object]) -> Any:
    """Build what a node names, and hand it what its constructor takes and the node leaves open.

    Args:
        node: Names a class or function.
        offered: Arguments by their names; a value in the node wins over them.

    Raises:
        UserError: As for `build_node`.
    """
    check_targets(node._get_full_key(None), {"_target_": node._target_})
    parameters = inspect.signature(get_object(node._target_)).parameters
    taken = {name: value for name, value in offered.items() if name in parameters and node.get(name) is None}
    return build_node(node, **taken)


def plain(config: DictConfig) -> dict[str, Any]:
    """Return a configuration as dictionaries and lists, resolved."""
    resolved = OmegaConf.to_container(config, resolve=True)
    assert isinstance(resolved, dict)
    return {str(key): value for key, value in resolved.items()}
