import gc
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from tiny import build_tiny_recipe, dataset_of, path_of, targets_of
from torch import Tensor

from audiotok.data.corpus.corpus import Corpus
from audiotok.errors import UserError
from audiotok.loader.datamodule import ClipDataModule, default_workers
from audiotok.loader.sampler import balancing_weights
from audiotok.store import Store
from audiotok.tokens.tokenizer import Tokenizer

Batch = dict[str, Tensor]
Build = Callable[..., ClipDataModule]
RECIPE = build_tiny_recipe(
    sound={"mix": 0.5, "rotate": True, "gain_db": 6.0, "equalizer_db": 3.0, "mask_time": 0.2, "mask_bins": 2},
    words={"mask_time": 0.2, "noise": 0.2},
)
pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec")  # Lightning 2.6 on torch 2.14


@pytest.fixture
def build(corpus: Corpus, tokenizer: Tokenizer, store: Store) -> Build:
    """Build a datamodule of the corpus's clips, or of another corpus's."""

    def build(other: Corpus | None = None, *, stage: str = "tokens", recipe: Any = None, **changes: Any):
        settings = {
            "batch_size": 3,
            "n_workers": 0,
            "tokenize_on": "workers",
            "sampling": "uniform",
            "random_crop": False,
            "seed": 0,
        }
        return ClipDataModule(other or corpus, tokenizer, store, stage, recipe, **{**settings, **changes})

    return build


def a_trainer() -> pl.Trainer:
    return pl.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)


def batches(datamodule: ClipDataModule, split: str, epoch: int = 0) -> list[Batch]:
    """Return what a model gets to see in an epoch."""
    datamodule.trainer = a_trainer()
    datamodule.trainer.training = split == "train"
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
        self.validated: list[Batch] = []

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        self.batches.append(batch)
        return self.weight.sum()

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        self.validated.append(batch)

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
def test_a_batch_has_tokens_targets_and_indices(build, tokenizer, tokenize_on):
    batch = batches(build(tokenize_on=tokenize_on), "train")[0]
    assert {key: (value.dtype, tuple(value.shape)) for key, value in batch.items()} == {
        "inputs": (torch.int64, (3, tokenizer.n_tokens(1.0), 1)),
        "lengths": (torch.int64, (3,)),
        "targets": (torch.float32, (3, 4)),
        "index": (torch.int64, (3,)),
    }


@pytest.mark.parametrize(
    ("stage", "shape"), [("analysis", (63, 16)), ("frames", (32, 8)), ("tokens", (32, 1))]
)
@pytest.mark.parametrize("tokenize_on", ["workers", "accelerator"])
def test_inputs_are_what_the_model_reads(build, tokenizer, corpus, stage, shape, tokenize_on):
    [batch] = batches(build(stage=stage, tokenize_on=tokenize_on), "test")
    assert batch["inputs"].shape == (3, *shape)
    dataset = dataset_of(corpus, "test", tokenizer.features)
    given = dataset.__getitems__(range(3))
    expected, lengths = tokenizer.read(given["analysis"], given["n_slices"], stage)
    torch.testing.assert_close(batch["inputs"], expected, rtol=0, atol=1e-3)
    assert torch.equal(batch["lengths"], lengths)


@pytest.mark.parametrize("cache", ["none", "tokens", "frames"])
@pytest.mark.parametrize("recipe", [None, RECIPE], ids=["as they are", "augmented"])
@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_tokens_made_in_workers_equal_those_made_on_the_accelerator(build, corpus, split, recipe, cache):
    clips = replace(corpus, cache=cache)
    in_workers = batches(build(clips, recipe=recipe, tokenize_on="workers"), split)
    on_accelerator = batches(build(clips, recipe=recipe, tokenize_on="accelerator"), split)
    assert len(torch.cat([batch["inputs"].flatten() for batch in in_workers]).unique()) > 3
    assert_same(in_workers, on_accelerator)


