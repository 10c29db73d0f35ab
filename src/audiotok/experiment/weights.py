"""The weights of an earlier run, read from its folder and handed to a model that begins with them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from audiotok.errors import UserError
from audiotok.model.model import Model, PretrainableModel
from audiotok.run.checkpoint import read_checkpoint
from audiotok.run.folder import RunFolder

_PREFIX = "model."  # of the model's weights among those of the module that trained it


def load_earlier(model: Model, run: Path, vocabulary_key: str) -> None:
    """Load what an earlier run has learnt: a pretraining run, or a tagger of other classes.

    Of a tagger, all layers but the last are taken.

    Args:
        model: The model to load it into.
        run: The run's folder, as `model.init_from` gives it.
        vocabulary_key: Key of the centroids that the model reads tokens of.

    Raises:
        UserError: The run is not finished, has another vocabulary or another model, or the model cannot begin
            with it.
    """
    given = f"model.init_from={run}"
    folder = RunFolder(run)
    if not folder.best.is_file():
        raise UserError(
            f"{given} is not the folder of a finished run: it has no {folder.best.name}; give another, or "
            "null."
        )
    checkpoint = read_checkpoint(folder.best, given)
    key = checkpoint.get("vocabulary_key")
    if key is None:
        raise UserError(f"{given} holds no checkpoint of audiotok; give another, or null.")
    if key != vocabulary_key:
        raise UserError(
            f"{given} was trained with the centroids {key}, and this run has {vocabulary_key}; use the "
            "features and clustering of that run."
        )
    _load(model, given, checkpoint, _taken(model, given, checkpoint))


def _taken(model: Model, given: str, checkpoint: Mapping[str, Any]) -> Callable[[str], bool]:
    """Return a function that tells which weights of a checkpoint are taken, by their names in the model."""
    if "classes" not in checkpoint:
        if not isinstance(model, PretrainableModel):
            raise UserError(
                f"{given} is a run of `audiotok pretrain`, for models that can be pretrained; choose "
                "model=bert, or null."
            )
        return model.is_pretrained
    names = model.state_dict()
    if all(map(model.is_last, names)) or not any(map(model.is_last, names)):
        raise UserError(
            f"{given} leaves nothing to begin with: all but the last layer is taken, and this model has no "
            "other layers, or no last one; choose another model, or null."
        )
    return lambda name: not model.is_last(name)


def _load(model: Model, given: str, checkpoint: Mapping[str, Any], is_taken: Callable[[str], bool]) -> None:
    names = {n.removeprefix(_PREFIX): n for n in checkpoint["state_dict"] if n.startswith(_PREFIX)}
    weights = {n: checkpoint["state_dict"][name] for n, name in names.items() if is_taken(n)}
    wanted = {n: weight.shape for n, weight in model.state_dict().items() if is_taken(n)}
    if {n: weight.shape for n, weight in weights.items()} != wanted:
        raise UserError(f"{given} has another model than is configured; use the model of that run.")
    model.load_state_dict(weights, strict=False)
