"""The weights of a pretraining run, read from its folder and handed to a model."""

from pathlib import Path

from audiotok.errors import UserError
from audiotok.model.model import Model, PretrainableModel
from audiotok.run.checkpoint import read_checkpoint
from audiotok.run.folder import RunFolder

_PREFIX = "model."  # of the model's weights among those of the module that trained it


def load_pretrained(model: Model, run: Path, vocabulary_key: str) -> None:
    """Load what a run of `audiotok pretrain` has learnt.

    Args:
        model: The model to load it into.
        run: The run's folder, as `model.init_from` gives it.
        vocabulary_key: Key of the centroids that the model reads tokens of.

    Raises:
        UserError: The model cannot be pretrained, or the run is not a pretraining run of the same vocabulary
            and the same model.
    """
    given = f"model.init_from={run}"
    if not isinstance(model, PretrainableModel):
        raise UserError(f"{given} is for models that can be pretrained; choose model=bert, or null.")
    folder = RunFolder(run)
    if not folder.best.is_file():
        raise UserError(
            f"{given} is not the folder of a finished `audiotok pretrain`: it has no {folder.best.name}; "
            "give another, or null."
        )
    checkpoint = read_checkpoint(folder.best, given)
    if "classes" in checkpoint:
        raise UserError(
            f"{given} is a run of `audiotok train`, whose weights have seen labels; give "
            "one of `audiotok pretrain`, or resume it with ckpt_path."
        )
    key = checkpoint.get("vocabulary_key")
    if key is None:
        raise UserError(f"{given} holds no checkpoint of `audiotok pretrain`; give another, or null.")
    if key != vocabulary_key:
        raise UserError(
            f"{given} was pretrained with the centroids {key}, and these settings and "
            f"clips give {vocabulary_key}; use the features, clustering, data and seed of that run."
        )
    names = {n.removeprefix(_PREFIX): n for n in checkpoint["state_dict"] if n.startswith(_PREFIX)}
    weights = {n: checkpoint["state_dict"][name] for n, name in names.items() if model.is_pretrained(n)}
    wanted = {n: weight.shape for n, weight in model.pretrained().items()}
    if {n: weight.shape for n, weight in weights.items()} != wanted:
        raise UserError(f"{given} has another model than is configured; use the model of that run.")
    model.load_pretrained(weights)
