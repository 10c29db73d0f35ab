import errno
import logging
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import Tensor
from torch.utils.data import DataLoader

from audiotok.callbacks.checkpoint import BestCheckpoint, CheckpointFiles

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*LeafSpec"),  # Lightning 2.6 on torch 2.14
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:The dirpath has changed"),
    pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty"),
]


class Counter(pl.LightningModule):
    """Have one weight, the number of epochs trained, and a score in each that is given."""

    def __init__(self, scores: list[float]) -> None:
        super().__init__()
        self.scores = scores
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def training_step(self, batch: Tensor, batch_index: int) -> Tensor:
        return -self.weight.sum()

    def validation_step(self, batch: Tensor, batch_index: int) -> None:
        self.log("val/mAP", self.scores[self.current_epoch])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=1.0)


def fit(folder: Path, scores: list[float], n_epochs: int, ckpt_path: Path | None = None) -> BestCheckpoint:
    best, last = (
        BestCheckpoint("val/mAP", "max", dirpath=folder),
        ModelCheckpoint(folder, filename="last", enable_version_counter=False),
    )
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=n_epochs,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        callbacks=[best, last],
    )
    loader = DataLoader(torch.zeros(1, 1), batch_size=1)
    trainer.fit(Counter(scores), loader, loader, ckpt_path=ckpt_path, weights_only=True)
    return best


def epochs_trained(path: str | Path) -> int:
    return int(torch.load(path, weights_only=True)["state_dict"]["weight"])


def test_the_epoch_with_the_best_score_is_kept(tmp_path):
    best = fit(tmp_path, [0.1, 0.3, 0.2], n_epochs=3)
    assert best.best_model_path == str(tmp_path / "best.ckpt")
    assert epochs_trained(tmp_path / "best.ckpt") == 2
    assert epochs_trained(tmp_path / "last.ckpt") == 3


def test_the_best_of_a_stopped_run_comes_along_into_another_folder(tmp_path):
    fit(tmp_path / "first", [0.3, 0.2], n_epochs=2)
    best = fit(tmp_path / "rest", [0.3, 0.2, 0.1], 3, tmp_path / "first" / "last.ckpt")
    assert best.best_model_path == str(tmp_path / "rest" / "best.ckpt")
    assert epochs_trained(tmp_path / "rest" / "best.ckpt") == 1
    assert float(best.best_model_score) == pytest.approx(0.3)


def test_a_resumed_run_can_still_find_a_better_epoch(tmp_path):
    fit(tmp_path / "first", [0.3, 0.2], n_epochs=2)
    best = fit(tmp_path / "rest", [0.3, 0.2, 0.4], 3, tmp_path / "first" / "last.ckpt")
    assert epochs_trained(best.best_model_path) == 3
    assert sorted(path.name for path in (tmp_path / "rest").iterdir()) == ["best.ckpt", "last.ckpt"]
    assert epochs_trained(tmp_path / "first" / "best.ckpt") == 1  # the stopped run is left as it was


def test_a_run_can_be_resumed_in_its_own_folder(tmp_path):
    fit(tmp_path, [0.3, 0.2], n_epochs=2)
    best = fit(tmp_path, [0.3, 0.2, 0.1], 3, tmp_path / "last.ckpt")
    assert epochs_trained(best.best_model_path) == 1


