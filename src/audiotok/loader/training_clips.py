"""The training clips of a corpus, as a tokenizer reads them when it is fitted."""

from collections.abc import Iterator, Sequence

import numpy as np
from torch import Tensor

from audiotok.data.corpus.corpus import Corpus
from audiotok.features.features import Features
from audiotok.loader.cache import ClipCache
from audiotok.loader.clips import ClipDataset

_BATCH = 8  # clips


class CorpusClips:
    """Read the analysis of training clips, from the cache if it is there; no other clip is opened.

    Args:
        corpus: Its training clips are read.
        features: Analyses them.
        cache: Of the corpus; None reads audio.
        n_workers: Processes that read clips.
    """

    def __init__(
        self, corpus: Corpus, features: Features, cache: ClipCache | None = None, n_workers: int = 0
    ) -> None:
        self.clips, self.n_classes = corpus.clips["train"], len(corpus.classes)
        self.clip_seconds, self.features = corpus.clip_seconds, features
        self.cache, self.n_workers = cache.of("train") if cache else None, n_workers

    def __len__(self) -> int:
        return len(self.clips)

    def fingerprint(self) -> str:
        """Return digits that identify the clips and their bytes."""
        return self.clips.fingerprint()

    def order(self, chosen: np.ndarray) -> np.ndarray:
        """Return the order in which some clips, bool (clips,), lie on the disk.

        A row group of Parquet then serves all of its clips that are chosen.
        """
        return self.clips.select(chosen).storage_order()

    def analyses(self, clips: Sequence[int]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the analysis of clips in batches (B, slices, bins), and how many slices count (B,)."""
        dataset = ClipDataset(self.clips, self.n_classes, self.clip_seconds, self.features, cache=self.cache)
        first = dataset.__getitems__(clips[:_BATCH])
        yield first["analysis"], first["n_slices"]
        for batch in dataset.batches(clips[_BATCH:], _BATCH, self.n_workers):
            yield batch["analysis"], batch["n_slices"]
