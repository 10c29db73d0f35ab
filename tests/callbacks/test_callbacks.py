import logging
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from audiotok.callbacks import throughput
from audiotok.callbacks.epoch_line import EpochLine
from audiotok.callbacks.throughput import Throughput
from audiotok.callbacks.vocabulary_use import VocabularyUse
from audiotok.logger.logger import RunLogger

pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec")  # Lightning 2.6 on torch 2.14
N_CLIPS, N_TOKENS, N_CODEBOOKS, N_CLUSTERS = 10, 6, 2, 16
Batch = dict[str, Tensor]


class Clock:
    """A clock that only moves when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now


class Sentences(Dataset):
    """Clips of random tokens below 12, with 15 as padding; reading one takes a second of the clock."""

    def __init__(self, clock: Clock | None = None) -> None:
        generator = torch.Generator().manual_seed(0)
        self.n_tokens = torch.randint(1, N_TOKENS + 1, (N_CLIPS,), generator=generator)
        self.tokens = torch.randint(12, (N_CLIPS, N_TOKENS, N_CODEBOOKS), generator=generator)
        self.tokens[torch.arange(N_TOKENS) >= self.n_tokens[:, None]] = 15
        self.clock = clock or Clock()

    def __len__(self) -> int:
        return N_CLIPS

    def __getitem__(self, index: int) -> dict[str, Any]:
        self.clock.now += 1
        return {"inputs": self.tokens[index], "lengths": self.n_tokens[index], "index": index}


class Learner(pl.LightningModule):
    """Log what taggers log; a validation batch takes a hundred seconds of the clock."""

    def __init__(self, clock: Clock | None = None) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.clock = clock or Clock()

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        self.log("train/loss", 0.25 + self.current_epoch, on_step=False, on_epoch=True, batch_size=1)
        return self.weight.sum()

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        self.clock.now += 100
        self.log("val/loss", 0.5 + self.current_epoch, batch_size=1)
        self.log("val/mAP", 0.125, batch_size=1)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Logged(pl.Callback):
    """Keep what is logged in each epoch."""

    def __init__(self) -> None:
        self.epochs: list[dict[str, float]] = []

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.epochs.append({name: float(value) for name, value in trainer.callback_metrics.items()})


def fit(
    folder: Path, callbacks: Sequence[pl.Callback], clips: Dataset | None = None, clock: Clock | None = None
) -> list[dict[str, float]]:
    """Train for two epochs in batches of four, and return what is logged in each."""
    logged = Logged()
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=2,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        default_root_dir=folder,
        callbacks=[*callbacks, logged],
    )
    loader = DataLoader(clips or Sentences(clock), batch_size=4)
    trainer.fit(Learner(clock), loader, loader)
    return logged.epochs


# ---- Throughput ----


def test_throughput_is_a_positive_number_in_every_epoch(tmp_path):
    rates = [epoch["train/clips_per_second"] for epoch in fit(tmp_path, [Throughput()])]
    assert len(rates) == 2
    assert all(0 < rate < 1e7 for rate in rates)


def test_throughput_counts_waiting_for_data_and_leaves_validation_aside(tmp_path, monkeypatch):
    clock = Clock()
    monkeypatch.setattr(throughput, "time", SimpleNamespace(perf_counter=clock.perf_counter))
    rates = [epoch["train/clips_per_second"] for epoch in fit(tmp_path, [Throughput()], clock=clock)]
    assert rates == [1.0, 1.0]  # a clip takes a second to read, and nothing else takes time


# ---- VocabularyUse ----


def expected_use(clips: Sentences) -> tuple[float, float]:
    """Count with numpy: the share of centroids that occur, and the mean perplexity of the codebooks."""
    words = np.concatenate([clip[:n].numpy() for clip, n in zip(clips.tokens, clips.n_tokens, strict=True)])
    counts = np.stack([np.bincount(words[:, q], minlength=N_CLUSTERS) for q in range(N_CODEBOOKS)])
    perplexities = []
    for row in counts:
        p = row[row > 0] / row.sum()
        perplexities.append(np.exp(-np.sum(p * np.log(p))))
    return float(np.mean(counts > 0)), float(np.mean(perplexities))


def test_vocabulary_use_equals_a_count_over_all_tokens_of_the_epoch(tmp_path):
    clips = Sentences()
    used, perplexity = expected_use(clips)
    assert 0.5 < used <= 0.75  # the word for padding is not among them
    epochs = fit(tmp_path, [VocabularyUse(N_CLUSTERS, RunLogger())], clips)
    assert len(epochs) == 2
    for logged in epochs:
        assert logged["vocabulary/used"] == pytest.approx(used, abs=1e-6)
        assert logged["vocabulary/perplexity"] == pytest.approx(perplexity, rel=1e-5)


def test_vocabulary_use_of_one_word_is_one(tmp_path):
    clips = Sentences()
    clips.tokens[:] = 3
    logged = fit(tmp_path, [VocabularyUse(N_CLUSTERS, RunLogger())], clips)[-1]
    assert logged["vocabulary/used"] == pytest.approx(1 / N_CLUSTERS)
    assert logged["vocabulary/perplexity"] == pytest.approx(1.0)


def test_vocabulary_use_counts_each_epoch_anew(tmp_path):
    clips = Sentences()

    class OneWord(pl.Callback):
        def on_train_epoch_end(self, *_: Any) -> None:
            clips.tokens[:] = 3

    first, second = fit(tmp_path, [VocabularyUse(N_CLUSTERS, RunLogger()), OneWord()], clips)
    assert first["vocabulary/used"] > 0.5
    assert second["vocabulary/used"] == pytest.approx(1 / N_CLUSTERS)


def test_vocabulary_use_of_all_words_alike_is_the_number_of_words(tmp_path):
    clips = Sentences()
    clips.tokens = torch.arange(160).reshape(10, 16, 1).expand(-1, -1, 2) % N_CLUSTERS
    clips.n_tokens = torch.full((10,), 16)
    logged = fit(tmp_path, [VocabularyUse(N_CLUSTERS, RunLogger())], clips)[-1]
    assert logged["vocabulary/used"] == 1
    assert logged["vocabulary/perplexity"] == pytest.approx(N_CLUSTERS, rel=1e-5)


def test_the_counts_of_the_last_epoch_are_shown_after_training(tmp_path):
    class Shown(RunLogger):
        def __init__(self) -> None:
            self.counts: list[np.ndarray] = []

        def show_vocabulary_use(self, counts: np.ndarray) -> None:
            self.counts.append(counts)

    clips, logger = Sentences(), Shown()
    fit(tmp_path, [VocabularyUse(N_CLUSTERS, logger)], clips)
    [counts] = logger.counts
    assert counts.shape == (N_CODEBOOKS, N_CLUSTERS)
    assert (counts.sum(1) == int(clips.n_tokens.sum())).all()


def test_vocabulary_use_leaves_masked_tokens_aside(tmp_path):
    clips = Sentences()
    clips.tokens[:] = 3
    clips.tokens[:, ::2] = -1
    clips.tokens[0, 0] = 7  # once in each codebook
    logged = fit(tmp_path, [VocabularyUse(N_CLUSTERS, RunLogger())], clips)[-1]
    words = np.concatenate(
        [clip[:n, 0].numpy() for clip, n in zip(clips.tokens, clips.n_tokens, strict=True)]
    )
    shares = np.array([(words == 3).sum(), 1]) / (words >= 0).sum()
    assert logged["vocabulary/used"] == pytest.approx(2 / N_CLUSTERS)
    assert logged["vocabulary/perplexity"] == pytest.approx(np.prod(shares**-shares), rel=1e-5)


def test_nothing_is_said_of_the_vocabulary_of_a_model_that_reads_none(tmp_path):
    clips = Sentences()
    clips.tokens = torch.rand(N_CLIPS, N_TOKENS, 8)  # frames
    for logged in fit(tmp_path, [VocabularyUse(N_CLUSTERS, RunLogger())], clips):
        assert not [name for name in logged if name.startswith("vocabulary/")]


# ---- EpochLine ----


def test_every_epoch_has_one_line(tmp_path, caplog, monkeypatch):
    clock = Clock()
    monkeypatch.setattr(throughput, "time", SimpleNamespace(perf_counter=clock.perf_counter))
    with caplog.at_level(logging.INFO, "audiotok"):
        fit(tmp_path, [Throughput(), EpochLine()], clock=clock)
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("audiotok")]
    assert lines == [
        "Epoch 1 of 2: train/loss 0.2500, val/loss 0.5000, val/mAP 0.1250; 1 clips/s.",
        "Epoch 2 of 2: train/loss 1.2500, val/loss 1.5000, val/mAP 0.1250; 1 clips/s.",
    ]


def test_the_line_does_not_claim_a_speed_that_nobody_measured(tmp_path, caplog):
    with caplog.at_level(logging.INFO, "audiotok"):
        fit(tmp_path, [EpochLine()])
    assert "clips/s" not in caplog.text


def test_an_epoch_of_which_nothing_is_known_is_only_counted(caplog):
    with caplog.at_level(logging.INFO, "audiotok"):
        trainer = SimpleNamespace(callback_metrics={}, current_epoch=0, max_epochs=30)  # stopped in mid-epoch
        EpochLine().on_train_epoch_end(trainer, Learner())
    assert caplog.messages == ["Epoch 1 of 30."]
