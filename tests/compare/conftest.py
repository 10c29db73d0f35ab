"""Run folders as training leaves them, drawn by the benchmark in place of being trained."""

from pathlib import Path

import pytest
from compare import write_runs


@pytest.fixture(scope="session")
def twelve_runs(tmp_path_factory) -> Path:
    """Four settings, three seeds each, tested on the same 40 clips of 10 classes. Do not change them."""
    folder = tmp_path_factory.mktemp("twelve") / "runs"
    write_runs(folder, n_runs=12, n_clips=40, n_classes=10)
    return folder
