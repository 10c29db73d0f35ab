"""A run on clips of one label each: the loss it chooses, and what its folder holds of that."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image
from runs import TINY, command, run
from sklearn.metrics import confusion_matrix, f1_score
from tiny import SAMPLE_RATE, tones

from audiotok import load
from audiotok.experiment import restore
from audiotok.run.folder import RunFolder
from audiotok.training.calibration import Calibration

CLASSES = {"low": 250.0, "middle": 800.0, "high": 2500.0}  # Hz
N_CLIPS = {"train": 8, "val": 4, "test": 4}  # of each class


def write_clips(root: Path, *, twofold: bool = False) -> tuple[str, ...]:
    """Write tones of half a second and a table of them; return overrides. One clip may have two labels."""
    rng = np.random.default_rng(0)
    rows = []
    for split, n_clips in N_CLIPS.items():
        for number in range(n_clips):
            for name, hz in CLASSES.items():
                path = f"{split}-{name}-{number}.wav"
                soundfile.write(root / path, tones([hz], rng, 0.5), SAMPLE_RATE)
                rows.append([path, name, split])
    if twofold:
        rows[0][1] = "low;high"
    with (root / "clips.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["path", "labels", "split"], *rows])
    return ("data=csv", f"data.root={root / 'clips.csv'}", "data.clip_seconds=0.5")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder and the scores of a run on single labels."""
    root = tmp_path_factory.mktemp("single")
    return root / "run", run(root / "run", "optimizer.lr=0.01", data=write_clips(root))


def test_a_softmax_is_chosen_and_recorded(finished):
    folder, metrics = finished
    assert metrics["loss"] == "CrossEntropy"
    checkpoint = torch.load(folder / "checkpoints" / "best.ckpt", weights_only=True)
    assert checkpoint["activation"] == "softmax"
    assert np.load(folder / "predictions.npz")["scores"].sum(1) == pytest.approx(np.ones(12), abs=1e-5)
    assert restore(folder).calibration.activation == "softmax"


def test_clips_of_two_labels_take_no_softmax(tmp_path):
    data = write_clips(tmp_path, twofold=True)
    with pytest.raises(SystemExit):
        command(f"hydra.run.dir={tmp_path}/run", *TINY, *data, "logger=none", "loss=cross_entropy")
    assert (
        "loss=cross_entropy is for two classes or more and exactly one label"
        in RunFolder(tmp_path / "run").read_error()
    )


def test_the_confusion_matrix_counts_clips_by_class_and_guess(finished):
    folder, metrics = finished
    rows = list(csv.reader((folder / "confusion.csv").open()))
    counts = np.array([row[1:] for row in rows[1:]], int)
    assert rows[0][1:] == [row[0] for row in rows[1:]]
    data = np.load(folder / "predictions.npz")
    expected = confusion_matrix(data["targets"].argmax(1), data["scores"].argmax(1), labels=range(3))
    assert counts.tolist() == expected.tolist()
    assert counts.trace() / counts.sum() == pytest.approx(metrics["test/top1"])


def test_what_is_predicted_is_calibrated(finished):
    folder, metrics = finished
    run = load(folder)
    data = np.load(folder / "predictions.npz")
    for id_, probabilities in zip(data["ids"][:3], data["probabilities"][:3], strict=True):
        assert run.predict(folder.parent / id_).scores[0] == pytest.approx(probabilities, abs=1e-3)
    assert run.calibration == Calibration.from_dict(json.loads((folder / "calibration.json").read_text()), 3)
    heard = run.calibration.heard(torch.from_numpy(data["probabilities"]))
    f1 = f1_score(data["targets"], heard, average="micro")
    assert metrics["test/f1_micro_class_thresholds"] == pytest.approx(f1, abs=1e-6)


def test_reliability_is_kept_in_numbers_and_as_a_picture(finished):
    folder, metrics = finished
    rows = list(csv.DictReader((folder / "reliability.csv").open()))
    for calibrated, name in (("yes", "ece"), ("no", "ece_uncalibrated")):
        bins = [[float(value) for key, value in row.items() if key != "calibrated"]
                for row in rows if row["calibrated"] == calibrated]  # fmt: skip
        assert sum(n for n, _, _ in bins) == metrics["n_test_clips"]
        error = sum(n * abs(mean - share) for n, mean, share in bins) / metrics["n_test_clips"]
        assert metrics[f"test/{name}"] == pytest.approx(error, abs=1e-5)
    assert Image.open(folder / "reliability.png").size == (680, 680)


def test_a_run_begins_with_a_tagger_of_other_classes_and_its_vocabulary(finished, tmp_path):
    earlier, before = finished
    metrics = run(tmp_path, f"model.init_from={earlier}", "model.freeze=true")
    assert metrics["centroid_key"] == before["centroid_key"]
    assert metrics["n_classes"] != before["n_classes"]
    ours, theirs = (
        torch.load(folder / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
        for folder in (tmp_path, earlier)
    )
    names = {name for name in theirs if name.startswith("model.") and "classifier" not in name}
    assert all(torch.equal(ours[name], theirs[name]) for name in names)
    assert len(restore(tmp_path).classes) == metrics["n_classes"]
