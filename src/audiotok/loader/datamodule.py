"""The LightningDataModule: batches of what a model reads, made while training from the fitted vocabulary."""

import os
import weakref
from collections.abc import Callable, Iterator
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from audiotok.augment.recipe import Recipe
from audiotok.data.clip import Split
from audiotok.data.corpus.corpus import Corpus
from audiotok.errors import UserError
from audiotok.errors.ranges import Count, Seed, WorkersOrNone
from audiotok.loader.cache import ClipCache
from audiotok.loader.clips import ClipDataset, unchanged
from audiotok.loader.collate import Collate
from audiotok.loader.sampler import EpochSampler, balancing_weights
from audiotok.loader.workers import PATIENCE_SECONDS, start_worker
from audiotok.store import Store
from audiotok.tokens.quantizer import Stage
from audiotok.tokens.tokenizer import Tokenizer


class EpochLoader(DataLoader[Any]):
    """Start an epoch when its first batch is asked for, not before, at the batch where training is.

    Lightning makes the first iterator before it restores a checkpoint; workers would fetch the clips of
    epoch 0 for a run that resumes in a later one.

    Args:
        dataset: The clips.
        drops_workers: Stop the workers from the first epoch on that finds all tokens in the cache: reading
            them costs less than passing them between processes.
        n_trained: Returns how many batches of the epoch are trained already, where training resumes.
        arguments: Of torch's DataLoader.
    """

    def __init__(
        self, dataset: ClipDataset, *, drops_workers: bool, n_trained: Callable[[], int], **arguments: Any
    ) -> None:
        self.clips, self.drops_workers, self.n_trained = dataset, drops_workers, n_trained
        super().__init__(dataset, **arguments)

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        if self.drops_workers and self.num_workers and self.clips.is_cached:
            self.num_workers, self.timeout, self._iterator = 0, 0, None
        n_trained = self.n_trained()
        if n_trained >= len(self):
            return
        if isinstance(self.sampler, EpochSampler):
            assert self.batch_size is not None
            self.sampler.start_at(n_trained * self.batch_size)
        yield from super().__iter__()


