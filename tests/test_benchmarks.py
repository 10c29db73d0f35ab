"""The benchmark runs on a few synthesised clips; what it measures is not asserted."""

import importlib
import json
import runpy
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "tokens.py"
FEW = (
    "--clips=4",
    "--rounds=2",
    "--pair=2",
    "data.n_train_clips=24",
    "data.n_test_clips=6",
    "data.clip_seconds=1.0",
)

KEYS = {
    "n_clips",
    "clip_seconds",
    "n_pairs",
    "decode_ms",
    "tokens_ms",
    "librosa_pipeline_ms",
    "tokens_vs_decode",
    "tokens_vs_librosa_pipeline",
    "two_process_scaling",
    "two_process_limit",
    "stages_ms",
}
STAGES = {"decode", "resample, pad", "log-mel", "stack", "project", "nearest centroid"}


@pytest.fixture(scope="module")
def benchmark():
    return runpy.run_path(str(SCRIPT))["main"]


@pytest.mark.parametrize("clustering", ["product", "kmeans"])
def test_the_embedded_dataset_is_measured_by_default(benchmark, clustering, tmp_path, capsys):
    path = tmp_path / "tokens.json"
    benchmark([*FEW, f"--json={path}", f"clustering={clustering}"])
    results = json.loads(path.read_text())
    assert set(results) == KEYS
    assert (results["n_clips"], results["clip_seconds"], results["n_pairs"]) == (4, 1.0, 4)
    assert set(results["stages_ms"]) == STAGES
    assert "file to tokens" in capsys.readouterr().out


def test_a_folder_in_the_layout_of_audioset_is_measured_with_root(benchmark, tiny_audioset):
    results = benchmark([f"--root={tiny_audioset}", *FEW[:3], "data.clip_seconds=1.0"])
    assert results["n_clips"] == 4
    assert results["tokens_vs_decode"] > 0


def test_opening_a_manifest_is_measured_in_a_process_of_its_own():
    measure = runpy.run_path(str(SCRIPT.with_name("manifest.py")))["measure_manifest"]
    results = measure(n_clips=500)
    assert results.keys() == {"manifest_2m_seconds", "cpu_seconds", "manifest_2m_gb", "worker_gb"}
    assert all(value >= 0 for value in results.values())


def test_kept_clips_and_a_training_step_are_measured(tmp_path, capsys):
    main = runpy.run_path(str(SCRIPT.with_name("cached.py")))["main"]
    arguments = ["--clips=40", "--epochs=1", "--steps=1", "model=bag", f"--json={tmp_path}/found.json"]
    found = main(arguments)
    assert found == json.loads((tmp_path / "found.json").read_text())
    assert found.keys() == {
        "cached_clips_per_second",
        "data_ms_per_batch",
        "step_ms_per_batch",
        "data_share_of_step",
    }
    assert all(value > 0 for value in found.values())
    assert "kept clips" in capsys.readouterr().out


def test_many_files_in_folders_are_looked_at_and_the_folder_is_left_empty(tmp_path):
    main = runpy.run_path(str(SCRIPT.with_name("folders.py")))["main"]
    results = main(["--clips=300", f"--folder={tmp_path}", f"--json={tmp_path}/found.json"])
    assert results == json.loads((tmp_path / "found.json").read_text())
    assert results.keys() == {"first_seconds", "beside_seconds", "look_seconds", "once_seconds", "peak_gb"}
    assert [path.name for path in tmp_path.iterdir()] == ["found.json"]


def test_what_a_large_corpus_costs_is_computed_from_a_small_one(tiny_audioset, tmp_path, monkeypatch):
    monkeypatch.setenv("AUDIOTOK_CACHE", str(tmp_path))
    few = ["--sample=4", "--clips=3600000", "--cores=2", "data.clip_seconds=1.0", "clustering.n_clusters=8"]
    main = runpy.run_path(str(SCRIPT.with_name("scale.py")))["main"]
    results = main([f"--root={tiny_audioset}", *few])
    measured, computed = results["measured"], results["computed"]
    assert computed["tokens"]["hours"] == pytest.approx(measured["tokens_ms"] / 2)
    assert computed["mel frames"]["gigabytes"] == pytest.approx(0.0036 * measured["frames_bytes"])


def test_kmeans_is_measured_beside_faiss_and_scikit_learn():
    found = importlib.import_module("kmeans").main(["--points=600", "--clusters=8", "--pairs=1"])
    assert {"kmeans_time_vs_faiss", "kmeans_objective_vs_sklearn"} <= found.keys()


def test_a_training_step_is_measured_beside_that_of_transformers():
    few = ["--steps=5", "model.num_layers=1", "model.hidden_size=16", "loader.batch_size=2"]
    assert importlib.import_module("step").main(few)["step_vs_transformers"] > 0


def test_every_benchmark_goes_into_one_flat_object(tmp_path, monkeypatch):
    run = importlib.import_module("run")
    for name, keys in run.BENCHMARKS.items():
        module = importlib.import_module(name)
        monkeypatch.setattr(module, "main", lambda arguments, keys=keys: dict.fromkeys((*keys, "more"), 1.0))
    path = tmp_path / "figures.json"
    figures = run.main([f"--json={path}", "--root=DIR"])
    assert figures == json.loads(path.read_text())
    assert list(figures) == [key for keys in run.BENCHMARKS.values() for key in keys]


def test_runs_with_the_same_numbers_are_equal_and_any_other_score_or_array_is_reported():
    compare_runs = importlib.import_module("same_numbers").compare_runs
    before = {
        "test/mAP": 0.5,
        "val/loss": float("nan"),
        "seconds/train": 1.0,
        "predictions/ids": np.array(["a", "b"]),
        "vocabulary/centroids.npy": np.zeros(3, np.float32),
        "tokens/0/rows.npy": np.arange(4, dtype=np.uint8),
    }
    same = compare_runs(before, {**before, "seconds/train": 2.0, "val/loss": float("nan"), "n_new": 1})
    assert (same.differences, same.notes, same.compared["scores"]) == ([], ["n_new: only after"], 2)
    flipped = compare_runs(before, {**before, "test/mAP": 0.25})
    assert (flipped.differences, flipped.largest) == (["test/mAP: 0.5 before, 0.25 after"], 0.25)
    missing = compare_runs(before, {key: value for key, value in before.items() if key != "test/mAP"})
    assert missing.differences == ["test/mAP: only before"]
    other = compare_runs(before, {**before, "tokens/0/rows.npy": np.array([0, 1, 2, 4], np.uint8)})
    assert other.differences == ["tokens/0/rows.npy: 1 of 4 values differ"]
