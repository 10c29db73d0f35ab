"""What W&B got, read from the offline run files by wandb's own reader."""

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import wandb
from runs import SYNTHETIC, TINY, command
from wandb.sdk.artifacts.artifact import Artifact
from wandb.sdk.data_types._private import MEDIA_TMP

from audiotok.logger.wandb import has_api_key


@pytest.fixture(autouse=True)
def no_account(monkeypatch, tmp_path):
    """No API key in the environment or in a netrc file."""
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))


@cache
def inspect(run_folder: Path, *options: str) -> str:
    """Read a finished offline run with `wandb leet inspect`, once."""
    program = shutil.which("wandb", path=str(Path(sys.executable).parent)) or "wandb"
    [offline] = run_folder.glob("wandb/offline-run-*")
    arguments = [program, "leet", "inspect", *options, "--json", str(offline)]
    return subprocess.run(arguments, capture_output=True, text=True, check=True, timeout=60).stdout


def start(folder: Path, *overrides: str) -> str:
    """Run one tiny experiment; W&B's service, which writes in the background, has written everything then."""
    try:
        command(f"hydra.run.dir={folder}", *TINY, *SYNTHETIC, *overrides)
    finally:
        wandb.teardown()
    return str(folder)


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    """The folder of a run that was logged, and what it printed; do not change it."""
    folder = tmp_path_factory.mktemp("logged") / "run"
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as out:
        for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL"):
            patch.delenv(name, raising=False)
        patch.setenv("NETRC", str(folder.parent / "no-netrc"))
        start(folder, "trainer.max_epochs=3", "clustering.n_iter=2", "logger.n_examples=3")
    return folder, out.getvalue()


def test_without_an_account_a_run_goes_offline_and_says_how_to_look(logged):
    folder, out = logged
    assert "wandb leet" in out
    assert "wandb sync" in out
    run = json.loads(inspect(folder, "--summary"))
    assert (run["state"], run["exit_code"]) == ("finished", 0)
    assert "clustering.n_iter=2" in run["name"]  # the run's name is its overrides
    metrics = json.loads((folder / "metrics.json").read_text())
    assert run["config"]["clustering"]["n_clusters"] == 8
    derived = run["config"]["derived"]
    for key in ("n_parameters", "centroid_key", "vocab_size", "n_tokens", "n_classes"):
        assert derived[key] == metrics[key]
    summary = run["summary"]
    for name in ("loss", "mAP", "f1_micro", "f1_macro", "hamming_loss", "top1"):
        for split in ("train", "val", "test"):
            assert f"{split}/{name}" in summary, f"{split}/{name}"
    for name in ("train/learning_rate", "train/clips_per_second", "vocabulary/used", "vocabulary/perplexity"):
        assert name in summary
    assert summary["test/mAP"] == pytest.approx(metrics["test/mAP"], abs=1e-6)
    assert summary["test/per_class"]["_type"] == "table-file"
    assert summary["epoch"] is not None
    assert summary["vocabulary/variance_kept"] == metrics["vocabulary/variance_kept"]
    assert summary["trainer/global_step"] > 0
    assert summary["val/mAP"] == pytest.approx(metrics["val/mAP"], abs=1e-6)  # of the tested checkpoint
    origin = json.loads((folder / "provenance.json").read_text())
    assert run["config"]["provenance"] == origin


def test_metrics_have_a_history_against_steps(logged):
    records = [json.loads(line) for line in inspect(logged[0]).splitlines() if line.strip()]
    history = [json.dumps(record) for record in records if "history" in json.dumps(record)]
    assert sum("val/mAP" in line for line in history) >= 3
    assert sum("train/loss_step" in line for line in history) >= 9


def test_every_job_of_a_sweep_is_a_finished_run_of_its_own(tmp_path):
    with pytest.raises(SystemExit):
        command(
            "-m",
            f"hydra.sweep.dir={tmp_path}/my-sweep",
            *TINY,
            *SYNTHETIC,
            "model.num_heads=2,3",
        )
    wandb.teardown()
    for job in range(2):
        [record] = records(tmp_path / "my-sweep" / str(job), "run")[:1]
        assert f"model.num_heads={2 + job}" in record["display_name"]
        assert record["run_group"] == "my-sweep"
        [end] = records(tmp_path / "my-sweep" / str(job), "exit")
        assert end.get("exit_code", 0) == job  # 3 heads do not divide a width of 16


