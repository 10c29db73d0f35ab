"""A tiny run that is finished, shared by the tests of what is done with it."""

from pathlib import Path

import pytest
from runs import run


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny run, with the sounds that it was trained on in cache/."""
    folder = tmp_path_factory.mktemp("trained")
    run(folder, f"cache_dir={folder}/cache")  # its own, so that no other corpus lies there
    return folder