@pytest.mark.parametrize("cache", ["none", "tokens", "frames"])
@pytest.mark.parametrize("stage", ["tokens", "analysis"])
@pytest.mark.parametrize("tokenize_on", ["workers", "accelerator"])
def test_other_processes_give_the_same_batches(build, corpus, tokenize_on, stage, cache):
    settings = {"stage": stage, "tokenize_on": tokenize_on, "random_crop": True, "recipe": RECIPE}
    alone = build(corpus, **settings)
    helped = build(replace(corpus, cache=cache), **settings, n_workers=2)
    for epoch in range(2):
        assert_same(batches(alone, "train", epoch), batches(helped, "train", epoch))


# ---- augmentation ----


def test_only_training_clips_are_augmented(build, corpus):
    corpus.clips["val"] = corpus.clips["train"]
    for tokenize_on in ("workers", "accelerator"):
        changed, plain = (build(recipe=r, tokenize_on=tokenize_on) for r in (RECIPE, None))
        assert_same(batches(changed, "val"), batches(plain, "val"))
        for batch, expected in zip(batches(changed, "train"), batches(plain, "train"), strict=True):
            assert torch.equal(batch["index"], expected["index"])
            assert not torch.equal(batch["inputs"], expected["inputs"])


def test_a_recipe_that_is_off_changes_nothing(build):
    assert_same(batches(build(recipe=build_tiny_recipe()), "train"), batches(build(), "train"))


def test_every_epoch_augments_anew_and_repeatably(build):
    def inputs(epoch: int) -> Tensor:
        return torch.cat([batch["inputs"] for batch in batches(build(recipe=RECIPE), "train", epoch)])

    first, second, again = inputs(0), inputs(1), inputs(1)
    assert torch.equal(second, again)
    assert not torch.equal(first, second)


@pytest.mark.parametrize("tokenize_on", ["workers", "accelerator"])
def test_lightning_augments_in_training_and_nowhere_else(build, tmp_path, tokenize_on):
    trainer = fit(build(recipe=RECIPE, tokenize_on=tokenize_on), tmp_path, n_epochs=2)
    recorder = trainer.lightning_module
    expected = [batch for epoch in range(2) for batch in batches(build(recipe=RECIPE), "train", epoch)]
    assert_same(recorder.batches, expected)
    plain = batches(build(), "val")
    assert_same(recorder.validated, [*plain, *plain, *plain])  # before training, and after each epoch


def test_targets_are_those_of_the_corpus(build, corpus):
    for batch in batches(build(), "train"):
        expected = targets_of(corpus.clips["train"], 4)[batch["index"].numpy()]
        assert torch.equal(batch["targets"], torch.from_numpy(expected).float())


def test_the_last_batch_holds_what_is_left(build):
    assert [len(batch["index"]) for batch in batches(build(), "train")] == [3, 3, 1]


# ---- order ----


@pytest.mark.parametrize(("split", "n_clips"), [("val", 5), ("test", 3)])
def test_validation_and_test_clips_come_in_order_and_complete(build, split, n_clips):
    datamodule = build(random_crop=True)
    assert visited(datamodule, split) == visited(datamodule, split) == list(range(n_clips))


def test_training_clips_come_complete_and_in_another_order_each_epoch(build):
    datamodule = build()
    orders = [visited(datamodule, "train", epoch) for epoch in range(4)]
    assert [sorted(order) for order in orders] == [list(range(7))] * 4
    assert len({tuple(order) for order in orders}) == 4


def test_the_order_of_training_clips_follows_from_the_seed(build):
    first = batches(build(random_crop=True, seed=1), "train")
    assert_same(first, batches(build(random_crop=True, seed=1), "train"))
    assert visited(build(seed=2), "train") != visited(build(seed=1), "train")


@pytest.mark.parametrize("cache", ["none", "tokens", "frames"])
def test_only_training_clips_are_cropped_at_random(build, corpus, cache):
    corpus.clips["val"] = corpus.clips["train"]
    clips = replace(corpus, cache=cache)
    read = {"none": "waveform", "tokens": "analysis", "frames": "analysis"}[cache]
    settings = {"stage": "frames", "tokenize_on": "accelerator", "batch_size": 7}
    datamodule, centred = (build(clips, random_crop=crop, **settings) for crop in (True, False))
    [cropped], [expected] = list(datamodule.train_dataloader()), list(centred.train_dataloader())
    is_same = (cropped[read] == expected[read]).flatten(1).all(1)
    assert is_same.tolist() == [corpus.clips["train"][i].seconds <= 1 for i in expected["index"].tolist()]
    [cropped], [expected] = list(datamodule.val_dataloader()), list(centred.val_dataloader())
    assert torch.equal(cropped[read], expected[read])


