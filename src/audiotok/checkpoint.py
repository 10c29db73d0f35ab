"""The best checkpoint of a finished run, as it lies on the disk."""

from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from audiotok.errors import UserError

BEST = Path("checkpoints") / "best.ckpt"


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
