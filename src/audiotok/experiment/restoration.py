"""The trained parts of a finished run, restored from its folder; Lightning is not needed for it."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from textwrap import shorten
from typing import Any

from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from audiotok.data.clip import SoundClass
from audiotok.errors import UserError
from audiotok.experiment.configuration import OF_THE_EXPERIMENT, plain
from audiotok.experiment.construction import build_model, build_on_meta, build_tokenizer
from audiotok.model.activation import Activation
from audiotok.model.model import Model, Sizes
from audiotok.nodes.signature import check_signature, check_targets, check_value
from audiotok.nodes.trust import check_trust
from audiotok.run.checkpoint import read_checkpoint
from audiotok.run.folder import RunFolder
from audiotok.run.trained import Trained, find_trained, stored_config, without_classes
from audiotok.tokens.tokenizer import Tokenizer
from audiotok.tokens.vocabulary import load_run_vocabulary
from audiotok.training.calibration import Calibration


@dataclass(frozen=True)
class Restored:
    """The trained parts of a finished run, for use on other sounds."""

    tokenizer: Tokenizer
    model: Model
    classes: list[SoundClass]
    clip_seconds: float
    calibration: Calibration


# Groups of a configuration that are built here; the others may name modules that are missing.
_OF_THE_TOKENIZER = ("features", "clustering", "sample")
_BUILT = (*_OF_THE_TOKENIZER, "model")


def restore(path: Path, trust: Sequence[str] = ()) -> Restored:
    """Read a run's tokenizer and model from its folder; no code is called but audiotok's.

    Args:
        path: The run's folder, or a checkpoint in it.
        trust: Further modules whose classes the run's configuration may name.

    Raises:
        UserError: The folder is not that of a finished run of `audiotok train`, something in it is damaged,
            or its configuration names other code.
    """
    trained = find_trained(path)
    folder = trained.folder
    config = _read_config(folder, trust, _BUILT)
    checkpoint = read_checkpoint(trained.checkpoint, str(folder))
    if "classes" not in checkpoint:
        raise without_classes(folder)
    for group in _BUILT:
        check_targets(f"{folder.config}: {group}", plain(config[group]))  # a plugin may be elsewhere
    try:
        return _restored(trained, config, checkpoint)
    except UserError:
        raise
    except Exception as error:  # both files may be anybody's: what fails to fit is theirs to answer for
        raise UserError(
            f"{folder}: {folder.config.name} and {trained.checkpoint.name} do not fit each other "
            f"({type(error).__name__}: {shorten(str(error), 200)}); copy both again from where the run was "
            "made."
        ) from error


def restore_tokenizer(folder: RunFolder, trust: Sequence[str] = ()) -> Tokenizer:
    """Read the tokenizer of a run of any program from its configuration and its vocabulary.

    Args:
        folder: Of the run.
        trust: Further modules whose classes the configuration may name.

    Raises:
        UserError: One of them is missing or damaged, or the configuration names other code.
    """
    config = _read_config(folder, trust, _OF_THE_TOKENIZER)
    for group in _OF_THE_TOKENIZER:
        check_targets(f"{folder.config}: {group}", plain(config[group]))
    tokenizer = build_tokenizer(config)
    load_run_vocabulary(tokenizer, folder.vocabulary)
    tokenizer.clip_seconds = config.data.clip_seconds
    return tokenizer


def _restored(trained: Trained, config: DictConfig, checkpoint: Mapping[str, Any]) -> Restored:
    folder = trained.folder
    tokenizer = build_tokenizer(config)
    vocabulary = load_run_vocabulary(tokenizer, folder.vocabulary)
    if vocabulary.key != checkpoint["vocabulary_key"]:
        raise UserError(
            f"{trained.checkpoint} was trained with the centroids {checkpoint['vocabulary_key']}, and "
            f"{folder.vocabulary} holds {vocabulary.key}; take both from one run."
        )
    classes = [SoundClass(id_, name) for id_, name in checkpoint["classes"]]
    prefix = "model."
    weights = {k.removeprefix(prefix): v for k, v in checkpoint["state_dict"].items() if k.startswith(prefix)}
    tokenizer.clip_seconds = config.data.clip_seconds  # earlier vocabularies do not say it
    model = _trained_model(config, tokenizer, len(classes), weights)
    calibration = _calibration(folder, len(classes), checkpoint.get("activation", "sigmoid"))
    return Restored(tokenizer, model.eval(), classes, config.data.clip_seconds, calibration)


def _trained_model(
    config: DictConfig, tokenizer: Tokenizer, n_classes: int, weights: Mapping[str, Tensor]
) -> Model:
    """Build the model with its trained weights; initial ones are not drawn, which would take seconds."""
    seconds = config.data.clip_seconds
    with suppress(UserError, RuntimeError):  # a model of the user's own may need real weights
        model = build_on_meta(config, Sizes.of(tokenizer, n_classes, seconds))
        types = {name: tensor.dtype for name, tensor in model.state_dict().items()}
        model.load_state_dict(weights, assign=True)
        same = types == {name: tensor.dtype for name, tensor in weights.items()}
        if same and not any(tensor.is_meta for tensor in chain(model.parameters(), model.buffers())):
            return model
    model = build_model(config, tokenizer, seconds, n_classes)
    model.load_state_dict(weights)
    return model


def _calibration(folder: RunFolder, n_classes: int, activation: Activation) -> Calibration:
    """Return the calibration of a run; of one that has none, the plain one with its tuned threshold."""
    try:
        calibration = Calibration.from_dict(folder.read_calibration(), n_classes)
        if calibration.activation != activation:
            raise ValueError(f"it is for {calibration.activation}, and {folder.best.name} for {activation}")
        return calibration
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        raise UserError(
            f"{folder.calibration} cannot be read ({error}); copy it again, or delete it to go without."
        ) from error
    tuned: Any = None
    with suppress(OSError, ValueError):
        tuned = folder.read_metrics().get("val/tuned_threshold")
    is_share = isinstance(tuned, float) and 0 <= tuned <= 1
    return Calibration.plain(n_classes, activation, tuned if is_share else 0.5)


def _read_config(folder: RunFolder, trust: Sequence[str], groups: Sequence[str]) -> DictConfig:
    """Return those groups of a run's configuration that are built, checked, with seed and length of clips."""
    stored = stored_config(folder)
    wanted: dict[str, Any] = {group: stored.get(group) for group in groups}
    data = stored.get("data")
    wanted["data"] = {"clip_seconds": data.get("clip_seconds") if isinstance(data, dict) else None}
    wanted["seed"] = stored.get("seed")
    for group in groups:
        if not isinstance(wanted[group], dict) or "_target_" not in wanted[group]:
            raise UserError(f"{folder.config} names no {group}; copy it again.")
    check_trust(folder.config, wanted, trust)
    for key, value, hint in (
        ("data.clip_seconds", wanted["data"]["clip_seconds"], float),
        ("seed", wanted["seed"], int),
    ):
        check_value(f"{folder.config}: {key}", value, hint)
    for key in OF_THE_EXPERIMENT:  # how it began
        wanted.get("model", {}).pop(key, None)
    for group in groups:
        check_signature(f"{folder.config}: {group}", wanted[group])
    return OmegaConf.create(wanted)
