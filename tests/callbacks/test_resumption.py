"""A checkpoint inside an epoch; tests/faults/test_resume.py compares whole runs."""

import logging
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from tiny import clips_with
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from audiotok.callbacks.resumption import Resumption
from audiotok.errors import UserError
from audiotok.loader.datamodule import ClipDataModule, EpochLoader
from audiotok.loader.sampler import EpochSampler, balancing_weights

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*LeafSpec"),  # Lightning 2.6 on torch 2.14
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:You're resuming from a checkpoint"),
]


class Numbers(Dataset):
    """Clips that are their numbers."""

    is_cached = False

    def __len__(self) -> int:
        return 10

    def __getitems__(self, draws: list[Any]) -> dict[str, Tensor]:
        return {"inputs": torch.tensor([[float(draw.clip), float(draw.seed % 1000)] for draw in draws])}


class NumbersModule(ClipDataModule):
    """Visit ten clips in batches of two, with the loader of real clips."""

    def __init__(self, sampling: Any = "uniform", batch_size: int = 2) -> None:
        pl.LightningDataModule.__init__(self)
        self.batch_size, self.sampling, self.seed, self._is_over = batch_size, sampling, 0, False
        self._loader_of_training: DataLoader | None = None

    def train_dataloader(self) -> DataLoader:
        if self._loader_of_training is None:
            balanced = balancing_weights(clips_with(np.arange(30).reshape(10, 3) % 4 == 0))
            weights = balanced if self.sampling == "balanced" else None
            self._loader_of_training = EpochLoader(
                Numbers(),
                drops_workers=False,
                n_trained=self._n_trained,
                batch_size=self.batch_size,
                sampler=EpochSampler(10, 0, weights),
                collate_fn=lambda batch: batch,
            )
        return self._loader_of_training


class Sum(pl.LightningModule):
    """Note the clips, and what a plugin might draw from global generators."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.seen: list[list[float]] = []

    def training_step(self, batch: dict[str, Tensor], batch_index: int) -> Tensor:
        drawn = [random.random(), float(np.random.rand()), float(torch.rand(()))]
        self.seen.append([*batch["inputs"].flatten().tolist(), *drawn])
        return self.weight.sum() * batch["inputs"].sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.01)


class SaveAt(pl.Callback):
    """Write a checkpoint after a step."""

    def __init__(self, step: int, path: Path) -> None:
        self.step, self.path = step, path

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.global_step == self.step:
            trainer.save_checkpoint(self.path)


def fit(
    data: NumbersModule,
    folder: Path,
    ckpt_path: Path | None = None,
    *callbacks: pl.Callback,
    model: dict[str, Any] | None = None,
) -> list[list[float]]:
    pl.seed_everything(0 if ckpt_path is None else 1, verbose=False)
    module = Sum()
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=3,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        default_root_dir=folder,
        callbacks=[Resumption(model), *callbacks],
    )
    trainer.fit(module, data, ckpt_path=ckpt_path, weights_only=True)
    return module.seen


@pytest.mark.parametrize("sampling", ["uniform", "balanced"])
@pytest.mark.parametrize("step", [1, 4, 5, 8])
def test_the_batches_that_are_left_of_an_epoch_are_visited_and_no_other(tmp_path, sampling, step):
    path = tmp_path / "a.ckpt"
    whole = fit(NumbersModule(sampling), tmp_path, None, SaveAt(step, path))
    assert len(whole) == 15
    assert fit(NumbersModule(sampling), tmp_path, path) == whole[step:]


def test_a_place_in_other_batches_is_refused(tmp_path):
    path = tmp_path / "a.ckpt"
    fit(NumbersModule(), tmp_path, None, SaveAt(2, path))
    for changed, words in (
        (NumbersModule(batch_size=5), "loader.batch_size=2, and here it is 5"),
        (NumbersModule("balanced"), "loader.sampling=uniform, and here it is balanced"),
    ):
        said = f"^ckpt_path={path} was written inside an epoch with {words}; use"
        with pytest.raises(UserError, match=said):
            fit(changed, tmp_path, path)


def test_a_model_that_differs_in_what_its_weights_do_not_show_is_refused(tmp_path):
    path = tmp_path / "a.ckpt"
    fit(NumbersModule(), tmp_path, None, SaveAt(2, path), model={"num_heads": 2})
    said = f"^ckpt_path={path} was trained with model.num_heads=2, and here it is 4; use the model of its run"
    with pytest.raises(UserError, match=said):
        fit(NumbersModule(), tmp_path, path, model={"num_heads": 4})


def test_a_checkpoint_of_an_earlier_version_continues_in_its_place_and_says_so(tmp_path, caplog):
    path = tmp_path / "a.ckpt"
    whole = fit(NumbersModule(), tmp_path, None, SaveAt(7, path))
    checkpoint = torch.load(path, weights_only=True)
    del checkpoint["resumption"]
    torch.save(checkpoint, path)
    with caplog.at_level(logging.WARNING, "audiotok"):
        rest = fit(NumbersModule(), tmp_path, path)
    assert [batch[:4] for batch in rest] == [batch[:4] for batch in whole[7:]]
    assert f"{path} was written inside an epoch by an earlier version" in caplog.text
