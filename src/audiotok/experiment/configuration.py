"""A composed configuration: its checks, its copy in the run's folder, and what it names, built."""

import inspect
import re
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Interval
from hydra.errors import InstantiationException
from hydra.utils import get_object, instantiate
from omegaconf import DictConfig, OmegaConf, open_dict

from audiotok.data.source import Check, Source
from audiotok.errors import UserError
from audiotok.errors.ranges import Count, NotNegative, Seconds, Seed, ShareAboveZero, Text, Whole, Workers
from audiotok.experiment.stored import anchored, as_yaml
from audiotok.nodes.signature import check_kind, check_signature, check_targets, check_value
from audiotok.pretrained import check_name
from audiotok.run.destination import Destination
from audiotok.run.folder import RunFolder

# What each group builds; named, since importing them would import torch.
_KINDS = {
    "data": "audiotok.data.source.Source",
    "engine": "audiotok.engine.engine.Engine",
    "features": "audiotok.features.features.Features",
    "clustering": "audiotok.clustering.codebooks.Codebooks",
    "sample": "audiotok.tokens.sample.Sampling",
    "augment": "audiotok.augment.recipe.Recipe",
    "loader": "audiotok.loader.datamodule.ClipDataModule",
    "model": "audiotok.model.model.Model",
    "loss": "audiotok.training.loss.Loss",
    "metrics": "audiotok.training.metrics.Metrics",
    "objective": "audiotok.training.objective.Objective",
    "optimizer": "audiotok.training.optimizer.Optimizer",
    "schedule": "audiotok.training.schedule.Schedule",
    "trainer": "pytorch_lightning.Trainer",
    "doctor": "audiotok.doctor.extent.Extent",
}


OF_THE_EXPERIMENT = ("init_from", "freeze")  # keys of `model`


@dataclass(frozen=True)
class Root:
    """The keys at the root of `configs/train.yaml`, and their types."""

    groups: ClassVar[frozenset[str]] = frozenset(_KINDS) - {"engine", "objective", "doctor"}
    seed: Seed
    cache_dir: Text
    threads: Workers | Literal["auto"]
    compile: bool
    ckpt_path: str | None
    tokenizer: Text | None
    optimized_metric: Text


@dataclass(frozen=True)
class PretrainRoot(Root):
    """The keys at the root of `configs/pretrain.yaml`, and their types."""

    groups: ClassVar[frozenset[str]] = Root.groups - {"loss", "metrics"} | {"objective"}


@dataclass(frozen=True)
class DoctorRoot(Root):
    """The keys at the root of `configs/doctor.yaml`, and their types."""

    groups: ClassVar[frozenset[str]] = Root.groups | {"doctor"}


@dataclass(frozen=True)
class PrepareRoot:
    """The keys at the root of `configs/prepare.yaml`, and their types."""

    groups: ClassVar[frozenset[str]] = frozenset({"data", "engine", "features", "clustering", "sample"})
    cache_dir: Text
    check: Check
    min_positives: Whole
    fill: Literal["none", "frames", "tokens"]
    seed: Seed
    tokenizer: Text | None


@dataclass(frozen=True)
class FitRoot:
    """The keys at the root of `configs/fit.yaml`, and their types."""

    groups: ClassVar[frozenset[str]] = frozenset({"data", "features", "clustering", "sample"})
    cache_dir: Text
    seed: Seed
    to: Text | None


@dataclass(frozen=True)
class TokensRoot:
    """The keys at the root of `configs/tokens.yaml`, and their types."""

    groups: ClassVar[frozenset[str]] = frozenset({"data", "engine"})
    cache_dir: Text
    split: Literal["train", "val", "test", "all"]


@dataclass(frozen=True)
class EvaluateRoot:
    """The keys at the root of `configs/evaluate.yaml`, and their types."""

    groups: ClassVar[frozenset[str]] = frozenset({"data", "metrics"})
    cache_dir: Text
    run: Text
    split: Literal["train", "val", "test", "all"]
    device: Text
    trust: list[Text]
    events: Text | None
    window: Seconds
    overlap: NotNegative


@dataclass(frozen=True)
class ExploreRoot:
    """The keys at the root of `configs/explore.yaml`, and their types."""

    groups: ClassVar[frozenset[str]] = frozenset()  # data may be those of the run
    cache_dir: Text
    run: Text
    split: Literal["train", "val", "test", "all"]
    n_clips: Count
    n_heard: Count
    to: Text | None
    device: Text
    trust: list[Text]


@dataclass(frozen=True)
class Training:
    """The ranges of keys of Lightning's trainer, which does not check them all; others it checks itself."""

    max_epochs: Count  # schedules need an end
    devices: Literal["auto", -1] | Annotated[int, Interval(ge=1, le=4096)] | list[Whole] | Text
    num_nodes: Annotated[int, Interval(ge=1, le=65_536)]
    accumulate_grad_batches: Count
    gradient_clip_val: NotNegative | None
    log_every_n_steps: Count
    num_sanity_val_steps: Whole | Literal[-1]
    limit_train_batches: Count | ShareAboveZero | None
    limit_val_batches: Count | ShareAboveZero | None  # some clip must be scored
    limit_test_batches: Count | ShareAboveZero | None


_Root = Root | PrepareRoot | EvaluateRoot | ExploreRoot | FitRoot | TokensRoot
_ROOTS: dict[str, type[_Root]] = {  # by programs
    "train": Root,
    "pretrain": PretrainRoot,
    "doctor": DoctorRoot,
    "prepare": PrepareRoot,
    "evaluate": EvaluateRoot,
    "explore": ExploreRoot,
    "fit": FitRoot,
    "tokens": TokensRoot,
}


