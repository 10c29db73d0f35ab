import os
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor

from audiotok.data.corpus import Corpus
from audiotok.errors import UserError
from audiotok.loader.datamodule import ClipDataModule, default_workers
from audiotok.tokenizer import Tokenizer

Batch = dict[str, Tensor]
pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec")  # Lightning 2.6 on torch 2.14


def build(corpus: Corpus, tokenizer: Tokenizer, **changes: Any) -> ClipDataModule:
    settings = {"batch_size": 3, "n_workers": 0, "tokenize_on": "workers", "random_crop": False, "seed": 0}
    return ClipDataModule(corpus, tokenizer, **{**settings, **changes})


def batches(datamodule: ClipDataModule, split: str, epoch: int = 0) -> list[Batch]:
    """Return what a model gets to see in an epoch."""
    loader = getattr(datamodule, f"{split}_dataloader")()
    if split == "train":
        loader.sampler.set_epoch(epoch)
    return [datamodule.on_after_batch_transfer(batch, 0) for batch in loader]


def visited(datamodule: ClipDataModule, split: str, epoch: int = 0) -> list[int]:
    return torch.cat([batch["index"] for batch in batches(datamodule, split, epoch)]).tolist()


def assert_same(first: list[Batch], second: list[Batch]) -> None:
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        assert set(one) == set(other)
        for key in one:
            assert torch.equal(one[key], other[key]), key


