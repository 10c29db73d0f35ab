"""Run folders are found at any depth, and damaged ones are told, not fatal."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from runs import run as train

from audiotok.errors import UserError
from audiotok.run.folder import RunFolder
from audiotok.run.reader import find_runs, read_run, read_runs


@pytest.fixture
def folder(twelve_runs, tmp_path) -> Path:
    """A run of an earlier version, without checksums, that a test may break."""
    copy = Path(shutil.copytree(twelve_runs / "000", tmp_path / "run"))
    (copy / "checksums.json").unlink()
    return copy


def test_what_training_leaves_is_read_without_a_note_but_for_its_history(tmp_path):
    metrics = train(tmp_path / "run", f"cache_dir={tmp_path}/cache")
    run = read_run(RunFolder(tmp_path / "run"), "run")
    assert [note for note in run.notes if "history.csv" not in note] == []
    assert run.metrics["test/mAP"] == metrics["test/mAP"]
    assert run.settings["clustering.n_clusters"] == 8
    assert run.settings["optimizer.betas"] == "[0.9, 0.999]"
    scores = [score.average_precision for score in run.per_class if score.average_precision is not None]
    assert np.mean(scores) == pytest.approx(metrics["test/mAP"], abs=1e-5)
    assert run.predictions.scores.shape == (12, len(run.per_class))


def test_runs_are_found_at_any_depth_and_once(twelve_runs, tmp_path):
    shutil.copytree(twelve_runs / "000", tmp_path / "sweep" / "deep" / "0")
    shutil.copytree(twelve_runs / "001", tmp_path / "sweep" / "deep" / "0" / "inside")
    (tmp_path / "failed").mkdir()
    (tmp_path / "failed" / "error.txt").write_text("model.num_heads=3 does not divide it.\n")
    found = find_runs([tmp_path, tmp_path / "sweep" / "deep" / "0"])
    assert [run.path.relative_to(tmp_path).as_posix() for run in found] == ["failed", "sweep/deep/0"]
    failed, whole = read_runs(found)
    assert failed.notes[0] == "it failed: model.num_heads=3 does not divide it."
    assert (whole.name, whole.notes) == ("sweep/deep/0", [])


def test_a_history_has_gaps_where_a_metric_was_not_logged(folder):
    (folder / "history.csv").write_text(
        "epoch,step,train/loss,val/mAP\n0,5,0.7,\n1,10,0.5,0.2\n2,15,nan,0.3\n"
    )
    assert read_run(RunFolder(folder), "run").history == {
        "train/loss": ([0, 1], [0.7, 0.5]),
        "val/mAP": ([1, 2], [0.2, 0.3]),
    }


@pytest.mark.parametrize(
    "name", ["config.yaml", "metrics.json", "history.csv", "per_class.csv", "predictions.npz"]
)
@pytest.mark.parametrize("damage", ["missing", "cut", "garbage", "empty"])
def test_a_file_that_is_missing_or_damaged_is_one_line_at_most(folder, name, damage):
    path = folder / name
    content = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes(
            {"cut": content[: len(content) // 2], "garbage": b"\x00\xff: [", "empty": b""}[damage]
        )
    notes = read_run(RunFolder(folder), "run").notes
    if damage in ("missing", "garbage") or name in ("metrics.json", "predictions.npz"):
        assert len(notes) == 1
        assert notes[0].startswith(name)
    assert all("\n" not in note for note in notes)


def test_predictions_that_contradict_themselves_are_not_used(folder):
    with np.load(folder / "predictions.npz") as arrays:
        content = dict(arrays)
    for change in ({"ids": content["ids"][1:]}, {"scores": content["scores"] * np.nan}):
        np.savez(folder / "predictions.npz", **{**content, **change})
        run = read_run(RunFolder(folder), "run")
        assert run.predictions is None
        assert run.notes[0].startswith("predictions.npz cannot be read")


def test_the_order_of_clips_in_a_file_does_not_matter(folder):
    before = read_run(RunFolder(folder), "run").predictions
    with np.load(folder / "predictions.npz") as arrays:
        order = np.random.default_rng(0).permutation(len(arrays["ids"]))
        content = {name: array if name == "classes" else array[order] for name, array in arrays.items()}
    np.savez(folder / "predictions.npz", **content)
    after = read_run(RunFolder(folder), "run").predictions
    np.testing.assert_array_equal(after.ids, before.ids)
    np.testing.assert_array_equal(after.scores, before.scores)


def test_pretraining_lacks_no_predictions(folder):
    RunFolder(folder).write_provenance({"program": "pretrain"})
    (folder / "predictions.npz").unlink()
    (folder / "per_class.csv").unlink()
    (folder / "metrics.json").write_text(json.dumps({"val/accuracy": 0.5, "centroid_key": "abc"}))
    run = read_run(RunFolder(folder), "run")
    assert (run.notes, run.metrics) == ([], {"val/accuracy": 0.5})


def test_folders_without_runs_are_one_sentence(tmp_path):
    with pytest.raises(UserError, match=f"^FOLDER={tmp_path} contains no run.*; give the folder"):
        find_runs([tmp_path])
    with pytest.raises(UserError, match="nowhere is not a folder; give"):
        find_runs([tmp_path / "nowhere"])


def test_a_configuration_with_a_value_where_keys_are_expected_is_damaged(tmp_path):
    (tmp_path / "config.yaml").write_text("sample: text\n")
    with pytest.raises(ValueError, match="sample is 'text', and _target_ is looked for below it"):
        RunFolder(tmp_path).read_config()
