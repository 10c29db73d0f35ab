"""The progress bar, as it is drawn to a terminal."""

import re
import sys
from io import StringIO

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.demos.boring_classes import BoringModel

from audiotok.callbacks import progress
from audiotok.callbacks.progress import Progress


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def drawn(monkeypatch, tmp_path):
    """Train for two epochs of four batches, validate and test; return all that is drawn."""
    monkeypatch.setattr(progress, "_LOSS_SECONDS", 0.0)
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    torch.manual_seed(0)
    trainer = pl.Trainer(
        accelerator="cpu",
        callbacks=[Progress()],
        max_epochs=2,
        limit_train_batches=4,
        limit_val_batches=2,
        limit_test_batches=3,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        default_root_dir=tmp_path,
    )
    model = BoringModel()
    monkeypatch.setattr("tqdm.std.tqdm.monitor_interval", 0)
    monkeypatch.setattr("tqdm.std.time", iter(range(10**6)).__next__)  # every batch is drawn
    trainer.fit(model)
    trainer.validate(model, verbose=False)
    trainer.test(model, verbose=False)
    return terminal.getvalue()


def test_a_bar_counts_epochs_from_one_and_shows_loss_and_time_left(drawn):
    assert re.findall(r"Epoch (\d) of 2", drawn)[0] == "1"
    assert set(re.findall(r"Epoch (\d) of 2", drawn)) == {"1", "2"}
    assert re.search(r"Epoch 2 of 2:.* 7/8, \d\d:\d\d left, loss=\d", drawn)  # of all batches
    assert re.search(r"Validation: .*/2, ", drawn)
    assert re.search(r"Test: .*/3, ", drawn)


def test_nothing_of_a_bar_remains(drawn):
    assert drawn.rpartition("\r")[2] == ""
    assert drawn.rstrip("\r").rpartition("\r")[2].strip() == ""