class Recorder(pl.LightningModule):
    """Learn nothing; note the training batches."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.batches: list[Batch] = []

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        self.batches.append(batch)
        return self.weight.sum()

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        pass

    def configure_optimizers(self) -> torch.optim.Optimizer:
        self.n_steps = self.trainer.estimated_stepping_batches  # as the tagger does; it starts the loader
        return torch.optim.SGD(self.parameters(), lr=0.0)


def fit(datamodule: ClipDataModule, folder: Path, n_epochs: int, ckpt_path: Path | None = None) -> pl.Trainer:
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=n_epochs,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
    )
    trainer.fit(Recorder(), datamodule, ckpt_path=ckpt_path)
    return trainer


# ---- batches ----


@pytest.mark.parametrize("tokenize_on", ["workers", "accelerator"])
def test_a_batch_has_tokens_targets_and_indices(
    corpus: Corpus, tokenizer: Tokenizer, tokenize_on: str
) -> None:
    batch = batches(build(corpus, tokenizer, tokenize_on=tokenize_on), "train")[0]
    assert {key: (value.dtype, tuple(value.shape)) for key, value in batch.items()} == {
        "tokens": (torch.int64, (3, tokenizer.n_tokens(1.0), 1)),
        "n_tokens": (torch.int64, (3,)),
        "targets": (torch.float32, (3, 4)),
        "index": (torch.int64, (3,)),
    }


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_tokens_made_in_workers_equal_those_made_on_the_accelerator(
    corpus: Corpus, tokenizer: Tokenizer, split: str
) -> None:
    in_workers = batches(build(corpus, tokenizer, tokenize_on="workers"), split)
    on_accelerator = batches(build(corpus, tokenizer, tokenize_on="accelerator"), split)
    assert len(torch.cat([batch["tokens"].flatten() for batch in in_workers]).unique()) > 3
    assert_same(in_workers, on_accelerator)


@pytest.mark.parametrize("tokenize_on", ["workers", "accelerator"])
def test_other_processes_give_the_same_batches(
    corpus: Corpus, tokenizer: Tokenizer, tokenize_on: str
) -> None:
    alone = build(corpus, tokenizer, tokenize_on=tokenize_on, random_crop=True)
    helped = build(corpus, tokenizer, tokenize_on=tokenize_on, random_crop=True, n_workers=2)
    for epoch in range(2):
        assert_same(batches(alone, "train", epoch), batches(helped, "train", epoch))


def test_targets_are_those_of_the_corpus(corpus: Corpus, tokenizer: Tokenizer) -> None:
    for batch in batches(build(corpus, tokenizer), "train"):
        expected = corpus.targets("train")[batch["index"].numpy()]
        assert torch.equal(batch["targets"], torch.from_numpy(expected).float())


def test_the_last_batch_holds_what_is_left(corpus: Corpus, tokenizer: Tokenizer) -> None:
    assert [len(batch["index"]) for batch in batches(build(corpus, tokenizer), "train")] == [3, 3, 1]


# ---- order ----


@pytest.mark.parametrize(("split", "n_clips"), [("val", 5), ("test", 3)])
def test_validation_and_test_clips_come_in_order_and_complete(
    corpus: Corpus, tokenizer: Tokenizer, split: str, n_clips: int
) -> None:
    datamodule = build(corpus, tokenizer, random_crop=True)
    assert visited(datamodule, split) == visited(datamodule, split) == list(range(n_clips))


def test_training_clips_come_complete_and_in_another_order_each_epoch(
    corpus: Corpus, tokenizer: Tokenizer
) -> None:
    datamodule = build(corpus, tokenizer)
    orders = [visited(datamodule, "train", epoch) for epoch in range(4)]
    assert [sorted(order) for order in orders] == [list(range(7))] * 4
    assert len({tuple(order) for order in orders}) == 4


def test_the_order_of_training_clips_follows_from_the_seed(corpus: Corpus, tokenizer: Tokenizer) -> None:
    first = batches(build(corpus, tokenizer, random_crop=True, seed=1), "train")
    assert_same(first, batches(build(corpus, tokenizer, random_crop=True, seed=1), "train"))
    assert visited(build(corpus, tokenizer, seed=2), "train") != visited(
        build(corpus, tokenizer, seed=1), "train"
    )


def test_only_training_clips_are_cropped_at_random(corpus: Corpus, tokenizer: Tokenizer) -> None:
    corpus.clips["val"] = list(corpus.clips["train"])
    datamodule = build(corpus, tokenizer, tokenize_on="accelerator", random_crop=True, batch_size=7)
    centred = build(corpus, tokenizer, tokenize_on="accelerator", random_crop=False, batch_size=7)
    [cropped], [expected] = list(datamodule.train_dataloader()), list(centred.train_dataloader())
    assert not torch.equal(cropped["waveform"], expected["waveform"])
    [cropped], [expected] = list(datamodule.val_dataloader()), list(centred.val_dataloader())
    assert torch.equal(cropped["waveform"], expected["waveform"])


@pytest.mark.parametrize("n_workers", [0, 2])
def test_a_resumed_run_sees_what_it_would_have_seen_without_a_stop(
    corpus: Corpus, tokenizer: Tokenizer, tmp_path: Path, n_workers: int
) -> None:
    changes = {"random_crop": True, "n_workers": n_workers}
    whole = fit(build(corpus, tokenizer, **changes), tmp_path, n_epochs=3)
    stopped = fit(build(corpus, tokenizer, **changes), tmp_path, n_epochs=1)
    stopped.save_checkpoint(tmp_path / "stopped.ckpt")
    resumed = fit(build(corpus, tokenizer, **changes), tmp_path, 3, tmp_path / "stopped.ckpt")
    seen = stopped.lightning_module.batches + resumed.lightning_module.batches
    assert len(seen) == 9
    assert_same(seen, whole.lightning_module.batches)


# ---- where tokens are made ----


def test_auto_makes_tokens_in_workers_on_a_cpu(corpus: Corpus, tokenizer: Tokenizer) -> None:
    datamodule = build(corpus, tokenizer, tokenize_on="auto")
    assert datamodule.in_workers
    datamodule.trainer = pl.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    assert datamodule.in_workers
    assert "tokens" in next(iter(datamodule.val_dataloader()))


def test_the_accelerator_is_handed_waveforms(corpus: Corpus, tokenizer: Tokenizer) -> None:
    batch = next(iter(build(corpus, tokenizer, tokenize_on="accelerator").val_dataloader()))
    assert batch["waveform"].shape == (3, 8000)
    assert batch["n_samples"].tolist() == [4800, 8000, 8000]
    assert "tokens" not in batch


def test_a_run_without_workers_named_takes_the_default(corpus: Corpus, tokenizer: Tokenizer) -> None:
    assert build(corpus, tokenizer, n_workers=None).n_workers == default_workers()
    assert build(corpus, tokenizer, n_workers=0).n_workers == 0


@pytest.mark.parametrize(("n_cores", "n_workers"), [(1, 1), (2, 1), (6, 5), (9, 8), (64, 8)])
def test_default_workers_are_the_cores_but_one_at_most_eight(
    monkeypatch: pytest.MonkeyPatch, n_cores: int, n_workers: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(n_cores)), raising=False)
    assert default_workers() == n_workers


# ---- refusals ----


@pytest.mark.parametrize("batch_size", [0, -1])
def test_a_batch_size_below_one_is_refused(corpus: Corpus, tokenizer: Tokenizer, batch_size: int) -> None:
    sentence = rf"^loader\.batch_size={batch_size} is too small; choose 1 or more\.$"
    with pytest.raises(UserError, match=sentence):
        build(corpus, tokenizer, batch_size=batch_size)


def test_a_negative_number_of_workers_is_refused(corpus: Corpus, tokenizer: Tokenizer) -> None:
    sentence = r"^loader\.n_workers=-1 is negative; choose 0 or more, or null\.$"
    with pytest.raises(UserError, match=sentence):
        build(corpus, tokenizer, n_workers=-1)


@pytest.mark.parametrize("n_workers", [0, 1])
def test_a_file_that_vanished_stops_training_with_one_sentence(
    corpus: Corpus, tokenizer: Tokenizer, tmp_path: Path, n_workers: int
) -> None:
    corpus.clips["train"][3].path.unlink()
    with pytest.raises(UserError, match=r"train3\.wav could be read when it was inspected") as caught:
        fit(build(corpus, tokenizer, n_workers=n_workers), tmp_path, n_epochs=1)
    assert "\n" not in str(caught.value)


# ---- on a GPU ----


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_tokens_made_on_the_gpu_equal_those_made_on_the_cpu(corpus: Corpus, tokenizer: Tokenizer) -> None:
    on_cpu = batches(build(corpus, tokenizer, batch_size=7), "train")[0]
    datamodule = build(corpus, tokenizer, batch_size=7, tokenize_on="accelerator")
    waveforms = {key: value.cuda() for key, value in next(iter(datamodule.train_dataloader())).items()}
    try:
        on_gpu = datamodule.on_after_batch_transfer(waveforms, 0)
    finally:
        tokenizer.cpu()
    assert on_gpu["tokens"].is_cuda
    assert torch.equal(on_gpu["n_tokens"].cpu(), on_cpu["n_tokens"])
    is_same = on_gpu["tokens"].cpu() == on_cpu["tokens"]
    assert is_same.float().mean() > 0.99  # a frame midway between two centroids may fall to either
