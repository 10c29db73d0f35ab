"""The run that the doctor examines, and the excerpts of its clips that it reads."""

import logging
import time
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from audiotok.data.clip import Split
from audiotok.data.corpus.corpus import Corpus
from audiotok.doctor.extent import Extent
from audiotok.loader.clips import ClipDataset
from audiotok.loader.datamodule import ClipDataModule
from audiotok.model.model import Model
from audiotok.padding import is_position
from audiotok.tokens.quantizer import Stage
from audiotok.tokens.tokenizer import Tokenizer
from audiotok.tokens.vocabulary import Vocabulary
from audiotok.training.loss import Loss
from audiotok.training.optimizer import Optimizer

log = logging.getLogger(__name__)
_BATCH = 8  # clips that are read and tokenised at a time


@dataclass(frozen=True)
class Excerpt:
    """N clips of a split, drawn at random.

    Args:
        analysis: (N, slices, bins), what the features' `analyze` returns.
        n_slices: Slices of each clip that are not padding, (N,).
        frames: The vectors that are clustered, float32 (N, T, D).
        tokens: int64 (N, T, Q).
        lengths: Positions of each clip that are not padding, (N,).
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
        """The positions that are not padding, bool (N, T)."""
        return is_position(self.lengths, self.tokens.shape[1])

    def inputs(self, clips: Tensor, tokenizer: Tokenizer, stage: Stage) -> tuple[Tensor, Tensor]:
        """Return the input of a model for some clips (B,), without augmentation, and its lengths (B,)."""
        if stage == "analysis":
            return tokenizer.read(self.analysis[clips], self.n_slices[clips], stage)
        return (self.tokens if stage == "tokens" else self.frames)[clips], self.lengths[clips]


@dataclass(frozen=True)
class Subject:
    """A run before its first step.

    Args:
        corpus: The clips.
        vocabulary: Fitted.
        datamodule: The batches that training would read.
        model: As it is initialised; no check changes it.
        loss: An option of the config group.
        optimizer: An option of the config group.
        gradient_clip: Norm that gradients are clipped to; None for no clipping.
        device: Where training would take place; the doctor trains there in float32.
        extent: How much is examined.
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
        """An excerpt of the training clips."""
        return self._read("train")

    @cached_property
    def val(self) -> Excerpt:
        """An excerpt of the validation clips."""
        return self._read("val")

    @property
    def class_prior(self) -> Tensor:
        """Share of the training clips with each class, (C,)."""
        return torch.from_numpy(self.corpus.class_counts("train") / len(self.corpus.clips["train"])).float()

    def _read(self, split: Split) -> Excerpt:
        """Read clips in random order, until there are enough of them or the time is up."""
        tokenizer, extent = self.vocabulary.tokenizer, self.extent
        dataset = ClipDataset(
            self.corpus.clips[split],
            len(self.corpus.classes),
            self.corpus.clip_seconds,
            tokenizer.features,
            cache=self.datamodule.cache.of(split),
        )
        order = np.random.default_rng(extent.seed).permutation(len(dataset))[: extent.n_clips].tolist()
        parts, start = [], time.perf_counter()
        for batch in dataset.batches(order, _BATCH, self.datamodule.n_workers):
            frames, lengths = tokenizer.read(batch["analysis"], batch["n_slices"], "frames")
            tokens = tokenizer.codebooks.encode(frames)
            parts.append((batch["analysis"], batch["n_slices"], frames, tokens, lengths, batch["targets"]))
            if time.perf_counter() - start > extent.seconds:
                break
        excerpt = Excerpt(*map(torch.cat, zip(*parts, strict=True)))
        log.info("Read %d of %s %s clips.", len(excerpt), f"{len(dataset):,}", split)
        return excerpt