def test_a_run_can_be_resumed_in_its_own_folder_by_another_name(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    fit(tmp_path / "folder", [0.3, 0.2], n_epochs=2)
    best = fit(tmp_path / "link", [0.3, 0.2, 0.1], 3, tmp_path / "link" / "last.ckpt")
    assert epochs_trained(best.best_model_path) == 1


def test_a_best_checkpoint_that_is_gone_is_warned_of(tmp_path, caplog):
    fit(tmp_path / "first", [0.3, 0.2], n_epochs=2)
    (tmp_path / "first" / "best.ckpt").unlink()
    with caplog.at_level(logging.WARNING, "audiotok"):
        best = fit(tmp_path / "rest", [0.3, 0.2, 0.1], 3, tmp_path / "first" / "last.ckpt")
    assert f"{tmp_path / 'first' / 'best.ckpt'} is missing" in caplog.text
    assert epochs_trained(best.best_model_path) == 3


def test_a_run_that_was_moved_finds_its_best_checkpoint(tmp_path):
    fit(tmp_path / "first", [0.3, 0.2], n_epochs=2)
    (tmp_path / "first").rename(tmp_path / "moved")
    best = fit(tmp_path / "rest", [0.3, 0.2, 0.1], 3, tmp_path / "moved" / "last.ckpt")
    assert epochs_trained(best.best_model_path) == 1


def test_no_path_is_taken_from_a_checkpoint(tmp_path):
    fit(tmp_path / "first", [0.3, 0.2], n_epochs=2)
    last, secret = tmp_path / "first" / "last.ckpt", tmp_path / "secret.ckpt"
    secret.write_bytes((tmp_path / "first" / "best.ckpt").read_bytes())
    (tmp_path / "first" / "best.ckpt").unlink()
    checkpoint = torch.load(last, weights_only=True)
    for state in checkpoint["callbacks"].values():
        state["best_model_path"] = state["kth_best_model_path"] = str(secret)
    torch.save(checkpoint, last)
    best = fit(tmp_path / "rest", [0.3, 0.2, 0.1], 3, last)
    assert epochs_trained(best.best_model_path) == 3
    assert secret.exists()
    assert sorted(path.name for path in (tmp_path / "rest").iterdir()) == ["best.ckpt", "last.ckpt"]


def test_the_best_of_a_later_epoch_is_not_taken_for_that_of_the_checkpoint(tmp_path, caplog):
    fit(tmp_path, [0.2], n_epochs=1)
    (tmp_path / "last.ckpt").rename(tmp_path / "first.ckpt")
    fit(tmp_path, [0.2, 0.3, 0.1], n_epochs=3)
    with caplog.at_level(logging.WARNING, "audiotok"):
        best = fit(tmp_path / "rest", [0.2, 0.25, 0.1], 3, tmp_path / "first.ckpt")
    assert "best.ckpt is of a later epoch" in caplog.text
    assert epochs_trained(best.best_model_path) == 2


def test_a_damaged_best_checkpoint_is_not_taken_over(tmp_path, caplog):
    fit(tmp_path, [0.3, 0.2], n_epochs=2)
    path = tmp_path / "best.ckpt"
    path.write_bytes(path.read_bytes().replace(b"best_model_score", b"best_model_scorf", 1))
    with caplog.at_level(logging.WARNING, "audiotok"):
        best = fit(tmp_path / "rest", [0.3, 0.2, 0.1], 3, tmp_path / "last.ckpt")
    assert "it is damaged" in caplog.text
    assert epochs_trained(best.best_model_path) == 3


def test_a_checkpoint_is_written_beside_its_place_and_not_in_tmpdir(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    CheckpointFiles().save_checkpoint({"weight": torch.ones(2)}, tmp_path / "run" / "last.ckpt")
    assert torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)["weight"].tolist() == [1, 1]
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["last.ckpt"]


def test_a_checkpoint_that_cannot_be_written_leaves_the_one_of_before(tmp_path, monkeypatch):
    path = tmp_path / "last.ckpt"
    CheckpointFiles().save_checkpoint({"weight": torch.ones(2)}, path)

    def refuse(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", refuse)
    with pytest.raises(OSError, match="No space") as raised:
        CheckpointFiles().save_checkpoint({"weight": torch.zeros(2)}, path)
    assert raised.value.filename == str(path)
    assert torch.load(path, weights_only=True)["weight"].tolist() == [1, 1]
    assert list(tmp_path.iterdir()) == [path]
