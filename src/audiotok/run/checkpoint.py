"""Checkpoints of runs, read without trust: tensors and plain values only, and no code is executed.

A checkpoint is a zip archive whose members have checksums. torch writes them and does not compare them when
it reads, so a flipped bit would become another weight. Here every checkpoint is read once before torch reads
it: 0.1 s for 100 MB that the system holds in memory, otherwise as long as the disk takes.
"""

from pathlib import Path
from typing import Any

import torch

from audiotok.disk.arrays import check_archive
from audiotok.errors import UserError


def load_checkpoint(path: Path, *, mmap: bool = False) -> dict[str, Any]:
    """Compare a checkpoint with its checksums, and read it.

    Args:
        path: The file.
        mmap: Leave the tensors in the file until they are used.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is damaged, or not a checkpoint.
    """
    check_archive(path)
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except OSError:
        raise
    except Exception as error:  # in files of strangers, torch fails with whatever Python raises
        raise ValueError(f"torch cannot read it ({type(error).__name__})") from error
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get("state_dict"), dict):
        raise ValueError("it holds no weights")
    return checkpoint


def load_to_resume(path: Path) -> dict[str, Any]:
    """Read a checkpoint from which training can resume, without reading its tensors.

    Raises:
        UserError: It is not one.
    """
    try:
        checkpoint = load_checkpoint(path, mmap=True)
    except (OSError, ValueError) as error:
        raise UserError(
            f"ckpt_path={path} cannot be read ({_reason(error)}); give a checkpoint of a run, or null to "
            "start anew."
        ) from error
    if not {"optimizer_states", "lr_schedulers", "loops"} <= checkpoint.keys():
        raise UserError(f"ckpt_path={path} is not a checkpoint of training; give a checkpoint of a run.")
    return checkpoint


def load_best(path: Path, given: str) -> dict[str, Any]:
    """Read the best checkpoint of a run without reading its tensors; errors as `read_checkpoint`."""
    try:
        return load_checkpoint(path, mmap=True)
    except (OSError, ValueError) as error:
        raise _unreadable(path, given, error) from error


def read_checkpoint(path: Path, given: str) -> dict[str, Any]:
    """Read a checkpoint of a run.

    Args:
        path: The file.
        given: How the user named the run; errors begin with it.

    Raises:
        UserError: It cannot be read.
    """
    try:
        return load_checkpoint(path)
    except (OSError, ValueError) as error:
        raise _unreadable(path, given, error) from error


def _unreadable(path: Path, given: str, error: Exception) -> UserError:
    return UserError(
        f"{given} has a {path.name} that cannot be read ({_reason(error)}); copy it again, or give another "
        "run."
    )


def _reason(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
