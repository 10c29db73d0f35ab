"""A torch dataset of clips: the mel frames of one, or its waveform, with its labels."""

from typing import NamedTuple, TypedDict

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from audiotok.data.audio import UnreadableError, read_waveform
from audiotok.data.clip import Clip
from audiotok.data.corpus import Corpus, Split
from audiotok.data.layout.layout import sound_of
from audiotok.errors import UserError
from audiotok.features.logmel import LogMel
from audiotok.loader.cache import FrameCache


class Draw(NamedTuple):
    """One visit to a clip: its place in the split, and the seed of what is random in this visit."""

    clip: int
    seed: int


class Item(TypedDict, total=False):
    """What the dataset gives for one clip; a batch has the same keys and one dimension more."""

    index: int
    seed: int
    targets: Tensor  # (C,), float32
    mel: Tensor  # (mel frames, M), float16, dB
    n_mel: Tensor  # (), mel frames that are not padding
    waveform: Tensor  # (S,), where the accelerator makes the mel frames
    n_samples: Tensor  # (), samples that are not padding


class ClipDataset(Dataset[Item]):
    """The clips of one split.

    Args:
        corpus: Where the clips are.
        split: Which of them.
        features: Makes mel frames, and says at which rate waveforms come.
        cache: Keeps mel frames; None reads audio in every visit.
        as_waveform: Leave mel frames to the accelerator; not together with a cache.
        random_crop: Take a random stretch of clips that are too long, not the middle.
    """

    def __init__(
        self,
        corpus: Corpus,
        split: Split,
        features: LogMel,
        *,
        cache: FrameCache | None = None,
        as_waveform: bool = False,
        random_crop: bool = False,
    ) -> None:
        assert cache is None or not as_waveform, "what is kept are mel frames"
        self.clips, self.n_classes = corpus.clips[split], len(corpus.classes)
        self.seconds, self.features = corpus.clip_seconds, features
        self.cache, self.as_waveform, self.random_crop = cache, as_waveform, random_crop

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, draw: Draw | int) -> Item:
        index, seed = (draw, 0) if isinstance(draw, int) else draw
        clip = self.clips[index]
        item: Item = {"index": index, "seed": seed, "targets": self._targets(clip)}
        if self.as_waveform:
            waveform, n_samples = self.waveform(clip, seed)
            return {**item, "waveform": waveform, "n_samples": torch.tensor(n_samples)}
        mel, n_mel = self._mel(index, seed)
        return {**item, "mel": mel, "n_mel": torch.tensor(n_mel)}

    def _mel(self, index: int, seed: int) -> tuple[Tensor, int]:
        """Return the mel frames of a clip, kept ones where there are any."""
        clip = self.clips[index]
        varies = self.random_crop and clip.seconds > self.seconds
        cache = None if varies else self.cache
        kept = cache.get(index) if cache else None
        if kept is not None:
            return torch.from_numpy(kept[0]), kept[1]
        waveform, n_samples = self.waveform(clip, seed)
        mel, n_mel = self.features.log_mel(waveform[None], torch.tensor([n_samples]))
        if cache:
            cache.put(index, mel[0].numpy(), int(n_mel))
        return mel[0], int(n_mel)

    def waveform(self, clip: Clip, seed: int = 0) -> tuple[Tensor, int]:
        """Read a clip, cropped or padded with zeros to the clip length.

        Returns:
            The waveform (S,) and how many of its samples are not padding.

        Raises:
            UserError: The file can no longer be read.
        """
        assert clip.location is not None, "only clips that are there are usable"
        rate = self.features.sample_rate
        surplus = max(0.0, clip.seconds - self.seconds)
        share = np.random.default_rng(seed).random() if self.random_crop else 0.5
        try:
            samples = read_waveform(sound_of(clip.location), rate, surplus * share, self.seconds)
        except UnreadableError as error:
            raise UserError(
                f"{clip.location} could be read when it was inspected and cannot be now ({error}); "
                "start again, and it is skipped."
            ) from error
        n_samples = min(len(samples), round(self.seconds * rate))
        waveform = torch.zeros(round(self.seconds * rate))
        waveform[:n_samples] = torch.from_numpy(samples[:n_samples])
        return waveform, n_samples

    def _targets(self, clip: Clip) -> Tensor:
        targets = torch.zeros(self.n_classes)
        targets[list(clip.labels)] = 1.0
        return targets