def test_a_key_is_found_where_wandb_keeps_it(monkeypatch, tmp_path):
    assert not has_api_key()
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    assert has_api_key()
    monkeypatch.delenv("WANDB_API_KEY")
    (tmp_path / "netrc").write_text("machine api.wandb.ai login user password " + "0" * 40 + "\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert has_api_key()


def records(run_folder: Path, kind: str) -> list[dict]:
    """Read all records of a kind that W&B wrote."""
    lines = [json.loads(line) for line in inspect(run_folder).splitlines() if line.strip()]
    return [line[kind] for line in lines if line.get("type") == kind]


def test_examples_can_be_seen_and_listened_to(logged):
    folder, _ = logged
    files = folder.glob("wandb/offline-run-*/files/media/table/test/examples_*.table.json")
    [table] = [json.loads(path.read_text()) for path in files]
    assert table["columns"] == ["id", "sound", "decoded", "picture", "labels", "predicted"]
    assert len(table["data"]) == 3
    ids = set(np.load(folder / "predictions.npz")["ids"].tolist())
    for id_, *_, labels, predicted in table["data"]:
        assert id_ in ids
        assert labels
        assert predicted.count(",") >= 4
    [artifact] = [record for record in records(folder, "artifact") if "examples" in record["name"]]
    kinds = Counter(Path(entry["path"]).parts[:2] for entry in artifact["manifest"]["contents"])
    assert kinds["media", "audio"] == 6  # original and decoded
    assert kinds["media", "images"] == 3
    assert len(list((folder / "examples").glob("*.png"))) == 3


def test_working_files_stay_in_the_folder_of_the_run(logged):
    folder, _ = logged
    for staged in (MEDIA_TMP.name, Artifact._TMP_DIR.name):  # of the last run in this process
        assert Path(staged).parent.parts[-2:] == ("wandb", "staging")
    assert not (folder / "wandb" / "staging").exists()
    assert "WANDB_DATA_DIR" not in os.environ


def test_what_is_known_once_has_no_history(logged):
    history = [
        record for record in map(json.loads, inspect(logged[0]).splitlines()) if record["type"] == "history"
    ]
    assert history
    assert "seconds/train" not in json.dumps(history)
    assert "vocabulary/variance_kept" not in json.dumps(history)


def test_centroids_and_their_use_are_shown(logged):
    folder, _ = logged
    metrics = json.loads((folder / "metrics.json").read_text())
    summary = json.loads(inspect(folder, "--summary"))["summary"]
    assert summary["vocabulary/centroids"]["_type"] == "image-file"
    assert sum(summary["vocabulary/use"]["values"]) == metrics["vocab_size"]


def test_centroids_and_the_tested_checkpoint_are_artifacts(logged):
    folder, _ = logged
    metrics = json.loads((folder / "metrics.json").read_text())
    found = {record["name"]: record for record in records(folder, "artifact")}
    vocabulary = found[f"vocabulary-{metrics['centroid_key']}"]
    assert vocabulary["type"] == "vocabulary"
    paths = {entry["path"] for entry in vocabulary["manifest"]["contents"]}
    assert {"centroids.npy", "vocabulary.json"} <= paths
    [model] = [record for record in found.values() if record["type"] == "model"]
    assert [entry["path"] for entry in model["manifest"]["contents"]] == ["best.ckpt"]
    assert "best" in model["aliases"]


def test_artifacts_and_examples_can_be_left_out(tmp_path):
    start(tmp_path, "logger.artifacts=[]", "logger.n_examples=0")
    assert not any(record["type"] in {"model", "vocabulary"} for record in records(tmp_path, "artifact"))
    assert not list(tmp_path.glob("wandb/offline-run-*/files/media/table/test/examples_*"))


def test_pretraining_shows_its_vocabulary_too(tmp_path):
    command(f"hydra.run.dir={tmp_path}", *TINY, *SYNTHETIC, verb="pretrain")
    [run_record] = records(tmp_path, "run")[:1]
    assert run_record["job_type"] == "pretrain"
    assert {record["type"] for record in records(tmp_path, "artifact")} == {"model", "vocabulary"}
