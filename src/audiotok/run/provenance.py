"""What a run came from: program, command, code, packages, device, data.

A program writes the first part as it begins, so that a run that fails has it, too; device and data are added
once they are known, before training.
"""

import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from audiotok.data.clip import Split

PACKAGES = (  # those whose versions change the results
    "audiotok", "torch", "torchaudio", "pytorch-lightning", "transformers", "torchmetrics", "faiss-gpu",
    "faiss-cpu", "numpy", "soundfile", "soxr", "hydra-core", "wandb",
)  # fmt: skip


def begin_provenance(program: str) -> dict[str, Any]:
    """Describe this process and its code.

    Args:
        program: train, pretrain, prepare or doctor.

    Returns:
        `program`, `command`, `git` (`commit`, `dirty`; null outside a checkout), `python`, `platform`, and
        `packages` (versions).
    """
    return {
        "program": program,
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "git": _code(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
    }


def complete_provenance(
    begun: Mapping[str, Any], device: "torch.device", data: "Mapping[Split, str]"
) -> dict[str, Any]:
    """Add what is known once training can begin.

    Args:
        begun: What `begin_provenance` returned.
        device: The device that the model is trained on.
        data: The fingerprint of the clips of each split.

    Returns:
        The same, and `device`, `n_threads` and `data`.
    """
    import torch  # here, since a program describes itself before it loads torch

    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return {**begun, "device": name, "n_threads": torch.get_num_threads(), "data": dict(data)}


@cache
def _code() -> dict[str, Any] | None:
    """Return the checkout of this package as it was when it was loaded, or soon after."""
    return checkout(Path(__file__).parent)


def checkout(folder: Path) -> dict[str, Any] | None:
    """Return the commit of the code in a folder and whether files differ from it; None outside of git."""

    def git(*arguments: str) -> str:
        environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}  # several jobs may ask at once
        return subprocess.run(
            ["git", *arguments],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=20,
        ).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", Path(__file__).name)  # not a checkout around a virtual environment
        changes = git("status", "--porcelain", "--untracked-files=no")
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(changes)}
    except (OSError, subprocess.SubprocessError):
        return None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
