"""The LightningDataModule: spectrograms and tokens on the fly, from the cached centroids."""

import os
from collections.abc import Iterator
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from audiotok.augment.recipe import Recipe
from audiotok.data.clip import Split
from audiotok.data.corpus.corpus import Corpus
from audiotok.errors import UserError
from audiotok.loader.cache import ClipCache
from audiotok.loader.clips import ClipDataset, as_it_is
from audiotok.loader.collate import Preparation
from audiotok.loader.sampler import EpochSampler, balancing_weights
from audiotok.store import Store
from audiotok.tokens.tokenizer import Stage, Tokenizer


class EpochLoader(DataLoader[Any]):
    """Begin an epoch when its first batch is asked for, not before.

    Lightning makes the first iterator before it restores a checkpoint, and workers would fetch the clips of
    epoch 0 for a run that resumes in a later one.
    """

    drops_workers = (
        False  # in the first epoch that finds all tokens kept: fetching them costs less than passing
    )

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        if self.drops_workers and self.num_workers and self.dataset.is_kept:  # type: ignore[attr-defined]
            self.num_workers, self._iterator = 0, None
        yield from super().__iter__()


class ClipDataModule(pl.LightningDataModule):
    """Batches of what a model reads: `inputs` (B, T, ...), `lengths` (B,), `targets` (B, C), `index` (B,).

    Args:
        corpus: Where the clips are, and what is kept of them.
        tokenizer: Fitted before the first batch.
        store: Where it is kept.
        stage: What the model reads.
        recipe: What is changed in training clips.
        batch_size: Clips in a batch, B, of each device.
        n_workers: Processes that read clips for a device; None takes the cores but one, at most 8, and none
            in epochs in which all tokens are there.
        tokenize_on: "workers" makes spectrograms and tokens where files are read, "accelerator" after a
            batch has been moved to the device; "auto" takes the accelerator where it is a GPU.
        sampling: "uniform" visits every training clip once an epoch; "balanced" visits clips of rare classes
            more often.
        random_crop: In training, take a random stretch of clips that are too long, not the middle.
        seed: Seed of the order of training clips, of their crops and of their augmentation.
    """

    def __init__(
        self,
        corpus: Corpus,
        tokenizer: Tokenizer,
        store: Store,
        stage: Stage,
        recipe: Recipe | None,
        *,
        batch_size: int,
        n_workers: int | None,
        tokenize_on: Literal["auto", "workers", "accelerator"],
        sampling: Literal["uniform", "balanced"],
        random_crop: bool,
        seed: int,
    ) -> None:
        super().__init__()
        if batch_size < 1:
            raise UserError(f"loader.batch_size={batch_size} is too small; choose 1 or more.")
        if n_workers is not None and n_workers < 0:
            raise UserError(f"loader.n_workers={n_workers} is negative; choose 0 or more, or null.")
        if recipe is not None:
            recipe.sound.check(tokenizer.features)
        self.corpus, self.tokenizer, self.batch_size = corpus, tokenizer, batch_size
        self.n_workers = default_workers() if n_workers is None else n_workers
        self.drops_workers = n_workers is None
        self.tokenize_on, self.sampling, self.random_crop = tokenize_on, sampling, random_crop
        self.seed = seed
        self.cache = ClipCache(corpus, tokenizer, store, stage, recipe)
        self.trained, self.scored = Preparation(tokenizer, stage, recipe), Preparation(tokenizer, stage, None)
        self._loaders: dict[Split, DataLoader[Any]] = {}

    @property
    def in_workers(self) -> bool:
        """Whether tokens are made where the files are read."""
        if self.tokenize_on == "auto":
            return self.trainer is None or self.trainer.strategy.root_device.type == "cpu"
        return self.tokenize_on == "workers"

    def train_dataloader(self) -> DataLoader[Any]:
        """Visit training clips in an order of the epoch's own."""
        return self._loader("train")

    def val_dataloader(self) -> DataLoader[Any]:
        """Visit all validation clips in order."""
        return self._loader("val")

    def test_dataloader(self) -> DataLoader[Any]:
        """Visit all test clips in order."""
        return self._loader("test")

    def _loader(self, split: Split) -> DataLoader[Any]:
        if split not in self._loaders:
            training = split == "train"
            dataset = ClipDataset(
                self.corpus,
                split,
                self.tokenizer.features,
                content=self._content(split),
                cache=self.cache,
                random_crop=training and self.random_crop,
            )
            loader = EpochLoader(
                dataset,
                batch_size=self.batch_size,
                sampler=self._visits(len(dataset)) if training else self._share(len(dataset)),
                collate_fn=self._preparation(training) if self.in_workers else as_it_is,
                num_workers=self.n_workers,
                persistent_workers=training and self.n_workers > 0,
                pin_memory=torch.cuda.is_available(),
            )
            loader.drops_workers = self.drops_workers
            self._loaders[split] = loader
        return self._loaders[split]

    def _content(self, split: Split) -> Stage:
        """Return what the dataset of a split gives."""
        if self.cache.keeps_tokens(split):
            return "tokens"
        return "analysis" if self.in_workers or self.cache.keeps_frames(split) else "waveform"

    def _visits(self, n_clips: int) -> EpochSampler:
        weights = balancing_weights(self.corpus.clips["train"]) if self.sampling == "balanced" else None
        rank, n_ranks = self._ranks
        return EpochSampler(n_clips, self.seed, weights, rank=rank, n_ranks=n_ranks)

    def _share(self, n_clips: int) -> range:
        """Return the clips that this process scores: each is scored by one process, once."""
        rank, n_ranks = self._ranks
        return range(rank, n_clips, n_ranks)

    @property
    def _ranks(self) -> tuple[int, int]:
        """Which process of the run this is, and how many there are."""
        return (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)

    def _preparation(self, training: bool) -> Preparation:
        return self.trained if training else self.scored

    def on_after_batch_transfer(self, batch: dict[str, Tensor], dataloader_idx: int) -> dict[str, Tensor]:
        """Make a batch ready on the device that it has been moved to, where workers have not done it."""
        if "inputs" in batch:
            return batch
        preparation = self._preparation(training=self.trainer is not None and self.trainer.training)
        return preparation.on(batch["targets"].device)(batch)


def default_workers() -> int:
    """Return how many processes read clips where nothing else is said: the cores but one, at most 8.

    Where several jobs share a machine, `hydra/launcher=jobs` says how many in AUDIOTOK_JOBS.
    """
    if not hasattr(os, "sched_getaffinity"):
        return 2
    n_jobs = int(os.environ.get("AUDIOTOK_JOBS", "1"))
    return max(1, min(8, len(os.sched_getaffinity(0)) // n_jobs - 1))
