"""Checkpoints of runs, read without trust: tensors and plain values only, and no code is executed."""

from pickle import UnpicklingError
from typing import Any

import torch

from audiotok.errors import UserError
from audiotok.run.folder import RunFolder

_UNREADABLE = (OSError, EOFError, RuntimeError, UnpicklingError)


def check_checkpoint(path: str) -> None:
    """Check that a file is a checkpoint from which training can resume, without reading its tensors.

    Raises:
        UserError: It is not.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except _UNREADABLE as error:
        raise UserError(
            f"ckpt_path={path} cannot be read ({type(error).__name__}); give a checkpoint of a run, "
            "or null to start anew."
        ) from error
    if not isinstance(checkpoint, dict) or "optimizer_states" not in checkpoint:
        raise UserError(f"ckpt_path={path} is not a checkpoint; give a checkpoint of a run.")


def epoch_of(path: str) -> int:
    """Return the epoch at whose end a checkpoint was saved, counted from 1, without reading its tensors."""
    return int(torch.load(path, map_location="cpu", weights_only=True, mmap=True)["epoch"]) + 1


def read_checkpoint(folder: RunFolder, given: str) -> dict[str, Any]:
    """Read the best checkpoint of a run.

    Args:
        folder: The run's folder.
        given: How the user named the run; errors begin with it.

    Raises:
        UserError: It cannot be read.
    """
    try:
        return torch.load(folder.best, map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        raise UserError(
            f"{given} has a {folder.best.name} that cannot be read ({type(error).__name__}); "
            "copy it again, or give another run."
        ) from error
