"""A torch dataset of clips, which gives whole batches: their tokens, mel frames or waveforms, and labels."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypedDict

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset

from audiotok.data.clip import Clip, Split
from audiotok.data.corpus.corpus import Corpus
from audiotok.data.layout.layout import sound_of
from audiotok.data.reading.audio import UnreadableError, read_mono, resample
from audiotok.errors import UserError
from audiotok.features.features import Features
from audiotok.loader.cache import ClipCache
from audiotok.loader.clip_rows import Kept
from audiotok.tokens.tokenizer import Stage

_TOGETHER = 16  # clips, 45 MB of sound at most where it is 10 s at 48 kHz
Made = tuple[Tensor, Tensor]  # (B, ...), and how much of each is not padding (B,)


class Draw(NamedTuple):
    """One visit to a clip: its place in the split, and the seed of what is random in this visit."""

    clip: int
    seed: int = 0


class Batch(TypedDict, total=False):
    """What the dataset gives for a batch of draws."""

    index: Tensor  # (B,), int64, place in the split
    seed: Tensor  # (B,), int64
    targets: Tensor  # (B, C), float32
    tokens: Tensor  # (B, T, Q), uint8 or uint16
    n_tokens: Tensor  # (B,), int64, positions that are not padding
    analysis: Tensor  # (B, mel frames, M), float16, dB
    n_slices: Tensor  # (B,), int64, mel frames that are not padding
    waveform: Tensor  # (B, S), float32, where the accelerator makes the mel frames
    n_samples: Tensor  # (B,), int64, samples that are not padding


class ClipDataset(Dataset[Batch]):
    """The clips of one split.

    Args:
        corpus: Where the clips are.
        split: Which of them.
        features: Makes mel frames, and says at which rate waveforms come.
        content: What is given of a clip; "tokens" where the cache keeps them, "waveform" where it keeps none.
        cache: Keeps tokens and mel frames; None reads audio in every visit.
        random_crop: Take a random stretch of clips that are too long, not the middle; it is not kept.
    """

    def __init__(
        self,
        corpus: Corpus,
        split: Split,
        features: Features,
        *,
        content: Stage = "analysis",
        cache: ClipCache | None = None,
        random_crop: bool = False,
    ) -> None:
        self.clips, self.n_classes = corpus.clips[split], len(corpus.classes)
        self.seconds, self.features = corpus.clip_seconds, features
        self.content, self.cache, self.random_crop = content, cache, random_crop
        self.keeps_frames = cache is not None and cache.keeps_frames(split)
        self._tokens = cache.tokens(split) if cache and content == "tokens" else None
        self._frames = cache.frames(split) if cache and content != "waveform" else None
        assert self._tokens or content != "tokens", "tokens are given where they are kept"
        kept: Kept | None = self._tokens or self._frames
        self._rows = kept.rows_of(self.clips.digests) if kept else None
        self._varies = random_crop & (self.clips.seconds > self.seconds)  # (clips,)

    def __len__(self) -> int:
        return len(self.clips)

    @property
    def is_kept(self) -> bool:
        """Whether every visit finds its tokens kept."""
        if self._tokens is None or self._varies.any():
            return False
        assert self._rows is not None
        return bool(self._tokens.rows.lengths(self._rows).all())

    def __getitems__(self, draws: Sequence[Draw | int]) -> Batch:
        """Return the batch of some draws; a number alone is a draw whose seed is 0.

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
            batch["waveform"], batch["n_samples"] = self._waveforms(index, seeds)
        elif self.content == "analysis":
            batch["analysis"], batch["n_slices"] = self._mel(index, seeds)
        else:
            batch["tokens"], batch["n_tokens"] = self._kept(self._tokens, self._make_tokens, index, seeds)
        return batch

    def waveform(self, clip: Clip, seed: int = 0) -> tuple[Tensor, int]:
        """Read a clip, cropped or padded with zeros to the clip length.

        Returns:
            The waveform (S,) and how many of its samples are not padding.

        Raises:
            UserError: The file can no longer be read.
        """
        return self._at_rate(*self._decode(clip, seed))

    def _decode(self, clip: Clip, seed: int) -> tuple[np.ndarray, int]:
        """Decode the stretch of a clip that this visit takes: samples, and their rate in Hz."""
        assert clip.location is not None, "only clips that are there are usable"
        surplus = max(0.0, clip.seconds - self.seconds)
        share = np.random.default_rng(seed).random() if self.random_crop else 0.5
        try:
            return read_mono(sound_of(clip.location), surplus * share, self.seconds)
        except UnreadableError as error:
            raise UserError(
                f"{clip.location} could be read when it was inspected and cannot be now ({error}); "
                "start again with data.scan=always and data.check=decode, and it is skipped."
            ) from error

    def _at_rate(self, samples: np.ndarray, rate: int) -> tuple[Tensor, int]:
        """Bring what was decoded to the rate of the features and the clip length: as `waveform`."""
        length = round(self.seconds * self.features.sample_rate)
        waveform = torch.from_numpy(resample(samples, rate, self.features.sample_rate)[:length])
        n_samples = len(waveform)
        return F.pad(waveform, (0, length - n_samples)) if n_samples < length else waveform, n_samples

    def _read(self, index: np.ndarray, seeds: np.ndarray) -> Iterator[tuple[Tensor, int]]:
        """Read clips (B,) one after the other, as `waveform` does.

        A few are decoded, then resampled, then given out: these, and what is made of a waveform, push each
        other's code and tables out of a CPU's caches, which costs 0.4 of 11 ms a clip where they alternate.
        """
        for start in range(0, len(index), _TOGETHER):
            some = slice(start, start + _TOGETHER)
            visits = zip(index[some].tolist(), seeds[some].tolist(), strict=True)
            decoded = [self._decode(self.clips[i], seed) for i, seed in visits]
            yield from [self._at_rate(*sound) for sound in decoded]

    def _waveforms(self, index: np.ndarray, seeds: np.ndarray) -> Made:
        """Read clips (B,): (B, S)."""
        waveforms, n_samples = zip(*self._read(index, seeds), strict=True)
        return torch.stack(waveforms), torch.tensor(n_samples)

    def _mel(self, index: np.ndarray, seeds: np.ndarray) -> Made:
        """Return the mel frames of clips (B,), kept ones where there are any."""
        return self._kept(self._frames, self._make_mel, index, seeds)

    def _make_mel(self, index: np.ndarray, seeds: np.ndarray) -> Made:
        made = [self.features.analyze(wave[None], torch.tensor([n])) for wave, n in self._read(index, seeds)]
        analysis, n_slices = zip(*made, strict=True)
        return torch.cat(analysis), torch.cat(n_slices)

    def _make_tokens(self, index: np.ndarray, seeds: np.ndarray) -> Made:
        assert self._tokens is not None
        return self._tokens.make(*self._mel(index, seeds))

    def _kept(
        self,
        kept: Kept | None,
        make: Callable[[np.ndarray, np.ndarray], Made],
        index: np.ndarray,
        seeds: np.ndarray,
    ) -> Made:
        """Read what is kept of clips (B,), make the rest, and keep what is the same in every visit."""
        if kept is None:
            return make(index, seeds)
        assert self.cache is not None
        assert self._rows is not None
        rows, varies = self._rows[index], self._varies[index]
        values, lengths = kept.rows.read(rows)
        missing = np.flatnonzero((lengths == 0) | varies)
        if len(missing):
            made, n_made = (tensor.numpy() for tensor in make(index[missing], seeds[missing]))
            values[missing], lengths[missing] = made, n_made
            keeps = self.keeps_frames or kept is self._tokens
            for i in missing[keeps & ~varies[missing]]:
                self.cache.put(kept, rows[i], values[i], lengths[i])
        return torch.from_numpy(values), torch.from_numpy(lengths).long()

    def _targets(self, index: np.ndarray) -> Tensor:
        """Return the labels of clips (B,): (B, C)."""
        targets = np.zeros((len(index), self.n_classes), np.float32)
        targets[self.clips.label_rows(index)] = 1.0
        return torch.from_numpy(targets)


def as_it_is(batch: Any) -> Any:
    """Collate nothing: the dataset gives whole batches. A function, so that workers can be handed it."""
    return batch