VARIED = {"sampling": "balanced", "recipe": RECIPE}


@pytest.mark.parametrize(
    ("n_workers", "changes"), [(0, {}), (0, VARIED), (2, VARIED)], ids=["plain", "varied", "varied, workers"]
)
def test_a_resumed_run_sees_what_it_would_have_seen_without_a_stop(build, tmp_path, n_workers, changes):
    changes = {"random_crop": True, "n_workers": n_workers, **changes}
    whole = fit(build(**changes), tmp_path, n_epochs=3)
    stopped = fit(build(**changes), tmp_path, n_epochs=1)
    stopped.save_checkpoint(tmp_path / "stopped.ckpt")
    resumed = fit(build(**changes), tmp_path, 3, tmp_path / "stopped.ckpt")
    seen = stopped.lightning_module.batches + resumed.lightning_module.batches
    assert len(seen) == 9
    assert_same(seen, whole.lightning_module.batches)


# ---- balanced sampling ----


def test_balanced_sampling_visits_clips_of_rare_classes_more_often(build, corpus):
    expected = balancing_weights(corpus.clips["train"])
    datamodule = build(sampling="balanced")
    sampler = datamodule.train_dataloader().sampler
    visits = np.zeros(7)
    for epoch in range(300):
        sampler.set_epoch(epoch)
        visits += np.bincount([draw.clip for draw in sampler], minlength=7)
    assert expected.max() > 1.5 * expected.min()
    np.testing.assert_allclose(visits / visits.sum(), expected / expected.sum(), atol=0.03)
    assert len(visited(datamodule, "train")) == 7
    for split, n_clips in (("val", 5), ("test", 3)):
        assert visited(datamodule, split) == list(range(n_clips))


# ---- where tokens are made ----


def test_auto_makes_tokens_in_workers_on_a_cpu(build):
    datamodule = build(tokenize_on="auto")
    assert datamodule.in_workers
    assert not build(tokenize_on="auto", device=torch.device("cuda")).in_workers
    assert "inputs" in next(iter(datamodule.val_dataloader()))


def test_the_accelerator_is_handed_waveforms(build):
    batch = next(iter(build(tokenize_on="accelerator").val_dataloader()))
    assert batch["waveform"].shape == (3, 8000)
    assert batch["n_samples"].tolist() == [4800, 8000, 8000]
    assert "inputs" not in batch


def test_the_accelerator_is_handed_kept_mel_frames(build, corpus):
    clips = replace(corpus, cache="frames")
    batch = next(iter(build(clips, stage="frames", tokenize_on="accelerator").val_dataloader()))
    assert (batch["analysis"].dtype, tuple(batch["analysis"].shape)) == (torch.float16, (3, 63, 16))
    assert batch["n_slices"].tolist() == [38, 63, 63]
    assert not batch.keys() & {"inputs", "waveform"}


def test_the_accelerator_is_handed_kept_tokens(build, corpus):
    clips = replace(corpus, cache="tokens")
    batch = next(iter(build(clips, tokenize_on="accelerator").val_dataloader()))
    assert (batch["tokens"].dtype, tuple(batch["tokens"].shape)) == (torch.uint8, (3, 32, 1))
    assert batch["n_tokens"].tolist() == [19, 32, 32]
    assert not batch.keys() & {"inputs", "waveform", "analysis"}


def test_workers_are_done_without_once_all_tokens_are_kept(build, corpus):
    datamodule = build(replace(corpus, cache="tokens"), n_workers=None)
    for split in ("train", "val"):
        loader = getattr(datamodule, f"{split}_dataloader")()
        for n_workers in (default_workers(), 0, 0):
            seen = torch.cat([batch["index"] for batch in loader])
            assert loader.num_workers == n_workers
            assert len(seen) == len(corpus.clips[split])


