"""history.csv: the scores of every epoch."""

import csv
import json

import pytest
from runs import run

from audiotok.run.history import read_history


def test_every_epoch_has_its_scores_without_any_logger(tmp_path):
    metrics = run(tmp_path, "trainer.max_epochs=3", "callbacks=default")
    rows = read_history(tmp_path / "history.csv")
    assert [row["epoch"] for row in rows] == [0, 1, 2]
    assert all({"step", "train/loss", "train/mAP", "val/loss", "val/mAP"} <= row.keys() for row in rows)
    assert max(row["val/mAP"] for row in rows) == pytest.approx(metrics["val/mAP"], abs=1e-6)


def test_a_run_that_goes_on_in_its_folder_keeps_what_it_had(tmp_path):
    run(tmp_path, "trainer.max_epochs=2")
    before = read_history(tmp_path / "history.csv")
    run(tmp_path, "trainer.max_epochs=3", f"ckpt_path={tmp_path}/checkpoints/last.ckpt")
    after = read_history(tmp_path / "history.csv")
    assert [row["epoch"] for row in after] == [0, 1, 2]
    assert after[:2] == before


def test_a_run_that_goes_on_in_another_folder_has_its_earlier_epochs(tmp_path):
    run(tmp_path / "one", "trainer.max_epochs=2")
    run(tmp_path / "two", "trainer.max_epochs=3", f"ckpt_path={tmp_path}/one/checkpoints/last.ckpt")
    before, after = (read_history(tmp_path / folder / "history.csv") for folder in ("one", "two"))
    assert [row["epoch"] for row in after] == [0, 1, 2]
    assert after[:2] == before


def test_a_finished_run_that_is_scored_in_another_folder_has_its_epochs(tmp_path):
    run(tmp_path / "one", "trainer.max_epochs=1")
    run(tmp_path / "two", "trainer.max_epochs=1", f"ckpt_path={tmp_path}/one/checkpoints/last.ckpt")
    texts = [(tmp_path / folder / "history.csv").read_text() for folder in ("one", "two")]
    assert texts[0] == texts[1]


def test_a_new_run_in_an_old_folder_begins_anew(tmp_path):
    run(tmp_path, "trainer.max_epochs=2")
    run(tmp_path, "trainer.max_epochs=1")
    with (tmp_path / "history.csv").open() as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["0"]
    assert json.loads((tmp_path / "metrics.json").read_text())
