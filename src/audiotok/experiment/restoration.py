"""The trained parts of a finished run."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from yaml import YAMLError

from audiotok.data.clip import SoundClass
from audiotok.errors import UserError
from audiotok.experiment.build import VOCABULARY, build_model, build_tokenizer
from audiotok.experiment.configuration import CONFIG, plain
from audiotok.model.model import Model
from audiotok.run.checkpoint import BEST, read_checkpoint
from audiotok.run.results import METRICS
from audiotok.tokens.tokenizer import Tokenizer
from audiotok.tokens.vocabulary import load_run_vocabulary


def finished(folder: Path, config: DictConfig) -> dict[str, Any] | None:
    """Return the results of a run, if a folder holds the whole of it and its configuration is this one."""
    try:
        results = json.loads((folder / METRICS).read_text(encoding="utf-8"))
        ran = OmegaConf.load(folder / CONFIG)
    except (OSError, ValueError, YAMLError):
        return None
    return dict(results) if ran == OmegaConf.create(plain(config)) else None


@dataclass(frozen=True)
class Restored:
    """The trained parts of a finished run, for use on other sounds."""

    tokenizer: Tokenizer
    model: Model
    classes: list[SoundClass]
    clip_seconds: float


def restore(folder: Path) -> Restored:
    """Read a run's tokenizer and best model from its folder.

    Raises:
        UserError: The folder is not that of a finished run.
    """
    for path in (folder / CONFIG, folder / BEST):
        if not path.is_file():
            raise UserError(
                f"{folder} is not the folder of a trained run: it has no {path.name}; give another."
            )
    config = OmegaConf.load(folder / CONFIG)
    assert isinstance(config, DictConfig)
    checkpoint = read_checkpoint(folder, str(folder))
    tokenizer = build_tokenizer(config)
    vocabulary = load_run_vocabulary(tokenizer, folder / VOCABULARY)
    if vocabulary.key != checkpoint["vocabulary_key"]:
        raise UserError(
            f"{folder / BEST} was trained with the centroids {checkpoint['vocabulary_key']}, and "
            f"{folder / VOCABULARY} holds {vocabulary.key}; take both from one run."
        )
    if "classes" not in checkpoint:
        raise UserError(
            f"{folder} is a run of `audiotok pretrain`, which knows no classes; give one that began with it "
            f"(model.init_from={folder})."
        )
    classes = [SoundClass(id_, name) for id_, name in checkpoint["classes"]]
    model = build_model(config, tokenizer, config.data.clip_seconds, len(classes))
    prefix = "model."
    weights = {k.removeprefix(prefix): v for k, v in checkpoint["state_dict"].items() if k.startswith(prefix)}
    model.load_state_dict(weights)
    return Restored(tokenizer, model.eval(), classes, config.data.clip_seconds)
