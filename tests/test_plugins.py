"""Options that lie outside the package, each one file and one YAML in `plugins/`, train for an epoch.

They are also the examples of "Add your own" in the README.
"""

import json
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from omegaconf import OmegaConf
from runs import SYNTHETIC, TINY, command, pretrain, run
from tiny import SAMPLE_RATE, tones

from audiotok.prediction.tagger import load

PLUGINS = Path(__file__).parent / "plugins"
OUTSIDE = ("--config-dir", "conf")  # the YAMLs; their modules are found in the current folder


@pytest.fixture
def plugins(monkeypatch):
    """Make the folder of the plugins the current one; afterwards Python forgets them."""
    monkeypatch.chdir(PLUGINS)
    monkeypatch.setattr(sys, "path", sys.path[:])
    yield PLUGINS
    for file in PLUGINS.glob("*.py"):
        sys.modules.pop(file.stem, None)


def weights(run_folder: Path) -> dict[str, torch.Tensor]:
    """Return the best weights of a run."""
    path = run_folder / "checkpoints" / "best.ckpt"
    return torch.load(path, weights_only=True)["state_dict"]


def test_a_focal_loss(plugins, tmp_path):
    focal = run(tmp_path / "focal", *OUTSIDE, "loss=focal", "loss.gamma=3.0")
    plain = run(tmp_path / "plain", *OUTSIDE, "loss=focal", "loss.gamma=0.0")
    assert 0 < focal["test/mAP"] <= 1
    assert 0 < focal["val/loss"] < plain["val/loss"]  # the same start, with smaller terms
    assert OmegaConf.load(tmp_path / "focal" / "config.yaml").loss._target_ == "focal.Focal"


def test_modern_bert_is_pretrained_and_its_weights_begin_a_training(plugins, tmp_path):
    modern = (*OUTSIDE, "model=modern_bert")
    pretrained = pretrain(tmp_path / "before", *modern)
    still = ("optimizer.lr=1e-30", "optimizer.weight_decay=0.0", f"model.init_from={tmp_path}/before")
    trained = run(tmp_path / "after", *modern, *still)
    assert pretrained["val/loss"] > 0
    assert 0 < trained["test/mAP"] <= 1
    before, after = weights(tmp_path / "before"), weights(tmp_path / "after")
    learnt = [name for name in after if name.startswith(("model.encoder.", "model.words."))]
    assert any("mlp" in name for name in learnt)
    assert all(torch.equal(after[name], before[name]) for name in learnt)


def test_a_clustering(plugins, tmp_path):
    scalar = (*OUTSIDE, *SYNTHETIC, "logger=none", "clustering=scalar", "clustering.n_codebooks=24")
    tiny = (override for override in TINY if override != "clustering.n_iter=3")
    command(f"hydra.run.dir={tmp_path}", *tiny, *scalar)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert 0 < metrics["test/mAP"] <= 1
    assert metrics["vocabulary/centroids_used"] == 1
    assert metrics["vocabulary/variance_kept"] > 0.8


# ---- features without mel frames ----

PATCHES = (
    *OUTSIDE,
    *SYNTHETIC,
    "features=patches",
    "clustering.n_codebooks=8",
    *(override for override in TINY if override.startswith("clustering.")),
)
PATCHES_TRAINED = (
    *PATCHES,
    "augment=none",
    "augment.sound.rotate=true",
    *(override for override in TINY if not override.startswith(("features", "clustering."))),
)