class ClipDataModule(pl.LightningDataModule):
    """Batches of what a model reads: `inputs` (B, T, ...), `lengths` (B,), `targets` (B, C), `index` (B,).

    Args:
        corpus: The clips, and what is cached of them.
        tokenizer: Fitted before the first batch.
        store: Where clips are cached.
        stage: What the model reads.
        recipe: Augmentation of training clips.
        device: Where the model is trained.
        batch_size: Clips in a batch, B, on each device.
        n_workers: Processes that read clips for each device; None for one less than the cores, at most 8, and
            for none in epochs that find all tokens in the cache.
        tokenize_on: "workers" tokenises where files are read, "accelerator" after a batch has been moved to
            the device; "auto" is the accelerator if it is a GPU.
        sampling: "uniform" visits every training clip once in an epoch; "balanced" visits clips of rare
            classes more often.
        random_crop: In training, crop clips that are too long to a random stretch instead of their middle.
        seed: Seed of the order of training clips, of their crops and of their augmentation.
    """

    def __init__(
        self,
        corpus: Corpus,
        tokenizer: Tokenizer,
        store: Store,
        stage: Stage,
        recipe: Recipe | None = None,
        device: torch.device = torch.device("cpu"),  # noqa: B008, immutable
        *,
        batch_size: Count = 16,
        n_workers: WorkersOrNone | None = None,
        tokenize_on: Literal["auto", "workers", "accelerator"] = "auto",
        sampling: Literal["uniform", "balanced"] = "uniform",
        random_crop: bool = False,
        seed: Seed = 0,
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
        # Whether clips are tokenised where files are read.
        self.in_workers = tokenize_on == "workers" or (tokenize_on == "auto" and device.type == "cpu")
        self.sampling, self.random_crop, self.seed = sampling, random_crop, seed
        self.cache = ClipCache(corpus, tokenizer, store, stage, recipe)
        self.trained, self.scored = Collate(tokenizer, stage, recipe), Collate(tokenizer, stage, None)
        self._loaders: dict[Split, DataLoader[Any]] = {}
        self._is_over = False  # the epoch that training resumes in

    @property
    def order(self) -> dict[str, Any]:
        """What the batches of an epoch depend on besides clips and the number of processes, by their keys."""
        return {
            "loader.batch_size": self.batch_size,
            "loader.sampling": self.sampling,
            "loader.seed": self.seed,
        }

    def end_epoch(self) -> None:
        """End the epoch that training resumes in without another batch."""
        self._is_over = True

    def train_dataloader(self) -> DataLoader[Any]:
        """Visit training clips in a different order in each epoch."""
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
                self.corpus.clips[split],
                len(self.corpus.classes),
                self.corpus.clip_seconds,
                self.tokenizer.features,
                content=self._content(split),
                cache=self.cache.of(split),
                random_crop=training and self.random_crop,
            )
            self._loaders[split] = EpochLoader(
                dataset,
                drops_workers=self.drops_workers,
                n_trained=self._position() if training else int,
                batch_size=self.batch_size,
                sampler=self._visits(len(dataset)) if training else self._share(len(dataset)),
                collate_fn=self._collate(training) if self.in_workers else unchanged,
                num_workers=self.n_workers,
                timeout=PATIENCE_SECONDS if self.n_workers else 0,
                worker_init_fn=start_worker,
                persistent_workers=training and self.n_workers > 0,
                pin_memory=torch.cuda.is_available(),
            )
        return self._loaders[split]

    def _content(self, split: Split) -> Stage:
        """Return how far the dataset of a split processes clips."""
        if self.cache.caches_tokens(split):
            return "tokens"
        return "analysis" if self.in_workers or self.cache.caches_analysis(split) else "waveform"

    def _visits(self, n_clips: int) -> EpochSampler:
        weights = balancing_weights(self.corpus.clips["train"]) if self.sampling == "balanced" else None
        rank, n_ranks = self._ranks
        return EpochSampler(n_clips, self.seed, weights, rank=rank, n_ranks=n_ranks)

    def _position(self) -> Callable[[], int]:
        """Return a function that returns `_n_trained`, or 0 once this datamodule is gone.

        A loader that held its datamodule would be part of a reference cycle. Python's collector closes the
        queues of workers in a cycle before the workers are told to stop, and torch then waits 5 s for each.
        """
        n_trained = weakref.WeakMethod(self._n_trained)

        def position() -> int:
            bound = n_trained()
            return 0 if bound is None else bound()

        return position

    def _n_trained(self) -> int:
        """Return how many batches of the current epoch this process has trained."""
        if self.trainer is None or self.trainer.state.fn != "fit":
            return 0
        n_batches = int(self.trainer.num_training_batches)
        n_trained = self.trainer.fit_loop.epoch_loop.batch_progress.current.ready
        is_over, self._is_over = self._is_over or n_trained >= n_batches, False
        return len(self.train_dataloader()) if is_over else n_trained

    def _share(self, n_clips: int) -> range:
        """Return the clips that this process scores; each clip is scored once, by one process."""
        rank, n_ranks = self._ranks
        return range(rank, n_clips, n_ranks)

    @property
    def _ranks(self) -> tuple[int, int]:
        """The number of this process in the run, and the number of processes."""
        return (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)

    def _collate(self, training: bool) -> Collate:
        return self.trained if training else self.scored

    def on_after_batch_transfer(self, batch: dict[str, Tensor], dataloader_idx: int) -> dict[str, Tensor]:
        """Collate a batch on the device that it has been moved to, unless workers have done it."""
        if "inputs" in batch:
            return batch
        collate = self._collate(training=self.trainer is not None and self.trainer.training)
        return collate.on(batch["targets"].device)(batch)


def default_workers() -> int:
    """Return the default number of processes that read clips: one less than the cores, at most 8.

    If several jobs share a machine, `hydra/launcher=jobs` says how many in AUDIOTOK_JOBS.
    """
    if not hasattr(os, "sched_getaffinity"):
        return 2
    n_jobs = int(os.environ.get("AUDIOTOK_JOBS", "1"))
    return max(1, min(8, len(os.sched_getaffinity(0)) // n_jobs - 1))
