"""Checkpoints as they lie on the disk."""

from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from audiotok.errors import UserError

BEST = Path("checkpoints") / "best.ckpt"
LAST = Path("checkpoints") / "last.ckpt"


def check_checkpoint(path: str) -> None:
    """Look whether a file is a checkpoint to go on from, without reading its tensors.

    Raises:
        UserError: It is none.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (OSError, EOFError, RuntimeError, UnpicklingError) as error:
        raise UserError(
            f"ckpt_path={path} cannot be read ({type(error).__name__}); give one of a run's checkpoints/, "
            "or null to start anew."
        ) from error
    if not isinstance(checkpoint, dict) or "optimizer_states" not in checkpoint:
        raise UserError(f"ckpt_path={path} is no checkpoint; give one of a run's checkpoints/.")


def read_checkpoint(run: Path, given: str) -> dict[str, Any]:
    """Read the best checkpoint of a run, tensors and plain values only.

    Args:
        run: Its folder.
        given: What the user called it, to begin a sentence with.

    Raises:
        UserError: It cannot be read.
    """
    try:
        return torch.load(run / BEST, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, UnpicklingError) as error:
        raise UserError(
            f"{given} has a {BEST} that cannot be read ({type(error).__name__}); "
            "copy it again, or give another run."
        ) from error
