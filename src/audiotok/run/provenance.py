"""What a run came from: command, code, packages, device; with its configuration it can be repeated."""

import json
import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

PROVENANCE = "provenance.json"
PACKAGES = (  # those whose versions move the figures
    "audiotok", "torch", "torchaudio", "pytorch-lightning", "transformers", "torchmetrics", "faiss-gpu",
    "faiss-cpu", "numpy", "soundfile", "soxr", "hydra-core", "wandb",
)  # fmt: skip


def provenance(device: torch.device) -> dict[str, Any]:
    """Describe this process and its code.

    Args:
        device: That the model is trained on.

    Returns:
        `command`, `git` (`commit`, `dirty`; null outside a checkout), `python`, `platform`, `packages`
        (versions), `device`, `n_threads`.
    """
    return {
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "git": checkout(Path(__file__).parent),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine(),
        "n_threads": torch.get_num_threads(),
    }


def write_provenance(folder: Path, origin: dict[str, Any]) -> None:
    """Write `provenance.json` to a run's folder."""
    (folder / PROVENANCE).write_text(json.dumps(origin, indent=1) + "\n", encoding="utf-8")


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
        git("ls-files", "--error-unmatch", "provenance.py")  # not one around a virtual environment
        changes = git("status", "--porcelain", "--untracked-files=no")
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(changes)}
    except (OSError, subprocess.SubprocessError):
        return None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
