"""The benchmarks run at their smallest size; only figures that are computed are asserted."""

import importlib
import json

import numpy as np
import pytest
import torch

FEW = ("--clips=4", "--rounds=1", "--pair=2", "clustering.n_clusters=8", "data.clip_seconds=1.0")
STAGES = {"decode", "resample, pad", "log-mel", "stack", "project", "nearest centroid"}


def run(name: str, *arguments: str) -> dict:
    return importlib.import_module(name).main(list(arguments))


def test_tokens_of_the_embedded_dataset_are_measured_by_default(tmp_path, capsys):
    path = tmp_path / "tokens.json"
    results = run("tokens", *FEW, f"--json={path}", "data.n_train_clips=24", "data.n_test_clips=6")
    assert results == json.loads(path.read_text())
    assert (results["n_clips"], results["clip_seconds"], results["n_pairs"]) == (4, 1.0, 2)
    assert results["stages_ms"].keys() == STAGES
    assert "tokens_vs_decode" in capsys.readouterr().out


def test_tokens_of_a_folder_in_the_layout_of_audioset_are_measured(tiny_audioset):
    results = run("tokens", f"--root={tiny_audioset}", *FEW, "clustering=kmeans")
    assert results["n_clips"] == 4
    assert results["tokens_vs_decode"] > 0


def test_opening_a_manifest_is_measured_in_a_process_of_its_own():
    results = run("manifest", "--clips=500")
    assert results.keys() == {"manifest_2m_seconds", "cpu_seconds", "manifest_2m_gb", "worker_gb"}
    assert all(value >= 0 for value in results.values())


def test_stretches_of_a_recording_are_inspected_and_visited(tmp_path):
    stretches = importlib.import_module("stretches")
    stretches.write_recording(tmp_path / "a.wav", 0.005)
    found = stretches.measure_side(str(tmp_path), "a.wav", [0.0, 4.5, 10.0])
    assert found.keys() == {"prepare_seconds", "epoch_seconds", "mb"}


def test_cached_tokens_and_a_training_step_are_measured(tmp_path):
    path = tmp_path / "found.json"
    results = run("cached", "--clips=40", "--epochs=1", "--steps=1", "model=bag", f"--json={path}")
    assert results == json.loads(path.read_text())
    assert all(value > 0 for value in results.values())
    share = results["data_ms_per_batch"] / results["step_ms_per_batch"]
    assert results["data_share_of_step"] == pytest.approx(share)


def test_files_in_folders_are_measured_and_removed(tmp_path):
    results = run("folders", "--clips=300", f"--folder={tmp_path}", f"--json={tmp_path}/found.json")
    assert results == json.loads((tmp_path / "found.json").read_text())
    assert results.keys() == {"first_seconds", "remake_seconds", "look_seconds", "once_seconds", "peak_gb"}
    assert [path.name for path in tmp_path.iterdir()] == ["found.json"]


def test_the_cost_of_a_large_corpus_is_computed_from_a_small_one(tiny_audioset, tmp_path, monkeypatch):
    monkeypatch.setenv("AUDIOTOK_CACHE", str(tmp_path))
    few = ["--sample=4", "--clips=3600000", "--cores=2", "data.clip_seconds=1.0", "clustering.n_clusters=8"]
    results = run("scale", f"--root={tiny_audioset}", *few)
    measured, computed = results["measured"], results["computed"]
    assert computed["tokens"]["hours"] == pytest.approx(measured["tokens_ms"] / 2)
    assert computed["mel frames"]["gigabytes"] == pytest.approx(0.0036 * measured["frames_bytes"])


def test_kmeans_is_compared_with_faiss_and_scikit_learn():
    results = run("kmeans", "--points=600", "--clusters=8", "--pairs=1")
    assert {"kmeans_time_vs_faiss", "kmeans_objective_vs_sklearn"} <= results.keys()


def test_a_training_step_is_compared_with_that_of_transformers():
    small = ["model.num_layers=1", "model.hidden_size=16", "loader.batch_size=2"]
    assert run("step", "--steps=5", *small)["step_vs_transformers"] > 0


def test_steps_on_one_thread_and_on_all_are_measured_side_by_side():
    small = ["model.num_layers=1", "model.hidden_size=16", "loader.batch_size=2"]
    [figures] = run("threads", "--pairs=2", "--threads=2", *small).values()
    assert figures["clips_per_second_one_thread"] > 0
    assert figures["speed_up"] > 0
    assert torch.get_num_threads() == 1


def test_the_figures_of_all_benchmarks_go_into_one_flat_object(tmp_path, monkeypatch):
    figures_of = importlib.import_module("run").BENCHMARKS
    for name, keys in figures_of.items():
        module = importlib.import_module(name)
        monkeypatch.setattr(module, "main", lambda arguments, keys=keys: dict.fromkeys((*keys, "more"), 1.0))
    path = tmp_path / "figures.json"
    figures = run("run", f"--json={path}", "--root=DIR")
    assert figures == json.loads(path.read_text())
    assert list(figures) == [key for keys in figures_of.values() for key in keys]


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
