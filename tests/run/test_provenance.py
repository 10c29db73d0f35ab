"""Where a run came from is in its folder."""

import json
import shutil
import subprocess
from importlib.metadata import version

import pytest
from runs import run

from audiotok.run.folder import RunFolder
from audiotok.run.provenance import checkout


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> RunFolder:
    """Return a finished run. Do not change it."""
    folder = tmp_path_factory.mktemp("provenance") / "run"
    run(folder)
    return RunFolder(folder)


def test_program_command_code_packages_device_and_data_are_in_the_folder(finished):
    found = finished.read_provenance()
    assert found["program"] == finished.program == "train"
    assert found["command"].startswith("audiotok train")
    assert "trainer.max_epochs=1" in found["command"]
    assert found["packages"]["torch"] == version("torch")
    assert found["device"]
    assert set(found["data"]) == {"train", "val", "test"}
    assert all(len(fingerprint) == 16 for fingerprint in found["data"].values())


def test_a_run_that_fails_has_no_results_of_an_earlier_one_but_its_own_error(finished, tmp_path):
    folder = RunFolder(shutil.copytree(finished, tmp_path / "run"))
    folder.write_error("an earlier error")
    with pytest.raises(SystemExit):
        run(folder.path, f"ckpt_path={tmp_path}/none.ckpt")
    assert not folder.metrics.exists()
    assert "none.ckpt" in folder.read_error()
    assert json.loads(folder.provenance.read_text())["program"] == "train"


def test_a_changed_file_makes_a_checkout_dirty(tmp_path):
    def git(*arguments):
        identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True)

    assert checkout(tmp_path) is None
    git("init", "-q")
    (tmp_path / "provenance.py").write_text("a = 1\n")
    assert checkout(tmp_path) is None  # the code is not of this repository
    git("add", ".")
    git("commit", "-qm", "first")
    clean = checkout(tmp_path)
    assert len(clean["commit"]) == 40
    assert not clean["dirty"]
    (tmp_path / "provenance.py").write_text("a = 2\n")
    assert checkout(tmp_path) == {"commit": clean["commit"], "dirty": True}
