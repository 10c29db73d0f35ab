"""What a user gives as a trained run: its folder, or one of its checkpoints.

It is found by names alone, so that a wrong path is told before torch is imported.
"""

from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from audiotok.errors import UserError
from audiotok.run.folder import RunFolder
from audiotok.store import StaleError
from audiotok.tokens.sidecar import folder_of, read_about


class Trained(NamedTuple):
    """The folder of a run of `audiotok train`, and the checkpoint of it that is used."""

    folder: RunFolder
    checkpoint: Path


def find_trained(path: Path) -> Trained:
    """Find a trained run.

    Args:
        path: The folder of a run, whose best checkpoint is used, or a checkpoint in one.

    Raises:
        UserError: It is neither, or the run has learnt no classes.
    """
    if not path.is_dir():
        _check_file(path)
    folder = RunFolder(path) if path.is_dir() else RunFolder.of_checkpoint(path)
    found = Trained(folder, folder.best if path.is_dir() else path)
    for file in (folder.config, found.checkpoint):
        if not file.is_file():
            raise UserError(
                f"{folder} is not the folder of a trained run: it has no {file.name}; give another."
            )
    program = "train"
    with suppress(OSError, ValueError):  # told where the configuration is read
        program = folder.program
    if program == "pretrain":
        raise without_classes(folder)
    return found


def stored_config(folder: RunFolder) -> dict[str, Any]:
    """Read the configuration of a run, as today's version writes it.

    Raises:
        UserError: It cannot be read.
    """
    try:
        return folder.read_config()
    except (OSError, ValueError) as error:
        raise UserError(f"{folder.config} cannot be read ({error}); copy it again.") from error


def stored_clip_seconds(path: Path) -> float | None:
    """Return the length of the clips of a trained run or a tokenizer, s; None where it is damaged.

    What is damaged is told where the run or the tokenizer is opened.

    Raises:
        UserError: The path is neither, or the configuration of the run cannot be read.
    """
    seconds: Any = None
    if is_tokenizer(path):
        with suppress(StaleError):
            seconds = read_about(folder_of(path)).get("clip_seconds")
    else:
        data = stored_config(find_trained(path).folder).get("data")
        seconds = data.get("clip_seconds") if isinstance(data, dict) else None
    return float(seconds) if isinstance(seconds, int | float) else None


def is_tokenizer(path: Path) -> bool:
    """Tell whether a folder has a tokenizer and no tagger: that of a tokenizer or of a pretraining run."""
    folder = RunFolder(path)
    with suppress(OSError, ValueError):  # told where the configuration is read
        if folder.best.is_file() and folder.program == "train":
            return False
    try:
        folder_of(path)
    except UserError:
        return False
    return True


def without_classes(folder: RunFolder) -> UserError:
    """Return the error that a run is of `audiotok pretrain`."""
    return UserError(
        f"{folder} is a run of `audiotok pretrain`, which knows no classes; give a run that started "
        f"from it (model.init_from={folder})."
    )


def _check_file(path: Path) -> None:
    if not path.exists():
        raise UserError(f"{path} does not exist; give the folder of a run, or one of its checkpoints.")
    if path.suffix != ".ckpt":
        raise UserError(
            f"{path} is not a checkpoint (.ckpt); give the folder of a run, or one of its checkpoints."
        )
