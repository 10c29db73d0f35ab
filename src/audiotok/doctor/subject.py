"""A run that is about to begin, and the clips of it that are listened to."""

import logging
import time
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from audiotok.data.clip import Split
from audiotok.data.corpus.corpus import Corpus
from audiotok.doctor.extent import Extent
from audiotok.loader.clips import ClipDataset, as_it_is
from audiotok.loader.datamodule import ClipDataModule
from audiotok.model.model import Model
from audiotok.padding import is_position
from audiotok.tokens.tokenizer import Stage, Tokenizer
from audiotok.tokens.vocabulary import Vocabulary
from audiotok.training.loss import Loss
from audiotok.training.optimizer import Optimizer

log = logging.getLogger(__name__)
_BATCH = 8  # clips that are read, and tokenised, at a time


@dataclass(frozen=True)
class Excerpt:
    """Some clips of a split, N of them, drawn at random.

    Args:
        analysis: Mel frames, float16 (N, mel frames, M), dB.
        n_slices: How many of each are not padding, (N,).
        frames: What is clustered, float32 (N, T, D).
        tokens: int64 (N, T, Q).
        lengths: Positions of each that are not padding, (N,).
        targets: Labels, float32 (N, C).
    """

    analysis: Tensor
    n_slices: Tensor
    frames: Tensor
    tokens: Tensor
    lengths: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.analysis)

    @property
    def positions(self) -> Tensor:
        """Which positions are not padding, bool (N, T)."""
        return is_position(self.lengths, self.tokens.shape[1])

    def inputs(self, clips: Tensor, tokenizer: Tokenizer, stage: Stage) -> tuple[Tensor, Tensor]:
        """Return what a model reads of some clips (B,), not augmented, and its lengths (B,)."""
        if stage == "analysis":
            return tokenizer.read(self.analysis[clips], self.n_slices[clips], stage)
        return (self.tokens if stage == "tokens" else self.frames)[clips], self.lengths[clips]


@dataclass(frozen=True)
class Patient:
    """What training would begin with.

    Args:
        corpus: Its clips.
        vocabulary: Its centroids, fitted.
        datamodule: What training would read from.
        model: As it stands before the first step; no check changes it.
        loss: An option of the config group.
        optimizer: An option of the config group.
        gradient_clip: Norm that gradients are clipped to; None for no clipping.
        device: Where training would be done; here it is done there in float32.
        extent: How much is looked at.
    """

    corpus: Corpus
    vocabulary: Vocabulary
    datamodule: ClipDataModule
    model: Model
    loss: Loss
    optimizer: Optimizer
    gradient_clip: float | None
    device: torch.device
    extent: Extent

    @cached_property
    def train(self) -> Excerpt:
        """Training clips."""
        return self._read("train")

    @cached_property
    def val(self) -> Excerpt:
        """Validation clips."""
        return self._read("val")

    @property
    def class_prior(self) -> Tensor:
        """Share of the training clips in which each class is heard, (C,)."""
        return torch.from_numpy(self.corpus.class_counts("train") / len(self.corpus.clips["train"])).float()

    def _read(self, split: Split) -> Excerpt:
        """Read clips in an order drawn at random, until there are enough of them or time is over."""
        tokenizer, extent = self.vocabulary.tokenizer, self.extent
        dataset = ClipDataset(self.corpus, split, tokenizer.features, cache=self.datamodule.cache)
        order = np.random.default_rng(extent.seed).permutation(len(dataset))[: extent.n_clips].tolist()
        loader = DataLoader(
            dataset,
            batch_size=_BATCH,
            sampler=order,
            collate_fn=as_it_is,
            num_workers=self.datamodule.n_workers,
            generator=torch.Generator(),  # its own: the global one stays as it was
        )
        parts, start = [], time.perf_counter()
        for batch in loader:
            frames, lengths = tokenizer.read(batch["analysis"], batch["n_slices"], "frames")
            tokens = tokenizer.codebooks.encode(frames)
            parts.append((batch["analysis"], batch["n_slices"], frames, tokens, lengths, batch["targets"]))
            if time.perf_counter() - start > extent.seconds:
                break
        excerpt = Excerpt(*map(torch.cat, zip(*parts, strict=True)))
        log.info("Listened to %d of %s %s clips.", len(excerpt), f"{len(dataset):,}", split)
        return excerpt
