"""Mel frames that are kept on disk, so that audio is decoded once and not in every epoch and every run.

One file holds a split: a row of float16 for each clip, and how long it is, 0 while it is absent. Whoever
needs a clip first writes its row, then its length; processes may do so side by side, as all write the same.
"""

import logging
import os
import shutil
from pathlib import Path

import numpy as np
import torch

from audiotok.data.corpus import Corpus, Split
from audiotok.errors import UserError
from audiotok.features.logmel import LogMel
from audiotok.store import Store, content_key

log = logging.getLogger(__name__)
_VERSION = 2  # raise it when mel frames come to mean something else
_RESERVE = 1e9  # bytes that a cache leaves on its disk


class FrameCache:
    """The mel frames of a split's clips.

    Args:
        folder: Of this cache alone; made when the first row is written.
        n_clips: Rows.
        n_mel_frames: Of a clip that is not padded.
        n_mels: Mel bins, M.
    """

    def __init__(self, folder: Path, n_clips: int, n_mel_frames: int, n_mels: int) -> None:
        self.folder, self.n_clips, self.shape = folder, n_clips, (n_mel_frames, n_mels)
        self._full = torch.zeros((), dtype=torch.bool).share_memory_()  # one for all workers

    @property
    def n_bytes(self) -> int:
        """What the cache takes on the disk when all clips are in it."""
        return self.n_clips * (self._row + 4)

    @property
    def is_full(self) -> bool:
        """Whether the disk is, so that nothing more is kept."""
        return bool(self._full)

    def count(self) -> int:
        """Return how many clips are kept."""
        return int((self._lengths() > 0).sum())

    def prepare(self) -> None:
        """Make the files, sparse, and say what they will take; a disk with too little room is left alone.

        Raises:
            UserError: The folder cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._extend("lengths", 4 * self.n_clips)
            if self._extend("frames", self._row * self.n_clips) and self.count():  # rows were deleted
                _write(self._path("lengths"), bytes(4 * self.n_clips), 0)
            missing = self.n_bytes * (1 - self.count() / max(1, self.n_clips))
            if missing and shutil.disk_usage(self.folder).free < missing + _RESERVE:
                log.warning(
                    "data.cache=frames would take %.1f GB in %s, and there is less than that and 1 GB free; "
                    "what is not kept yet is decoded in every epoch.",
                    missing / 1e9,
                    self.folder,
                )
                self._full.fill_(True)
        except OSError as error:
            raise UserError(
                f"data.cache=frames cannot write {self.folder} ({error.strerror or error}); set cache_dir to "
                "a folder that you may write, or data.cache=none."
            ) from error

    def get(self, index: int) -> tuple[np.ndarray, int] | None:
        """Return the mel frames (mel frames, M) of a clip and how many are not padding, if it is kept."""
        n_mel = int(self._lengths()[index])
        if not n_mel:
            return None
        row = np.fromfile(self._path("frames"), np.float16, self._row // 2, offset=index * self._row)
        return row.reshape(self.shape), n_mel

    def put(self, index: int, mel: np.ndarray, n_mel: int) -> None:
        """Keep a clip, unless the disk is full: then say so once, and go on without."""
        if self.is_full:
            return
        try:
            _write(self._path("frames"), np.ascontiguousarray(mel, np.float16).tobytes(), index * self._row)
            _write(self._path("lengths"), np.int32(n_mel).tobytes(), index * 4)
        except OSError as error:
            self._full.fill_(True)
            log.warning(
                "%s cannot be written (%s); what is not kept yet is decoded in every epoch.",
                self.folder,
                error.strerror or error,
            )

    @property
    def _row(self) -> int:
        return 2 * self.shape[0] * self.shape[1]

    def _extend(self, name: str, n_bytes: int) -> bool:
        """Bring a file to its size, with zeros that take no room, and return whether it was shorter."""
        with self._path(name).open("ab") as file:
            is_short = file.tell() < n_bytes
            if is_short:
                file.truncate(n_bytes)
        return is_short

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.bin"

    def _lengths(self) -> np.ndarray:
        return np.memmap(self._path("lengths"), np.int32, "r", shape=(self.n_clips,))


def open_cache(corpus: Corpus, split: Split, features: LogMel, store: Store) -> FrameCache | None:
    """Return the mel frames that are kept of a split's clips, or None where none are to be kept."""
    if corpus.cache == "none":
        return None
    clips = corpus.clips[split]
    key = content_key([_VERSION, features.analysis, corpus.clip_seconds, clips.fingerprint()])
    n_mel_frames = features.n_mel_frames(round(corpus.clip_seconds * features.sample_rate))
    cache = FrameCache(store.folder("frames", key), len(clips), n_mel_frames, features.n_mels)
    cache.prepare()
    return cache


def _write(path: Path, content: bytes, offset: int) -> None:
    """Write at a place in a file; unlike a memory map, a full disk is an error here and not a signal."""
    descriptor = os.open(path, os.O_WRONLY)
    try:
        while content:
            written = os.pwrite(descriptor, content, offset)
            content, offset = content[written:], offset + written
    finally:
        os.close(descriptor)
