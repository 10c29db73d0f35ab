"""A whole run in a world so small that it takes seconds: what the end-to-end tests share."""

import json
import sys
from pathlib import Path
from unittest.mock import patch

from hydra._internal.hydra import Hydra
from hydra.core.global_hydra import GlobalHydra

# Small in every direction; each test changes what it is about.
TINY = (
    "features=logmel",
    "features.sample_rate=8000",
    "features.n_fft=256",
    "features.hop_length=128",
    "features.n_mels=16",
    "features.n_components=24",
    "clustering.n_clusters=8",
    "clustering.n_iter=3",
    "model.num_layers=1",
    "model.hidden_size=16",
    "model.num_heads=2",
    "loader.n_workers=0",
    "loader.batch_size=8",
    "trainer.max_epochs=1",
    "trainer.accelerator=cpu",
    "trainer.log_every_n_steps=1",
)
SYNTHETIC = ("data.n_train_clips=24", "data.n_test_clips=12", "data.clip_seconds=1.0")

# What metrics.json of a trained run has, at least.
EXPECTED = {
    *(
        f"{split}/{name}"
        for split in ("val", "test")
        for name in ("mAP", "f1_micro", "f1_macro", "hamming_loss", "top1")
    ),
    *(f"{split}/{name}" for split in ("val", "test") for name in ("f1_micro_tuned", "f1_macro_tuned")),
    *(f"{split}/n_scored_classes" for split in ("val", "test")),
    "chance/mAP",
    "n_train_clips",
    "n_val_clips",
    "n_test_clips",
    "n_classes",
    "vocab_size",
    "n_parameters",
    "centroid_key",
    "vocabulary/n_frames",
    "vocabulary/variance_kept",
    "vocabulary/perplexity",
    "seconds/inspect",
    "seconds/fit_centroids",
    "seconds/train",
    "seconds/validate",
    "seconds/test",
}


def command(*arguments: str, verb: str = "train") -> None:
    """Run `audiotok VERB ARGUMENTS` in this process; SystemExit and exceptions come through.

    Hydra composes the configuration twice, first to look for `hydra.mode`, which no test sets. Here that is
    left out, for it takes half the time of a tiny run.
    """
    from audiotok import programs

    GlobalHydra.instance().clear()
    argv = patch.object(sys, "argv", [f"audiotok {verb}", *arguments])
    with argv, patch.object(Hydra, "get_mode", return_value=None):
        getattr(programs, verb)()


def run(folder: Path, *overrides: str, data: tuple[str, ...] = SYNTHETIC, verb: str = "train") -> dict:
    """Run one tiny experiment into a folder and return its metrics.json."""
    command(f"hydra.run.dir={folder}", *TINY, *data, "logger=none", *overrides, verb=verb)
    return json.loads((folder / "metrics.json").read_text())


def pretrain(folder: Path, *overrides: str, data: tuple[str, ...] = SYNTHETIC) -> dict:
    """Pretrain a tiny model into a folder and return its metrics.json."""
    return run(folder, *overrides, data=data, verb="pretrain")
