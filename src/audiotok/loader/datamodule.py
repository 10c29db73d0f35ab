"""The LightningDataModule: spectrograms and tokens on the fly, from the cached centroids."""

import os
from collections.abc import Iterator
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from audiotok.data.clip import Split
from audiotok.data.corpus import Corpus
from audiotok.errors import UserError
from audiotok.loader.clips import ClipDataset
from audiotok.loader.sampler import EpochSampler
from audiotok.tokenizer import Tokenizer


class EpochLoader(DataLoader[Any]):
    """Begin an epoch when its first batch is asked for, not before.

    Lightning makes the first iterator before it restores a checkpoint, and workers would fetch the clips of
    epoch 0 for a run that resumes in a later one.
    """

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        yield from super().__iter__()


class ClipDataModule(pl.LightningDataModule):
    """Batches of tokens and targets: `tokens` (B, T, Q), `n_tokens` (B,), `targets` (B, C), `index` (B,).

    Args:
        corpus: Where the clips are.
        tokenizer: Fitted.
        batch_size: Clips in a batch, B.
        n_workers: Processes that read clips; None takes the cores but one, at most 8.
        tokenize_on: "workers" makes spectrograms and tokens where files are read, "accelerator" after a
            batch of waveforms has been moved to the device; "auto" takes the accelerator where it is a GPU.
        random_crop: In training, take a random stretch of clips that are too long, not the middle.
        seed: Seed of the order of training clips and of their crops.
    """

    def __init__(
        self,
        corpus: Corpus,
        tokenizer: Tokenizer,
        *,
        batch_size: int,
        n_workers: int | None,
        tokenize_on: Literal["auto", "workers", "accelerator"],
        random_crop: bool,
        seed: int,
    ) -> None:
        super().__init__()
        if batch_size < 1:
            raise UserError(f"loader.batch_size={batch_size} is too small; choose 1 or more.")
        if n_workers is not None and n_workers < 0:
            raise UserError(f"loader.n_workers={n_workers} is negative; choose 0 or more, or null.")
        self.corpus, self.tokenizer = corpus, tokenizer
        self.batch_size, self.n_workers = batch_size, default_workers() if n_workers is None else n_workers
        self.tokenize_on, self.random_crop, self.seed = tokenize_on, random_crop, seed
        self._loaders: dict[Split, DataLoader[Any]] = {}

    @property
    def in_workers(self) -> bool:
        """Whether tokens are made where the files are read."""
        if self.tokenize_on == "auto":
            return self.trainer is None or self.trainer.strategy.root_device.type == "cpu"
        return self.tokenize_on == "workers"

    def train_dataloader(self) -> DataLoader[Any]:
        """Visit all training clips in an order of the epoch's own."""
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
                self.tokenizer.features.sample_rate,
                self.tokenizer if self.in_workers else None,
                random_crop=training and self.random_crop,
            )
            self._loaders[split] = EpochLoader(
                dataset,
                batch_size=self.batch_size,
                sampler=EpochSampler(len(dataset), self.seed) if training else None,
                num_workers=self.n_workers,
                persistent_workers=training and self.n_workers > 0,
                pin_memory=torch.cuda.is_available(),
            )
        return self._loaders[split]

    def on_after_batch_transfer(self, batch: dict[str, Tensor], dataloader_idx: int) -> dict[str, Tensor]:
        """Make tokens of waveforms, on the device that they have been moved to."""
        if "tokens" in batch:
            return batch
        waveforms, n_samples = batch.pop("waveform"), batch.pop("n_samples")
        tokens, n_tokens = self.tokenizer.to(waveforms.device)(waveforms, n_samples)
        return {**batch, "tokens": tokens, "n_tokens": n_tokens}


def default_workers() -> int:
    """Return how many processes read clips where nothing else is said: the cores but one, at most 8."""
    return max(1, min(8, len(os.sched_getaffinity(0)) - 1)) if hasattr(os, "sched_getaffinity") else 2
