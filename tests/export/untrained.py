"""Finished runs of every kind that were never trained: their centroids are fitted to tones."""

from types import SimpleNamespace

import numpy as np
import tiny_models
import torch
from tiny import build_tiny_tokenizer, tones

from audiotok.data.clip import SoundClass
from audiotok.experiment.restoration import Restored
from audiotok.export.card import Facts
from audiotok.model.model import Sizes
from audiotok.prediction.tagger import TrainedRun
from audiotok.tokens.tokenizer import Tokenizer
from audiotok.training.calibration import Calibration

CLASSES = [SoundClass(f"/m/0{i}", name) for i, name in enumerate(["Dog", "Dog", "Rain, heavy", "a|b", "`c`"])]
KINDS = [
    ("bert", "product"),
    ("frames", "kmeans"),
    ("bag", "residual"),
    ("cnn", "spherical"),
    ("lstm", "random"),
]


def build(kind: str, clustering: str, activation: str = "sigmoid") -> SimpleNamespace:
    """Build a run of a model and a clustering, and the facts about it."""
    tokenizer = build_tiny_tokenizer(clustering)
    rng = np.random.default_rng(0)
    waves = torch.from_numpy(np.stack([tones([hz], rng) for hz in (300.0, 700.0, 1900.0)]))
    frames = tokenizer.features.stack(*tokenizer.features.analyze(waves, torch.full((3,), 8000)))[0]
    frames = frames.flatten(0, 1)
    tokenizer.features.fit(frames)
    tokenizer.codebooks.fit(tokenizer.features.project(frames).numpy())
    sizes = Sizes.of(tokenizer, len(CLASSES), 1.0)
    changes = {"max_position_embeddings": 64} if kind in ("bert", "frames") else {}
    model = tiny_models.build_awake(kind, sizes=sizes, **changes)
    calibration = Calibration(
        activation, (0.1, 0.2, 0.1, 0.05, 0.2), (0.0, 0.5, -0.5, 1.0, 0.0), (0.4, 0.5, 0.5, 0.5, 0.6)
    )
    run = TrainedRun(Restored(tokenizer, model, CLASSES, 1.0, calibration))
    arguments = {**tiny_models.KINDS[kind][1], **changes, "start_at_prior": False}
    parts = {
        "features": {"_target_": target(tokenizer.features), **logmel_settings(tokenizer)},
        "clustering": {"_target_": target(tokenizer.codebooks), **clustering_settings(tokenizer)},
        "tagger": {"_target_": target(model), **arguments},
    }
    metrics = {"test/mAP": 0.5, "n_test_clips": 3, "n_train_clips": 9, "n_val_clips": 2}
    command = "train.py data.root=/home/somebody/sounds"
    data = {"_target_": "audiotok.data.csv.CSV", "root": "/home/somebody/sounds"}
    facts = Facts(parts, CLASSES, run.sample_rate, run.clip_seconds, metrics, data, command)
    return SimpleNamespace(run=run, facts=facts)


def target(part: object) -> str:
    return f"{type(part).__module__}.{type(part).__name__}"


def logmel_settings(tokenizer: Tokenizer) -> dict[str, object]:
    return {key: value for key, value in tokenizer.features.settings.items() if key != "kind"}


def clustering_settings(tokenizer: Tokenizer) -> dict[str, object]:
    settings = {key: value for key, value in tokenizer.codebooks.settings.items() if key != "kind"}
    if type(tokenizer.codebooks).__name__ in ("KMeans", "Spherical"):
        del settings["n_codebooks"]
    return settings
