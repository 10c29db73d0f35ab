"""Checkpoints: written in one step, and the best of them, also of a run that resumes in another folder."""

import io
import logging
import shutil
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.utilities import rank_zero_only

from audiotok.disk.writing import replacing
from audiotok.run.checkpoint import load_checkpoint

log = logging.getLogger(__name__)


class CheckpointFiles(TorchCheckpointIO):
    """Write checkpoints beside their place and rename them, so that a kill leaves the one of before.

    Lightning writes them to TMPDIR and moves them, which is not one step if that is on another disk.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None
    ) -> None:
        """Write a checkpoint; one at a URL is written as Lightning does.

        Raises:
            OSError: The folder cannot be written, or the disk is full.
        """
        if "://" in str(path):
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        content = io.BytesIO()  # torch tells of a full disk without saying that it is full
        torch.save(checkpoint, content)
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with replacing(Path(path)) as temporary:
            temporary.write_bytes(content.getbuffer())


class BestCheckpoint(ModelCheckpoint):
    """Save the weights with the best validation score as `best.ckpt`.

    A run that resumes takes over the `best.ckpt` that lies beside the checkpoint it resumes from, so that it
    ends as if it had never been stopped. Where that file is, the checkpoint is not asked: it may have been
    moved, or come from a stranger.

    Args:
        monitor: Score that decides.
        mode: "max" or "min".
        dirpath: Folder of the run's checkpoints.
    """

    def __init__(
        self, monitor: str = "val/mAP", mode: Literal["max", "min"] = "max", *, dirpath: str | Path
    ) -> None:
        super().__init__(
            dirpath=dirpath, monitor=monitor, mode=mode, filename="best", enable_version_counter=False
        )
        self._resumed: Path | None = None  # the checkpoint that training resumes from

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Note where the checkpoint lies that training resumes from."""
        is_fitting = trainer.state.fn == "fit" and trainer.ckpt_path is not None
        self._resumed = Path(str(trainer.ckpt_path)) if is_fitting else None

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the best score, and copy the checkpoint that reached it."""
        if self._resumed is None or state_dict["best_model_score"] is None:  # none is saved yet
            return
        best = self._resumed.with_name(f"best{self.FILE_EXTENSION}")
        score = float(state_dict["best_model_score"])
        problem = self._problem(best, score)
        if problem:
            log.warning("%s %s, so the best checkpoint is chosen among the epochs to come.", best, problem)
            return
        path = Path(self.dirpath or ".") / best.name
        _copy(best, path)
        self.best_model_path = self.kth_best_model_path = str(path)
        self.best_model_score = self.kth_value = self.current_score = state_dict["best_model_score"]
        self.best_k_models = {str(path): state_dict["best_model_score"]}

    def _problem(self, best: Path, score: float) -> str:
        """Say why a file is not the checkpoint that reached a score; "" if it is."""
        if not best.is_file():
            return "is missing"
        try:
            state = load_checkpoint(best, mmap=True)["callbacks"][self.state_key]
            held = float(state["best_model_score"])
        except OSError as error:
            return f"cannot be read ({error.strerror})"
        except (ValueError, LookupError, TypeError) as error:
            return f"cannot be read ({error})"
        return "" if held == score else "is of a later epoch"


@rank_zero_only
def _copy(file: Path, path: Path) -> None:
    """Copy a file in one step to a path whose folder may not exist, unless the path is that file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not (path.exists() and path.samefile(file)):
        with replacing(path) as temporary:
            shutil.copyfile(file, temporary)