@pytest.mark.parametrize(
    ("cache", "settings"),
    [
        ("tokens", {"n_workers": 1}),  # asked for
        ("tokens", {"n_workers": None, "recipe": RECIPE}),  # sound is changed
        ("tokens", {"n_workers": None, "stage": "frames"}),
        ("none", {"n_workers": None}),
    ],
)
def test_workers_stay_where_they_have_work(build, corpus, cache, settings):
    loader = build(replace(corpus, cache=cache), **settings).train_dataloader()
    for _ in range(2):
        list(loader)
        assert loader.num_workers == (settings["n_workers"] or default_workers())


def test_a_loader_ends_with_its_last_reference(build, corpus):
    """In a reference cycle, the workers would not be told to stop, and be waited for 5 s each."""
    loader = build(replace(corpus, cache="none"), n_workers=1).train_dataloader()
    list(loader)
    [worker] = loader._iterator._workers
    gc.disable()
    try:
        del loader
        assert not worker.is_alive()
    finally:
        gc.enable()
    assert worker.exitcode == 0


def test_a_run_without_workers_named_takes_the_default(build):
    assert build(n_workers=None).n_workers == default_workers()
    assert build(n_workers=0).n_workers == 0


@pytest.mark.parametrize(("n_cores", "n_workers"), [(1, 1), (2, 1), (6, 5), (9, 8), (64, 8)])
def test_default_workers_are_the_cores_but_one_at_most_eight(monkeypatch, n_cores, n_workers):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(n_cores)), raising=False)
    assert default_workers() == n_workers


def test_jobs_that_share_a_machine_share_out_its_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)
    monkeypatch.setenv("AUDIOTOK_JOBS", "4")
    assert default_workers() == 3


# ---- refusals ----


@pytest.mark.parametrize("batch_size", [0, -1])
def test_a_batch_size_below_one_is_refused(build, batch_size):
    sentence = rf"^loader\.batch_size={batch_size} is too small; choose 1 or more\.$"
    with pytest.raises(UserError, match=sentence):
        build(batch_size=batch_size)


def test_a_negative_number_of_workers_is_refused(build):
    sentence = r"^loader\.n_workers=-1 is negative; choose 0 or more, or null\.$"
    with pytest.raises(UserError, match=sentence):
        build(n_workers=-1)


@pytest.mark.parametrize("n_workers", [0, 1])
def test_a_file_that_vanished_stops_training_with_one_sentence(build, corpus, tmp_path, n_workers):
    path_of(corpus.clips["train"][3]).unlink()
    with pytest.raises(UserError, match=r"train3\.wav could be read when it was inspected") as caught:
        fit(build(n_workers=n_workers), tmp_path, n_epochs=1)
    assert "\n" not in str(caught.value)


# ---- on a GPU ----


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("cache", ["none", "tokens", "frames"])
@pytest.mark.parametrize("recipe", [None, RECIPE], ids=["as they are", "augmented"])
def test_tokens_made_on_the_gpu_equal_those_made_on_the_cpu(build, corpus, tokenizer, recipe, cache):
    on_cpu = batches(build(batch_size=7, recipe=recipe), "train")[0]
    clips = replace(corpus, cache=cache)
    datamodule = build(clips, batch_size=7, tokenize_on="accelerator", recipe=recipe)
    datamodule.trainer = a_trainer()
    datamodule.trainer.training = True
    batch = {key: value.cuda() for key, value in next(iter(datamodule.train_dataloader())).items()}
    try:
        on_gpu = datamodule.on_after_batch_transfer(batch, 0)
    finally:
        tokenizer.cpu()
    assert on_gpu["inputs"].is_cuda
    assert torch.equal(on_gpu["lengths"].cpu(), on_cpu["lengths"])
    torch.testing.assert_close(on_gpu["targets"].cpu(), on_cpu["targets"])
    is_same = on_gpu["inputs"].cpu() == on_cpu["inputs"]
    assert is_same.float().mean() > 0.99  # a frame midway between two centroids may fall to either
