"""A torch dataset of clips that returns whole batches: their tokens, analysis or waveforms, and labels."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypedDict

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from audiotok.data.corpus.catalogue import Catalogue
from audiotok.features.features import Features
from audiotok.loader.cache import SplitCache
from audiotok.loader.clip_rows import ClipRows
from audiotok.loader.waveforms import Values, WaveformReader
from audiotok.loader.workers import PATIENCE_SECONDS, start_worker
from audiotok.tokens.quantizer import Stage


class Draw(NamedTuple):
    """One visit to a clip: its place in the split, and the seed of everything random in this visit."""

    clip: int
    seed: int = 0


class Batch(TypedDict, total=False):
    """What the dataset returns for a batch of draws."""

    index: Tensor  # (B,), int64, place in the split
    seed: Tensor  # (B,), int64
    targets: Tensor  # (B, C), float32
    tokens: Tensor  # (B, T, Q), uint8 or uint16
    n_tokens: Tensor  # (B,), int64, positions that are not padding
    analysis: Tensor  # (B, slices, bins), of the features' `analysis_dtype`
    n_slices: Tensor  # (B,), int64, slices that are not padding
    waveform: Tensor  # (B, S), float32, where the accelerator analyses them
    n_samples: Tensor  # (B,), int64, samples that are not padding


class ClipDataset(Dataset[Batch]):
    """Some clips, most often those of a split.

    Args:
        clips: Usable clips.
        n_classes: Classes that their labels count, C.
        seconds: Length that clips are cropped or padded to, s.
        features: Analyses waveforms, and says at which rate they come.
        content: How far clips are processed: "tokens" (which the cache must hold), "analysis" or "waveform".
        cache: Tokens and analyses of these clips on disk; None reads audio in every visit.
        random_crop: Crop clips that are too long to a random stretch, which is not cached.
    """

    def __init__(
        self,
        clips: Catalogue,
        n_classes: int,
        seconds: float,
        features: Features,
        *,
        content: Stage = "analysis",
        cache: SplitCache | None = None,
        random_crop: bool = False,
    ) -> None:
        self.clips, self.n_classes, self.content, self.cache = clips, n_classes, content, cache
        self.reader = WaveformReader(clips, seconds, features, random_crop)
        self._tokens = cache.tokens() if cache and content == "tokens" else None
        self._analysis = cache.analysis() if cache and content != "waveform" else None
        assert self._tokens or content != "tokens", "only cached tokens are returned"
        cached: ClipRows | None = self._tokens or self._analysis
        self._rows = cached.rows_of(clips.digests) if cached else None
        self._varies = random_crop & (clips.seconds > seconds)  # (clips,)

    def __len__(self) -> int:
        return len(self.clips)

    @property
    def is_cached(self) -> bool:
        """Whether the tokens of every visit are in the cache."""
        if self._tokens is None or self._varies.any():
            return False
        assert self._rows is not None
        return bool(self._tokens.rows.lengths(self._rows).all())

    def __getitems__(self, draws: Sequence[Draw | int]) -> Batch:
        """Return the batch of some draws; a bare number is a draw with seed 0.

        Raises:
            UserError: A file can no longer be read.
        """
        visits = np.array([draw if isinstance(draw, tuple) else Draw(draw) for draw in draws], np.int64)
        index, seeds = np.ascontiguousarray(visits.T)
        batch: Batch = {
            "index": torch.from_numpy(index),
            "seed": torch.from_numpy(seeds),
            "targets": self._targets(index),
        }
        if self.content == "waveform":
            batch["waveform"], batch["n_samples"] = self.reader.waveforms(index, seeds)
        elif self.content == "analysis":
            batch["analysis"], batch["n_slices"] = self._read_analysis(index, seeds)
        else:
            batch["tokens"], batch["n_tokens"] = self._cached(self._tokens, self._make_tokens, index, seeds)
        return batch

    def batches(self, visits: Sequence[int], batch_size: int, n_workers: int) -> Iterator[Batch]:
        """Return an iterator over batches of clips in a given order; no global generator is touched."""
        loader = DataLoader(
            self,
            batch_size=batch_size,
            sampler=visits,
            collate_fn=unchanged,
            num_workers=n_workers,
            timeout=PATIENCE_SECONDS if n_workers else 0,
            worker_init_fn=start_worker,
            generator=torch.Generator(),
        )
        return iter(loader)

    def _read_analysis(self, index: np.ndarray, seeds: np.ndarray) -> Values:
        return self._cached(self._analysis, self.reader.analysis, index, seeds)

    def _make_tokens(self, index: np.ndarray, seeds: np.ndarray) -> Values:
        assert self._tokens is not None
        return self._tokens.tokenizer.tokens(*self._read_analysis(index, seeds))

    def _cached(
        self,
        cached: ClipRows | None,
        make: Callable[[np.ndarray, np.ndarray], Values],
        index: np.ndarray,
        seeds: np.ndarray,
    ) -> Values:
        """Read the cached rows of clips (B,), make the rest, and cache what is the same in every visit."""
        if cached is None:
            return make(index, seeds)
        assert self.cache is not None
        assert self._rows is not None
        rows, varies = self._rows[index], self._varies[index]
        values, lengths = cached.rows.read(rows)
        missing = np.flatnonzero((lengths == 0) | varies)
        if len(missing):
            made, n_made = (tensor.numpy() for tensor in make(index[missing], seeds[missing]))
            values[missing], lengths[missing] = made, n_made
            caches = self.cache.caches_analysis or cached is self._tokens
            for i in missing[caches & ~varies[missing]]:
                self.cache.put(cached, rows[i], values[i], lengths[i])
        return torch.from_numpy(values), torch.from_numpy(lengths).long()

    def _targets(self, index: np.ndarray) -> Tensor:
        """Return the labels of clips (B,): (B, C)."""
        targets = np.zeros((len(index), self.n_classes), np.float32)
        targets[self.clips.label_rows(index)] = 1.0
        return torch.from_numpy(targets)


def unchanged(batch: Any) -> Any:
    """Return a batch as it is: the collate function of a dataset of whole batches, which can be pickled."""
    return batch
