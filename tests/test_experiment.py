"""Whole runs: what a run folder holds, that it repeats, resumes, and reuses what is cached."""

import csv
import errno
import json
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from runs import EXPECTED, SYNTHETIC, TINY, command, run
from sklearn.metrics import average_precision_score, f1_score, hamming_loss

from audiotok.callbacks.epoch_line import EpochLine
from audiotok.errors import UserError
from audiotok.experiment import build as building
from audiotok.experiment.build import compile_model
from audiotok.experiment.construction import build_model, build_tokenizer
from audiotok.loader.rows import Rows
from audiotok.programs import config_folder


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run on the embedded dataset, with classes that never occur and clips that are skipped."""
    folder = tmp_path_factory.mktemp("run")
    return folder, run(folder, "trainer.max_epochs=2", "data.limits.silence_db=-30")


def test_a_run_folder_holds_all_that_is_promised(finished):
    folder, metrics = finished
    assert metrics.keys() >= EXPECTED
    assert all(not isinstance(value, dict | list) for value in metrics.values())
    for name in ("config.yaml", "skipped.csv", "predictions.npz", "per_class.csv", "checkpoints/best.ckpt"):
        assert (folder / name).is_file(), name
    assert (folder / "checkpoints" / "last.ckpt").is_file()
    assert (folder / "vocabulary" / "centroids.npy").is_file()


def test_the_saved_config_is_resolved(finished):
    text = (finished[0] / "config.yaml").read_text()
    assert "${" not in text
    assert OmegaConf.create(text).clustering.n_clusters == 8


def test_scores_can_be_recomputed_from_the_predictions(finished):
    folder, metrics = finished
    data = np.load(folder / "predictions.npz", allow_pickle=False)
    scores, targets = data["scores"], data["targets"]
    assert scores.dtype == np.float32
    assert targets.dtype == bool
    assert scores.shape == (metrics["n_test_clips"], metrics["n_classes"])
    assert len(set(data["ids"])) == metrics["n_test_clips"]
    assert len(data["classes"]) == metrics["n_classes"]
    occur = targets.any(axis=0)
    assert metrics["test/n_scored_classes"] == occur.sum()
    mean = average_precision_score(targets[:, occur], scores[:, occur], average="macro")
    assert metrics["test/mAP"] == pytest.approx(mean, abs=1e-5)
    assert metrics["test/top1"] == pytest.approx(targets[range(len(targets)), scores.argmax(1)].mean())
    assert metrics["test/hamming_loss"] == pytest.approx(hamming_loss(targets, scores >= 0.5), abs=1e-6)
    tuned = f1_score(targets, scores >= metrics["val/tuned_threshold"], average="micro", zero_division=0)
    assert metrics["test/f1_micro_tuned"] == pytest.approx(tuned, abs=1e-5)
    assert metrics["chance/mAP"] == pytest.approx(targets[:, occur].mean())


def test_skipped_clips_are_listed_with_reasons(finished):
    folder, metrics = finished
    rows = list(csv.DictReader((folder / "skipped.csv").open()))
    assert len(rows) == metrics["n_skipped_clips"]
    assert all(row.keys() == {"id", "path", "reason"} for row in rows)


def test_vocabulary_and_positions_are_derived(finished):
    _, metrics = finished
    assert metrics["vocab_size"] == 24 * 8
    assert metrics["n_tokens"] == -(-(8000 // 128 + 1) // 4)


def test_the_best_epoch_is_the_one_with_the_highest_score_of_validation(finished):
    folder, metrics = finished
    scores = [float(row["val/mAP"]) for row in csv.DictReader((folder / "history.csv").open())]
    assert len(scores) == 2
    assert metrics["best_epoch"] == 1 + scores.index(max(scores))
    assert metrics["val/mAP"] == pytest.approx(max(scores), rel=1e-6)


def test_one_seed_gives_the_same_run_to_the_last_bit(plain_run, tmp_path):
    folder, first = plain_run
    second = run(tmp_path / "again")
    other = run(tmp_path / "other", "seed=4")
    differing = {key for key in first if first[key] != second[key] and not key.startswith("seconds/")}
    assert not differing
    assert first["test/loss"] != other["test/loss"]
    a, b = (np.load(run_ / "predictions.npz")["scores"] for run_ in (folder, tmp_path / "again"))
    assert (a == b).all()


def test_a_resumed_run_ends_like_one_that_never_stopped(tmp_path):
    schedule = "schedule=constant"  # a cosine over two epochs is not one over one
    run(tmp_path / "whole", schedule, "trainer.max_epochs=2")
    run(tmp_path / "half", schedule, "trainer.max_epochs=1")
    checkpoint = tmp_path / "half" / "checkpoints" / "last.ckpt"
    run(tmp_path / "rest", schedule, "trainer.max_epochs=2", f"ckpt_path={checkpoint}")
    whole, rest = (
        torch.load(tmp_path / name / "checkpoints" / "last.ckpt", weights_only=True)
        for name in ("whole", "rest")
    )
    for states in ("state_dict", "current_model_state", "averaging_state"):  # weights are averaged by default
        for name, weight in whole[states].items():
            assert torch.equal(torch.as_tensor(weight), torch.as_tensor(rest[states][name])), (states, name)
    scores = [np.load(tmp_path / name / "predictions.npz")["scores"] for name in ("whole", "rest")]
    assert (scores[0] == scores[1]).all()


def test_ctrl_c_before_training_is_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(building, "open_corpus", lambda *_: signal.raise_signal(signal.SIGINT))
    with pytest.raises(SystemExit) as exit_:
        run(tmp_path)
    assert exit_.value.code == 130
    assert "Stopped; the same command begins again" in capsys.readouterr().out.splitlines()[-1]


@pytest.mark.parametrize(
    ("number", "code", "by"), [(signal.SIGINT, 130, ""), (signal.SIGTERM, 143, " by SIGTERM")]
)
def test_a_signal_in_training_says_how_to_go_on(tmp_path, monkeypatch, capsys, number, code, by):
    def interrupt(callback, trainer, *_):
        if trainer.current_epoch == 1:
            signal.raise_signal(number)

    monkeypatch.setattr(EpochLine, "on_train_epoch_start", interrupt)
    monkeypatch.chdir(tmp_path)
    before = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(SystemExit) as exit_:
        run(tmp_path / "run", "trainer.max_epochs=3")
    assert exit_.value.code == code
    assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)] == before
    said = f"Stopped{by} after step 4, in epoch 2; ckpt_path=run/checkpoints/last.ckpt continues from there."
    assert said in capsys.readouterr().out
    monkeypatch.undo()
    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    assert torch.load(last, weights_only=True)["resumption"]["batch"] == 1
    run(tmp_path / "rest", "trainer.max_epochs=3", f"ckpt_path={last}")


def test_a_run_that_goes_on_elsewhere_takes_the_centroids_that_it_had(plain_run, tmp_path, capsys):
    """Another machine would fit others, under the same key."""
    elsewhere = tmp_path / "elsewhere"
    checkpoint = plain_run[0] / "checkpoints" / "last.ckpt"
    run(tmp_path / "b", f"ckpt_path={checkpoint}", f"cache_dir={elsewhere}", "trainer.max_epochs=2")
    assert "Took over 24 x 8 centroids" in capsys.readouterr().out
    assert not (elsewhere / "centroids").exists()
    for array in (plain_run[0] / "vocabulary").glob("*.npy"):
        assert (tmp_path / "b" / "vocabulary" / array.name).read_bytes() == array.read_bytes()


def test_chance_is_that_of_the_clips_that_are_scored(tmp_path):
    metrics = run(tmp_path, "+trainer.limit_test_batches=1", "loader.batch_size=5")
    shares = np.load(tmp_path / "predictions.npz")["targets"].mean(0)
    assert metrics["n_test_clips"] == 5
    assert metrics["chance/mAP"] == pytest.approx(shares[shares > 0].mean())


def test_another_model_reuses_the_centroids(plain_run, tmp_path, capsys):
    key = plain_run[1]["centroid_key"]
    capsys.readouterr()
    assert run(tmp_path, "model.num_layers=2")["centroid_key"] == key
    assert f"Reused 24 x 8 centroids {key}" in capsys.readouterr().out


# ---- where inputs are made, and what is kept ----

AUGMENTED = (
    "augment=mixing",
    "augment.mixup.share=0.5",
    "loader.random_crop=true",
    "loader.sampling=balanced",
)


def scored(metrics: dict) -> dict:
    """Return the scores of a run, and which centroids they are of."""
    return {key: value for key, value in metrics.items() if key.startswith(("val/", "test/", "centroid_key"))}


def test_inputs_of_workers_and_of_the_accelerator_train_alike(tmp_path):
    workers = run(tmp_path / "a", *AUGMENTED, "loader.tokenize_on=workers", "loader.n_workers=1")
    accelerator = run(tmp_path / "b", *AUGMENTED, "loader.tokenize_on=accelerator")
    assert scored(workers) == pytest.approx(scored(accelerator), abs=1e-4)


def test_kept_and_decoded_clips_train_alike(tmp_path):
    # Where training changes the sound, `tokens` keeps frames, too.
    for name, overrides, caches in (
        ("plain", ("augment=none",), ("tokens", "none")),
        ("augmented", AUGMENTED, ("tokens", "none")),
    ):
        folder = tmp_path / name
        results = [
            scored(run(folder / cache, *overrides, f"cache_dir={folder}/of_{cache}", f"data.cache={cache}"))
            for cache in caches
        ]
        assert all(result == results[0] for result in results)
        kinds = {"tokens": {"tokens"}, "frames": {"frames", "tokens"}, "none": set()}
        if name == "augmented":
            kinds["tokens"] = {"frames", "tokens"}
        for cache in caches:
            found = {kind for kind in ("frames", "tokens") if (folder / f"of_{cache}" / kind).exists()}
            assert found == kinds[cache]


@pytest.mark.parametrize("augment", ["none", "mixing"])
def test_a_second_run_on_kept_clips_decodes_no_audio(tmp_path, tiny_audioset, monkeypatch, augment):
    data = (
        "data=audioset",
        f"data.root={tiny_audioset}",
        "data.clip_seconds=1.0",
        "data.validation.fraction=0.3",
    )
    overrides = (f"cache_dir={tmp_path}/cache", "sample.n_clips=5", f"augment={augment}")
    first = run(tmp_path / "a", *overrides, data=data)
    monkeypatch.setattr("audiotok.loader.waveforms.read_mono", lambda *_: pytest.fail("audio is decoded"))
    assert scored(run(tmp_path / "b", *overrides, data=data)) == scored(first)
    if augment == "mixing":
        run(tmp_path / "c", *overrides, "model.pooling=cls", "augment.words.noise=0.2", data=data)


def test_with_mel_frames_kept_a_sweep_over_clustering_decodes_no_audio(tmp_path, monkeypatch):
    overrides = (f"cache_dir={tmp_path}/cache", "data.cache=frames")
    run(tmp_path / "a", *overrides)
    monkeypatch.setattr("audiotok.loader.waveforms.read_mono", lambda *_: pytest.fail("audio is decoded"))
    run(tmp_path / "b", *overrides, "clustering=kmeans", "augment=none")


def test_a_full_disk_under_the_cache_is_said_and_training_goes_on(plain_run, tmp_path, monkeypatch, capsys):
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Rows, "write", full)
    capsys.readouterr()
    assert scored(run(tmp_path / "b", f"cache_dir={tmp_path}/full")) == scored(plain_run[1])
    assert "cannot be written (No space left on device); " in capsys.readouterr().out


# ---- options ----

# Each run takes several options that do not touch one another; more are in test_readme.py.
OPTIONS = {
    "bag, scale of the clip": ["model=bag", "features.normalization=clip_max", "features.range_db=40"],
    "lstm": ["model=lstm", "model.hidden_size=8"],
    "attention, bf16, smoothing": [
        "model.pooling=attention",
        "model.stochastic_depth=0.5",
        "trainer=gpu",  # gradients of a fused optimiser are clipped
        "trainer.accelerator=cpu",
        "loss.label_smoothing=0.2",
    ],
    "two scales of time, scale of the corpus": [
        "features=logmel_scales",
        "features.context=[3,9]",
        "features.n_components=[8,16]",
        "features.bands=[1,4]",
        "features.normalization=corpus",
        "features.deltas=1",
    ],
}


@pytest.mark.parametrize("overrides", OPTIONS.values(), ids=OPTIONS)
def test_options_train_and_are_scored(tmp_path, overrides):
    replaced = {o.partition("=")[0] for o in overrides}
    tiny = [o for o in TINY if o.partition("=")[0] not in replaced]
    tiny = [o for o in tiny if not ("model" in replaced and o.startswith("model."))]
    command(f"hydra.run.dir={tmp_path}", *tiny, *SYNTHETIC, "logger=none", "augment=mixing", *overrides)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics.keys() >= EXPECTED
    assert 0 < metrics["test/mAP"] <= 1


def test_a_run_stops_early_logs_to_files_and_says_what_comes_next(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    folder = Path("outputs") / "early"
    # No score rises by 1, so that the second epoch is the last.
    stopping = ("callbacks=early_stopping", "callbacks.early_stopping.patience=1")
    never = ("+callbacks.early_stopping.min_delta=1.0", "trainer.max_epochs=9")
    metrics = run(folder, *stopping, *never, "logger=tensorboard")
    assert any(path.is_file() for path in (folder / "tensorboard").rglob("*"))
    lines = [line.partition(" ")[2] for line in capsys.readouterr().out.strip().splitlines()[-4:]]
    assert f"epoch {metrics['best_epoch']} of 2 " in lines[0]
    assert "val/mAP" in lines[0]
    assert f"Test mAP {metrics['test/mAP']:.4f}" in lines[1]
    assert lines[2].count(",") == 2  # three classes
    assert f"`audiotok predict {folder} FILE...`" in lines[3]
    assert "`audiotok compare outputs`" in lines[3]


def test_a_run_without_checkpoints_is_scored_with_its_last_weights(tmp_path):
    metrics = run(
        tmp_path, "callbacks.best=null", "callbacks.last=null", "+trainer.enable_checkpointing=false"
    )
    assert "test/mAP" in metrics
    assert not (tmp_path / "checkpoints").exists()


def test_audioset_in_the_seed_experiment_trains(tmp_path, tiny_audioset):
    data = (
        "experiment=seed",
        f"data.root={tiny_audioset}",
        "data.clip_seconds=1.0",
        "clustering.n_clusters=8",
    )
    overrides = [key for key in TINY if "n_components" not in key]
    command(f"hydra.run.dir={tmp_path}", *overrides, *data, "logger=none", "trainer.max_epochs=1")
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["vocab_size"] == 8
    assert metrics["n_classes"] == 3
    config = OmegaConf.load(tmp_path / "config.yaml")
    assert config.model.pooling == "cls"
    assert config.features.normalization == "clip_minmax"


def test_both_training_sets_of_audioset_train_together(tmp_path, tiny_audioset):
    sets = "data.train_sets=[bal_train,unbal_train]"
    data = ("data=audioset", f"data.root={tiny_audioset}", "data.clip_seconds=1.0", sets)
    metrics = run(tmp_path, "data.validation.fraction=0.4", "clustering.n_clusters=4", data=data)
    assert metrics["n_test_clips"] > 0


# ---- torch.compile ----


@pytest.mark.skipif(not shutil.which("g++"), reason="needs a C++ compiler")
def test_a_compiled_model_gives_what_it_gives_as_it_stands():
    tiny = [key for key in TINY if key.startswith(("model.", "features", "clustering."))]
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        config = compose("train", tiny)
    tokenizer = build_tokenizer(config)
    plain, compiled = (build_model(config, tokenizer, 1.0, n_classes=3).eval() for _ in range(2))
    compile_model(compiled)
    tokens, lengths = torch.randint(8, (2, 16, 24)), torch.tensor([16, 9])
    with torch.no_grad():
        expected = plain(tokens, lengths)
        found = compiled.classify(compiled.embed(tokens, lengths), lengths)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert compiled.state_dict().keys() == plain.state_dict().keys()


def test_compiling_without_a_compiler_is_refused_in_a_sentence(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(UserError, match=r"^compile=true needs a C\+\+ compiler, .*; install g\+\+, or"):
        compile_model(torch.nn.Identity())
