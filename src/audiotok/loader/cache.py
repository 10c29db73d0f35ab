"""The clips of a run on disk: which of them are cached, in which form, and whether there is room for them."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from audiotok.augment.recipe import Recipe
from audiotok.data.clip import Split
from audiotok.data.corpus.corpus import Corpus
from audiotok.data.layout.layout import layout_named
from audiotok.loader.clip_rows import AnalysisRows, ClipRows, TokenRows
from audiotok.store import Store, readable_size
from audiotok.tokens.quantizer import Stage
from audiotok.tokens.tokenizer import Tokenizer

log = logging.getLogger(__name__)
_MANY = 1000  # clips whose first visit may take minutes
_RESERVE = 1e9  # bytes that a cache leaves free on its disk
_AGAIN = "clips that are not cached are processed again in every epoch."


class ClipCache:
    """The cached clips of a run, so that audio is decoded once and not in every epoch of every run.

    `data.cache=tokens` caches the tokens of clips that are read as tokens and are the same in every epoch,
    and the analysis (mel frames) of the others. `data.cache=frames` also caches the analysis of all clips,
    `data.cache=none` nothing. The size is logged before any of it is used.

    Args:
        corpus: The clips, and `corpus.cache`.
        tokenizer: Fitted by the time that tokens are asked for.
        store: Where rows are cached.
        stage: What the model reads.
        recipe: Augmentation of training clips.

    Raises:
        UserError: The store cannot be written.
    """

    def __init__(
        self, corpus: Corpus, tokenizer: Tokenizer, store: Store, stage: Stage, recipe: Recipe | None
    ) -> None:
        self.corpus, self.store, self.stage = corpus, store, stage
        self.sound_varies = recipe is not None and recipe.sound.is_active
        self._analysis = AnalysisRows(corpus, tokenizer.features, store)
        self._tokens = TokenRows(corpus, tokenizer, store)
        self._without_room: set[str] = set()  # kinds
        self._is_full = torch.zeros((), dtype=torch.bool).share_memory_()  # shared by all workers
        if corpus.cache != "none":
            self._announce()

    def of(self, split: Split) -> "SplitCache":
        """Return the cache of the clips of a split."""
        return SplitCache(self, split)

    def caches_tokens(self, split: Split) -> bool:
        """Tell whether the tokens of a split are cached."""
        varies = split == "train" and self.sound_varies
        return self.corpus.cache != "none" and self.stage == "tokens" and not varies

    def caches_analysis(self, split: Split) -> bool:
        """Tell whether the analysis of a split is cached."""
        if self.corpus.cache == "tokens":
            return not self.caches_tokens(split)
        return self.corpus.cache == "frames"

    def tokens(self, split: Split) -> TokenRows | None:
        """Open the cached tokens of a split."""
        if not self.caches_tokens(split):
            return None
        self._open(self._tokens, self.caches_tokens)
        return self._tokens

    def analysis(self, split: Split) -> AnalysisRows | None:
        """Open the cached analysis of a split, or one that another run has left."""
        is_left = self.corpus.cache != "none" and self._analysis.folder.is_dir()
        if not is_left and not self.caches_analysis(split):
            return None
        self._open(self._analysis, self.caches_analysis)
        return self._analysis

    def put(self, cached: ClipRows, row: int, values: np.ndarray, length: int) -> None:
        """Cache a row; if the disk is full, warn once and continue without."""
        if self._is_full or cached.kind in self._without_room:
            return
        try:
            cached.rows.write(row, values, length)
        except OSError as error:
            self._is_full.fill_(True)
            log.warning("%s cannot be written (%s); %s", cached.folder, error.strerror or error, _AGAIN)

    def _announce(self) -> None:
        """Log what will be cached, and its size."""
        parts = []
        for cached, caches in ((self._analysis, self.caches_analysis), (self._tokens, self.caches_tokens)):
            n_clips = len(self._digests(caches))
            if n_clips:
                size = readable_size(n_clips * cached.row_bytes)
                parts.append(f"the {cached.name} of {n_clips:,} clips ({size})")
        log.info("data.cache=%s caches %s in %s.", self.corpus.cache, " and ".join(parts), self.store.root)

    def _open(self, cached: ClipRows, caches: Callable[[Split], bool]) -> None:
        """Open rows; if the disk has too little room for the missing ones, warn, and cache none."""
        if cached.is_open:
            return
        cached.open()
        wanted = cached.rows_of(self._digests(caches))
        n_missing = int(np.count_nonzero(cached.rows.lengths(wanted) == 0))
        if n_missing >= _MANY:
            self._recommend_filling(cached, n_missing)
        if n_missing and self.store.free_bytes() < n_missing * cached.row_bytes + _RESERVE:
            self._without_room.add(cached.kind)
            log.warning(
                "data.cache=%s needs another %s for %s in %s, and less than that and 1 GB is free; %s",
                self.corpus.cache,
                readable_size(n_missing * cached.row_bytes),
                cached.name,
                cached.folder,
                _AGAIN,
            )

    def _recommend_filling(self, cached: ClipRows, n_missing: int) -> None:
        """Warn if the layout is much faster to read in the order of the disk than in random order."""
        clip = next(clips[0] for clips in self.corpus.clips.values() if len(clips))
        layout = layout_named(clip.location.layout) if clip.location else None
        if layout and layout.out_of_order:
            log.warning(
                "data.layout=%s reads %s for each clip in random order, as in training, and the %s of %s "
                "clips are not cached yet; `audiotok prepare` with the same data and fill=%s caches them "
                "in order.",
                layout.name,
                layout.out_of_order,
                cached.name,
                f"{n_missing:,}",
                cached.kind,
            )

    def _digests(self, caches: Callable[[Split], bool]) -> np.ndarray:
        """Return the digests of the clips in the splits that are cached, each once."""
        digests = [clips.digests for split, clips in self.corpus.clips.items() if caches(split)]
        return np.unique(np.concatenate(digests)) if digests else np.empty(0, np.uint64)


@dataclass(frozen=True)
class SplitCache:
    """The cached clips of one split.

    Args:
        cache: Of the corpus.
        split: Which.
    """

    cache: ClipCache
    split: Split

    @property
    def caches_analysis(self) -> bool:
        """Whether the analysis is cached; if not, one that another run has left is still read."""
        return self.cache.caches_analysis(self.split)

    def tokens(self) -> TokenRows | None:
        """Open the cached tokens."""
        return self.cache.tokens(self.split)

    def analysis(self) -> AnalysisRows | None:
        """Open the cached analysis."""
        return self.cache.analysis(self.split)

    def put(self, cached: ClipRows, row: int, values: np.ndarray, length: int) -> None:
        """Cache a row; if the disk is full, warn once and continue without."""
        self.cache.put(cached, row, values, length)
