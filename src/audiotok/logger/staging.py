"""W&B's working files, in the run's folder instead of TMPDIR and the home folder.

W&B creates temporary folders when it is imported, and a killed process leaves them behind. W&B has no setting
for their place, so this module changes their names, which W&B reads at every use.
"""

import os
import shutil
from contextlib import suppress
from pathlib import Path

from wandb.env import DATA_DIR
from wandb.sdk.artifacts.artifact import Artifact
from wandb.sdk.data_types._private import MEDIA_TMP


class Staging:
    """Where W&B puts media and artifacts until they are logged, for as long as a run lasts.

    Args:
        folder: W&B's folder in the run's.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        self._before = os.environ.get(DATA_DIR)
        os.environ.setdefault(DATA_DIR, str(self._folder / "data"))
        for temporary in (MEDIA_TMP, Artifact._TMP_DIR):
            with suppress(OSError):
                temporary.cleanup()
            temporary.name = str(self._folder / "staging" / Path(temporary.name).name)
            Path(temporary.name).mkdir(parents=True, exist_ok=True)

    def close(self) -> None:
        """Remove what has been logged; the data of artifacts stay, for `wandb sync`."""
        if self._before is None:
            os.environ.pop(DATA_DIR, None)
        shutil.rmtree(self._folder / "staging", ignore_errors=True)
        with suppress(OSError):  # not empty, as it is unless W&B is disabled
            self._folder.rmdir()
