"""What a run keeps of its clips, and whether there is room for it on the disk."""

import logging
from collections.abc import Callable

import numpy as np
import torch

from audiotok.augment.recipe import Recipe
from audiotok.data.clip import Split
from audiotok.data.corpus.corpus import Corpus
from audiotok.data.layout.layout import layout_named
from audiotok.loader.clip_rows import Kept, KeptFrames, KeptTokens
from audiotok.store import Store, readable_size
from audiotok.tokens.tokenizer import Stage, Tokenizer

log = logging.getLogger(__name__)
_MANY = 1000  # clips whose first visit may take minutes
_RESERVE = 1e9  # bytes that a cache leaves on its disk
_ANEW = "what is not kept yet is made anew in every epoch."


class ClipCache:
    """What a run keeps of its clips, so that audio is decoded once and not in every epoch and every run.

    With `data.cache=tokens` these are the tokens of clips that are read as tokens and sound the same in every
    epoch, and the mel frames of the others; with `data.cache=frames`, the mel frames of all clips besides;
    with `data.cache=none`, nothing. What it will take is said before anything is spent.

    Args:
        corpus: The clips, and `corpus.cache`.
        tokenizer: Need not be fitted before tokens are asked for.
        store: Where things are kept.
        stage: What the model reads.
        recipe: What is changed in training clips.

    Raises:
        UserError: The store cannot be written.
    """

    def __init__(
        self, corpus: Corpus, tokenizer: Tokenizer, store: Store, stage: Stage, recipe: Recipe | None
    ) -> None:
        self.corpus, self.store, self.stage = corpus, store, stage
        self.sound_varies = recipe is not None and recipe.sound.is_active
        self._frames = KeptFrames(corpus, tokenizer.features, store)
        self._tokens = KeptTokens(corpus, tokenizer, store)
        self._without_room: set[str] = set()  # kinds
        self._is_full = torch.zeros((), dtype=torch.bool).share_memory_()  # one for all workers
        if corpus.cache != "none":
            self._announce()

    def keeps_tokens(self, split: Split) -> bool:
        """Tell whether the tokens of a split are kept."""
        varies = split == "train" and self.sound_varies
        return self.corpus.cache != "none" and self.stage == "tokens" and not varies

    def keeps_frames(self, split: Split) -> bool:
        """Tell whether the mel frames of a split are kept."""
        if self.corpus.cache == "tokens":
            return not self.keeps_tokens(split)
        return self.corpus.cache == "frames"

    def tokens(self, split: Split) -> KeptTokens | None:
        """Open the tokens that are kept of a split."""
        if not self.keeps_tokens(split):
            return None
        self._open(self._tokens, self.keeps_tokens)
        return self._tokens

    def frames(self, split: Split) -> KeptFrames | None:
        """Open the mel frames that are kept of a split, or those that another run has left of it."""
        is_left = self.corpus.cache != "none" and self._frames.folder.is_dir()
        if not is_left and not self.keeps_frames(split):
            return None
        self._open(self._frames, self.keeps_frames)
        return self._frames

    def put(self, kept: Kept, row: int, values: np.ndarray, length: int) -> None:
        """Keep a row, unless the disk is full: then say so once, and go on without."""
        if self._is_full or kept.kind in self._without_room:
            return
        try:
            kept.rows.write(row, values, length)
        except OSError as error:
            self._is_full.fill_(True)
            log.warning("%s cannot be written (%s); %s", kept.folder, error.strerror or error, _ANEW)

    def _announce(self) -> None:
        """Say what will be kept and what it takes."""
        parts = []
        for kept, keeps in ((self._frames, self.keeps_frames), (self._tokens, self.keeps_tokens)):
            n_clips = len(self._digests(keeps))
            if n_clips:
                size = readable_size(n_clips * kept.row_bytes)
                parts.append(f"the {kept.name} of {n_clips:,} clips ({size})")
        log.info("data.cache=%s keeps %s in %s.", self.corpus.cache, " and ".join(parts), self.store.root)

    def _open(self, kept: Kept, keeps: Callable[[Split], bool]) -> None:
        """Open rows; say where the disk has too little room for those that are absent, and keep none."""
        if kept.is_open:
            return
        kept.open()
        wanted = kept.rows_of(self._digests(keeps))
        n_missing = int(np.count_nonzero(kept.rows.lengths(wanted) == 0))
        if n_missing >= _MANY:
            self._recommend_filling(kept, n_missing)
        if n_missing and self.store.free_bytes() < n_missing * kept.row_bytes + _RESERVE:
            self._without_room.add(kept.kind)
            log.warning(
                "data.cache=%s would take %s more for %s in %s, where less than that and 1 GB is free; %s",
                self.corpus.cache,
                readable_size(n_missing * kept.row_bytes),
                kept.name,
                kept.folder,
                _ANEW,
            )

    def _recommend_filling(self, kept: Kept, n_missing: int) -> None:
        """Say where to make rows in the order in which clips lie is much faster than as they are visited."""
        clip = next(clips[0] for clips in self.corpus.clips.values() if len(clips))
        layout = layout_named(clip.location.layout) if clip.location else None
        if layout and layout.out_of_order:
            log.warning(
                "data.layout=%s reads %s for a clip in no order, as in training, and of %s clips the %s are "
                "not kept yet; `audiotok prepare` with the same data and fill=%s makes them in order.",
                layout.name,
                layout.out_of_order,
                f"{n_missing:,}",
                kept.name,
                kept.kind,
            )

    def _digests(self, keeps: Callable[[Split], bool]) -> np.ndarray:
        """Return the digests of the clips of the splits of which something is kept, each once."""
        digests = [clips.digests for split, clips in self.corpus.clips.items() if keeps(split)]
        return np.unique(np.concatenate(digests)) if digests else np.empty(0, np.uint64)
