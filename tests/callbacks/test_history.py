"""The scores of every epoch in the run's folder."""

import json
import shutil
from pathlib import Path

import pytest
from runs import run

from audiotok.run.folder import RunFolder
from audiotok.run.history import read_history


def epochs_of(folder: Path) -> list[dict[str, float]]:
    return read_history(RunFolder(folder).history)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory) -> Path:
    """A run of two epochs, tested with its weights as they are. Do not change it."""
    folder = tmp_path_factory.mktemp("history") / "run"
    run(folder, "trainer.max_epochs=2", "callbacks=default")
    return folder


def test_every_epoch_has_its_scores_without_any_logger(stopped):
    rows = epochs_of(stopped)
    assert [row["epoch"] for row in rows] == [0, 1]
    assert all({"step", "train/loss", "train/mAP", "val/loss", "val/mAP"} <= row.keys() for row in rows)
    metrics = json.loads((stopped / "metrics.json").read_text())
    assert max(row["val/mAP"] for row in rows) == pytest.approx(metrics["val/mAP"], abs=1e-6)


@pytest.mark.parametrize("folder", ["its own", "another"])
def test_a_run_that_resumes_keeps_its_earlier_epochs(stopped, tmp_path, folder):
    path = tmp_path / "run"
    if folder == "its own":
        shutil.copytree(stopped, path)
    checkpoint = (path if folder == "its own" else stopped) / "checkpoints" / "last.ckpt"
    run(path, "trainer.max_epochs=3", "callbacks=default", f"ckpt_path={checkpoint}")
    assert [row["epoch"] for row in epochs_of(path)] == [0, 1, 2]
    assert epochs_of(path)[:2] == epochs_of(stopped)


def test_a_finished_run_that_is_tested_in_another_folder_has_its_epochs(stopped, tmp_path):
    checkpoint = f"ckpt_path={stopped}/checkpoints/last.ckpt"
    run(tmp_path, "trainer.max_epochs=2", "callbacks=default", checkpoint)
    assert (tmp_path / "history.csv").read_text() == (stopped / "history.csv").read_text()


def test_a_new_run_in_the_folder_of_an_earlier_one_has_only_its_own_epochs(stopped, tmp_path):
    path = Path(shutil.copytree(stopped, tmp_path / "run"))
    run(path, "trainer.max_epochs=1", "callbacks=default")
    assert [row["epoch"] for row in epochs_of(path)] == [0]
