"""The trained parts of a finished run, restored from its folder."""

from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from audiotok.data.clip import SoundClass
from audiotok.errors import UserError
from audiotok.experiment.build import build_model, build_tokenizer
from audiotok.experiment.configuration import plain
from audiotok.experiment.signature import check_targets
from audiotok.model.model import Model
from audiotok.run.checkpoint import read_checkpoint
from audiotok.run.folder import RunFolder
from audiotok.tokens.tokenizer import Tokenizer
from audiotok.tokens.vocabulary import load_run_vocabulary


@dataclass(frozen=True)
class Restored:
    """The trained parts of a finished run, for use on other sounds."""

    tokenizer: Tokenizer
    model: Model
    classes: list[SoundClass]
    clip_seconds: float


def restore(path: Path) -> Restored:
    """Read a run's tokenizer and best model from its folder.

    Raises:
        UserError: The folder is not that of a finished run of `audiotok train`.
    """
    folder = RunFolder(path)
    config = _read_config(folder)
    checkpoint = read_checkpoint(folder, str(folder))
    if "classes" not in checkpoint:
        raise UserError(
            f"{folder} is a run of `audiotok pretrain`, which knows no classes; give a run that started "
            f"from it (model.init_from={folder})."
        )
    for group in ("features", "clustering", "model"):
        check_targets(f"{folder.config}: {group}", plain(config[group]))  # a plugin may be elsewhere
    tokenizer = build_tokenizer(config)
    vocabulary = load_run_vocabulary(tokenizer, folder.vocabulary)
    if vocabulary.key != checkpoint["vocabulary_key"]:
        raise UserError(
            f"{folder.best} was trained with the centroids {checkpoint['vocabulary_key']}, and "
            f"{folder.vocabulary} holds {vocabulary.key}; take both from one run."
        )
    classes = [SoundClass(id_, name) for id_, name in checkpoint["classes"]]
    model = build_model(config, tokenizer, config.data.clip_seconds, len(classes))
    prefix = "model."
    weights = {k.removeprefix(prefix): v for k, v in checkpoint["state_dict"].items() if k.startswith(prefix)}
    model.load_state_dict(weights)
    return Restored(tokenizer, model.eval(), classes, config.data.clip_seconds)


def _read_config(folder: RunFolder) -> DictConfig:
    for path in (folder.config, folder.best):
        if not path.is_file():
            raise UserError(
                f"{folder} is not the folder of a trained run: it has no {path.name}; give another."
            )
    try:
        config = OmegaConf.create(folder.read_config())
    except (OSError, ValueError) as error:
        raise UserError(f"{folder.config} cannot be read ({error}); copy it again.") from error
    assert isinstance(config, DictConfig)
    return config
