"""The best checkpoint, also of a run that was stopped and resumes in another folder."""

import logging
import shutil
from pathlib import Path
from typing import Any, Literal

from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.utilities import rank_zero_only

log = logging.getLogger(__name__)


class BestCheckpoint(ModelCheckpoint):
    """Save the weights with the best validation score as `best.ckpt`.

    Lightning forgets the best checkpoint of a run that resumes in another folder; here it is copied to that
    folder, so that the run ends as if it had never been stopped.

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

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the best score, and copy the checkpoint that reached it."""
        best = Path(state_dict["best_model_path"])
        if not best.is_file():
            log.warning("%s is missing, so the best checkpoint is chosen among the epochs to come.", best)
            return
        path = Path(self.dirpath or ".") / best.name
        _copy(best, path)
        super().load_state_dict(
            {
                **state_dict,
                "dirpath": self.dirpath,
                "best_model_path": str(path),
                "kth_best_model_path": str(path),
                "best_k_models": {str(path): state_dict["best_model_score"]},
            }
        )


@rank_zero_only
def _copy(file: Path, path: Path) -> None:
    """Copy a file to a path whose folder may not exist, unless the path is that file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not (path.exists() and path.samefile(file)):
        shutil.copy2(file, path)