def read_no_audio(monkeypatch):
    monkeypatch.setattr("audiotok.loader.waveforms.read_mono", lambda *_: pytest.fail("audio is decoded"))


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A cache that `prepare` has filled with the patches of all clips, and then with their tokens."""
    folder = tmp_path_factory.mktemp("filled")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(PLUGINS)
        patch.setattr(sys, "path", sys.path[:])
        for kind in ("frames", "tokens"):
            store = f"cache_dir={folder}/cache"
            command(f"hydra.run.dir={folder}/{kind}", store, *PATCHES, f"fill={kind}", verb="prepare")
    return folder


def test_features_without_mel_frames_are_cached_trained_and_predict(plugins, filled, tmp_path, monkeypatch):
    [frames] = (filled / "cache" / "frames").glob("*/about.json")
    assert json.loads(frames.read_text())["made_of"]["kind"] == "patches"
    read_no_audio(monkeypatch)
    overrides = (f"cache_dir={filled}/cache", "logger=none", *PATCHES_TRAINED)
    command(f"hydra.run.dir={tmp_path}", *overrides)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert 0 < metrics["test/mAP"] <= 1
    assert metrics["n_tokens"] == 50  # patches of 20 ms in a clip of 1 s
    sound = next((filled / "cache" / "synthetic").rglob("*.flac"))
    tags = load(tmp_path, trust=["patches", "scalar"]).predict(sound).tags()
    assert len(tags) == metrics["n_classes"]


def test_a_model_reads_an_analysis_that_is_not_a_spectrogram(plugins, filled, tmp_path, monkeypatch):
    read_no_audio(monkeypatch)
    overrides = [override for override in PATCHES_TRAINED if not override.startswith("model.")]
    command(
        f"hydra.run.dir={tmp_path}",
        f"cache_dir={filled}/cache",
        "logger=none",
        *overrides,
        "model=cnn",
        "model.channels=[4]",
    )
    assert (tmp_path / "metrics.json").is_file()


def test_the_doctor_leaves_out_what_needs_decibels(plugins, filled, tmp_path):
    limits = ("doctor.n_clips=16", "doctor.n_steps=10", "doctor.n_batches=2", "doctor.n_permutations=5")
    overrides = (f"cache_dir={filled}/cache", *PATCHES_TRAINED, *limits)
    with suppress(SystemExit):  # tokens of patches tell it little
        command(f"hydra.run.dir={tmp_path}", *overrides, verb="doctor")
    report = json.loads((tmp_path / "doctor.json").read_text())
    for topic in ("sound", "normalization"):
        assert report["not_made"][topic] == "the analysis of Patches features is not in decibels"
    assert {"vocabulary", "start", "learning_rate"} <= {finding["topic"] for finding in report["findings"]}


@pytest.mark.parametrize("key", ["mix", "gain_db", "equalizer_db"])
def test_augmentation_that_needs_decibels_is_refused(plugins, filled, tmp_path, key, capsys):
    with pytest.raises(SystemExit):
        command(
            f"hydra.run.dir={tmp_path}",
            f"cache_dir={filled}/cache",
            "logger=none",
            *PATCHES_TRAINED,
            f"augment.sound.{key}=0.5",
        )
    assert f"augment.sound.{key}=0.5 needs levels in decibels, which Patches" in capsys.readouterr().out


def write_list(folder: Path, n_clips: int = 36) -> Path:
    """Write noise, low tones and high tones of 1 s, and a list of them."""
    rng, entries = np.random.default_rng(0), []
    hertz = {"noise": [], "low": [250.0], "high": [2500.0]}
    for number in range(n_clips):
        name = [*hertz][number % 3]
        soundfile.write(folder / f"{number}.wav", tones(hertz[name], rng), SAMPLE_RATE)
        split = ("train", "train", "val", "test")[number // 3 % 4]
        entries.append({"file": f"{number}.wav", "classes": [name], "split": split})
    (folder / "list.json").write_text(json.dumps(entries))
    return folder / "list.json"


def test_a_data_source(plugins, tmp_path):
    data = ("data=json_list", f"data.root={write_list(tmp_path)}", "data.clip_seconds=1.0")
    metrics = run(tmp_path / "run", *OUTSIDE, f"cache_dir={tmp_path}/cache", data=data)
    assert 0 < metrics["test/mAP"] <= 1
    assert metrics["n_classes"] == 3
    assert [metrics[f"n_{split}_clips"] for split in ("train", "val", "test")] == [18, 9, 9]
    [manifest] = (tmp_path / "cache" / "manifests").glob("*/manifest.json")
    assert json.loads(manifest.read_text())["made_of"]["source"] == "JSONList"
    with pytest.raises(SystemExit):
        run(tmp_path / "none", *OUTSIDE, data=("data=json_list", "data.root=none"))
    assert "data.root=" in (tmp_path / "none" / "error.txt").read_text()