def begin(config: DictConfig, destination: Destination) -> None:
    """Check a configuration, and write it to the run's folder, without results of an earlier run."""
    check(config, destination.program)
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


def check_early(config: DictConfig, program: str) -> None:
    """Check what takes no time and needs no torch: the types of values, and the files that they name.

    Args:
        config: Composed from one of the programs' YAMLs.
        program: Its name: train, pretrain, prepare or doctor.

    Raises:
        UserError: A value is of the wrong type, or a file is missing or lacks a column.
    """
    check(config, program, imported=False)
    source = build_node(config.data) if config.get("data") else None
    if isinstance(source, Source):  # a plugin may have written another class
        source.check_tables()
    for group in ("features", "clustering"):
        node = config.get(group) or {}
        if "name" in node and str(node.get("_target_")).startswith("audiotok."):
            check_name(f"{group}.name", node["name"])
    if config.get("ckpt_path") and not Path(config.ckpt_path).is_file():
        raise UserError(
            f"ckpt_path={config.ckpt_path} is not a file; give one of a run's checkpoints/, or null to start "
            "from the beginning."
        )


def check(config: DictConfig, program: str = "train", *, imported: bool = True) -> None:
    """Compare every value with the type hint of the parameter that it configures.

    Args:
        config: Composed from one of the programs' YAMLs.
        program: Its name: train, pretrain, prepare or doctor.
        imported: Whether what is configured is imported; otherwise its source is read.

    Raises:
        UserError: A value is of the wrong type or out of range, or a group is missing.
    """
    values, root = plain(config), _ROOTS[program]
    groups = {key: node for key, node in values.items() if isinstance(node, dict)}
    own = {field.name for field in fields(root)}
    keys = {
        key: value
        for key, value in values.items()
        if key in own or key not in {*groups, "logger", "callbacks"}
    }
    check_signature("", {"_target_": f"{__name__}.{root.__name__}", **keys})
    _check_groups(values, root)
    model = groups.get("model", {})
    init_from, freeze = model.pop("init_from", None), model.pop("freeze", False)
    check_value("model.init_from", init_from, str | None)
    check_value("model.freeze", freeze, bool)
    if freeze and not init_from:
        raise UserError(
            "model.freeze=true needs a run to begin with, since frozen layers do not learn; set "
            "model.init_from."
        )
    for key, node in groups.items():
        check_signature(key, node, imported=imported)
        if imported and key in root.groups:
            check_kind(key, node["_target_"], get_object(_KINDS[key]))
    _check_ranges("trainer", groups.get("trainer", {}), Training)


def _check_groups(values: Mapping[str, Any], root: type[_Root]) -> None:
    """Check that every group that a program needs is a node that names something, and every callback too."""
    for group in sorted(root.groups):
        if not isinstance(values.get(group), dict) or "_target_" not in values[group]:
            raise UserError(f"{group}={values.get(group)} names nothing to build; choose one of its options.")
    callbacks = values.get("callbacks") or {}
    if not isinstance(callbacks, dict):
        raise UserError(f"callbacks={callbacks} is not a set of callbacks; choose one of its options.")
    for name, node in callbacks.items():
        if node is not None and (not isinstance(node, dict) or "_target_" not in node):
            raise UserError(
                f"callbacks.{name}={node} names no callback; give keys with _target_, or null for none."
            )


def _check_ranges(key: str, node: Mapping[str, Any], ranges: type[Training]) -> None:
    """Check those keys of a node that have a range in a dataclass."""
    given = {name: node[name] for name in (field.name for field in fields(ranges)) if name in node}
    check_signature(key, {"_target_": f"{__name__}.{ranges.__name__}", **given})


def model_node(config: DictConfig) -> DictConfig:
    """Return the model's node without `init_from` and `freeze`: the experiment reads them, no model does."""
    node = config.model.copy()
    with open_dict(node):
        for key in OF_THE_EXPERIMENT:
            node.pop(key, None)
    return node


def build_node(node: DictConfig, **derived: object) -> Any:
    """Build what a node names.

    Raises:
        UserError: As the constructor raises it, or because what the node names cannot be imported, or, with
            the place of the error, because a class of another package does not take these values.
    """
    try:
        partial = instantiate(node, _convert_="all", _partial_=True)
        return partial(**derived)
    except UserError:
        raise
    except Exception as error:
        cause = error.__cause__ or error if isinstance(error, InstantiationException) else error
        if isinstance(cause, UserError):
            raise cause from None
        key = node._get_full_key(None)
        check_targets(key, plain(node))  # of a run whose plugin is elsewhere
        if str(node._target_).startswith("audiotok."):
            raise
        message = " ".join(str(cause).split()).rstrip(".")
        raise UserError(
            f"{key} cannot be built by {node._target_} ({type(cause).__name__}: {message}, {_place(cause)}); "
            f"change {_suspects(key, plain(node), message)}."
        ) from error


def _suspects(key: str, values: Mapping[str, object], message: str) -> str:
    """Return the keys of a node whose values an error message quotes, or a word for all of them."""
    quoted = [
        f"{key}.{name}={value or repr(value)}"
        for name, value in values.items()
        if isinstance(value, str | int | float)
        and not isinstance(value, bool)
        and not name.startswith("_")
        and re.search(rf"(?<!\w){re.escape(repr(value))}(?!\w)", message)
    ]
    return " or ".join(quoted) if 0 < len(quoted) <= 3 else f"the keys of {key}"


def _place(error: BaseException) -> str:
    """Return the file and line that raised an error."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{Path(last.filename).name}:{last.lineno}"


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
