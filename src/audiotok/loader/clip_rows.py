"""Cached rows of a corpus, one for each clip: its analysis, or its tokens.

Rows belong to the bytes of a clip, not to its split. They are in the order of the digests of the clips, so
that folds and splits of the same clips share one folder.
"""

import hashlib
import logging
from abc import ABC, abstractmethod
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from audiotok.data.corpus.corpus import Corpus
from audiotok.disk.keys import content_key
from audiotok.disk.parsing import read_json
from audiotok.disk.writing import write_json
from audiotok.features.features import Features
from audiotok.kinds import KINDS
from audiotok.loader.rows import HEADERS, Rows
from audiotok.store import StaleError, Store
from audiotok.tokens.tokenizer import Tokenizer

log = logging.getLogger(__name__)


class ClipRows(ABC):
    """One row for each usable clip of a corpus, whatever its split; `open` it to read and write rows.

    Args:
        corpus: The clips.
        shape: Shape of a row.
        dtype: Type of its values.
        store: Where the rows are.
    """

    kind: ClassVar[str]  # folder of the store, and value of the key `fill`
    name: str  # what users call the content of a row

    def __init__(self, corpus: Corpus, shape: tuple[int, ...], dtype: np.dtype, store: Store) -> None:
        self.digests = np.unique(np.concatenate([clips.digests for clips in corpus.clips.values()]))
        self.clip_seconds = corpus.clip_seconds
        self.shape, self.dtype, self.store = shape, dtype, store
        self._rows: Rows | None = None

    @property
    @abstractmethod
    def settings(self) -> dict[str, object]:
        """Everything that a row depends on besides its clip and the length of clips, flat and JSON-like."""

    @cached_property
    def made_of(self) -> dict[str, object]:
        """What the sidecar says about the rows; the key depends on it and on the version."""
        clips = hashlib.blake2b(self.digests.tobytes(), digest_size=8).hexdigest()
        return {
            **self.settings,
            "clip_seconds": self.clip_seconds,
            "n_clips": len(self.digests),
            "clips": clips,
        }

    @property
    def folder(self) -> Path:
        """Where the rows are, or will be."""
        return self.store.folder(self.kind, content_key([KINDS[self.kind].version, self.made_of]))

    @property
    def row_bytes(self) -> int:
        """Size of a row on the disk."""
        return int(np.prod(self.shape)) * self.dtype.itemsize + 8

    @property
    def is_open(self) -> bool:
        """Whether rows can be read and written."""
        return self._rows is not None

    @property
    def rows(self) -> Rows:
        """The rows, after `open`."""
        assert self._rows is not None, "call open first"
        return self._rows

    def open(self) -> None:
        """Open the rows; create their folder if it is missing or broken.

        Raises:
            UserError: The cache cannot be written.
        """
        if self._rows is None:
            self._rows = self.store.load_or_make(self.kind, self.folder.name, self._load, self._make, HEADERS)
            self._hold = self.store.hold(self.kind, self.folder.name)

    def rows_of(self, digests: np.ndarray) -> np.ndarray:
        """Return the rows of clips by their digests, uint64 (clips,)."""
        return np.searchsorted(self.digests, digests)

    def _make(self, folder: Path) -> None:
        Rows.create(folder, (len(self.digests), *self.shape), self.dtype)
        kind = KINDS[self.kind]
        about = {"version": kind.version, "made_of": self.made_of}
        write_json(folder / kind.sidecar, about)

    def _load(self, folder: Path) -> Rows:
        kind = KINDS[self.kind]
        try:
            version = read_json(folder / kind.sidecar)["version"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StaleError(f"{kind.sidecar} cannot be read ({error!r})") from error
        if version != kind.version:
            raise StaleError(f"the {self.name} have version {version}, not {kind.version}")
        rows = Rows(folder)
        if (len(rows), *rows.shape, rows.dtype) != (len(self.digests), *self.shape, self.dtype):
            raise StaleError("the rows do not have the shape of these clips")
        return rows


class AnalysisRows(ClipRows):
    """The analysis (slices, bins) of clips, which depends on the sound alone, whatever is clustered.

    Args:
        corpus: The clips.
        features: Their `analyze` makes the rows.
        store: Where the rows are.
    """

    kind = "frames"

    def __init__(self, corpus: Corpus, features: Features, store: Store) -> None:
        n_slices = features.n_slices(round(corpus.clip_seconds * features.sample_rate))
        dtype = torch.empty(0, dtype=features.analysis_dtype).numpy().dtype
        super().__init__(corpus, (n_slices, features.n_bins), dtype, store)
        self.features, self.name = features, features.analysis_name

    @property
    def settings(self) -> dict[str, object]:
        """The settings of the analysis."""
        return self.features.analysis_settings


class TokenRows(ClipRows):
    """The tokens (T, Q) of clips, in one byte if that can count the centroids of a codebook, else in two.

    Args:
        corpus: The clips.
        tokenizer: Makes the rows; fitted by the time they are opened.
        store: Where the rows are.
    """

    kind, name = "tokens", "tokens"

    def __init__(self, corpus: Corpus, tokenizer: Tokenizer, store: Store) -> None:
        shape = (tokenizer.n_tokens(corpus.clip_seconds), tokenizer.codebooks.n_codebooks)
        super().__init__(corpus, shape, token_type(tokenizer), store)
        self.tokenizer = tokenizer

    @property
    def settings(self) -> dict[str, object]:
        """The settings of the tokenizer, and the checksum of what was fitted, which they do not determine."""
        return {**self.tokenizer.settings, "checksum": self.tokenizer.checksum()}


def token_type(tokenizer: Tokenizer) -> np.dtype:
    """Return the smallest unsigned type that holds the tokens of a tokenizer."""
    return np.min_scalar_type(tokenizer.codebooks.n_clusters - 1)
