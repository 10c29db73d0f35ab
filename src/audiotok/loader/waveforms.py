"""Clips on disk to waveforms of one rate and length, and to their analysis."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from audiotok.data.audio import UnreadableError, read_mono, resample
from audiotok.data.clip import Clip
from audiotok.data.corpus.catalogue import Catalogue
from audiotok.data.layout.layout import sound_of
from audiotok.errors import UserError
from audiotok.features.features import Features

_TOGETHER = 16  # clips that are decoded before any is resampled: at most 45 MB of 10 s clips at 48 kHz
Values = tuple[Tensor, Tensor]  # (B, ...), and how much of each clip is not padding (B,)


class WaveformReader:
    """Read clips, cropped or padded with zeros to one length.

    Args:
        clips: Clips with a location.
        seconds: Length of what is read, s.
        features: Says at which rate, and analyses waveforms.
        random_crop: Crop clips that are too long to a random stretch instead of their middle.
    """

    def __init__(
        self, clips: Catalogue, seconds: float, features: Features, random_crop: bool = False
    ) -> None:
        self.clips, self.seconds, self.features, self.random_crop = clips, seconds, features, random_crop

    def __len__(self) -> int:
        return len(self.clips)

    def waveform(self, clip: Clip, seed: int = 0) -> tuple[Tensor, int]:
        """Read one clip.

        Args:
            clip: Which.
            seed: Seed of a random crop.

        Returns:
            The waveform (S,), and how many of its samples are not padding.

        Raises:
            UserError: The file can no longer be read.
        """
        return self._at_rate(*self._decode(clip, seed))

    def waveforms(self, index: np.ndarray, seeds: np.ndarray) -> Values:
        """Read clips by their places (B,), with the seeds of random crops (B,): (B, S)."""
        waveforms, n_samples = zip(*self._read(index, seeds), strict=True)
        return torch.stack(waveforms), torch.tensor(n_samples)

    def analysis(self, index: np.ndarray, seeds: np.ndarray) -> Values:
        """Analyse clips by their places (B,), with the seeds of random crops (B,): (B, slices, bins)."""
        made = [self.features.analyze(wave[None], torch.tensor([n])) for wave, n in self._read(index, seeds)]
        analysis, n_slices = zip(*made, strict=True)
        return torch.cat(analysis), torch.cat(n_slices)

    def _decode(self, clip: Clip, seed: int) -> tuple[np.ndarray, int]:
        """Decode the stretch of a clip that is used: samples, and their rate in Hz."""
        location = clip.location
        assert location is not None, "usable clips have a location"
        surplus = max(0.0, clip.seconds - self.seconds)
        share = np.random.default_rng(seed).random() if self.random_crop else 0.5
        start = location.start + surplus * share
        seconds = min(self.seconds, clip.seconds) if location.is_stretch else self.seconds
        try:
            return read_mono(sound_of(location), start, seconds)
        except UnreadableError as error:
            raise UserError(
                f"{location} could be read when it was inspected and cannot be now ({error}); "
                "start again with data.scan=always and data.check=decode, and it is skipped."
            ) from error

    def _at_rate(self, samples: np.ndarray, rate: int) -> tuple[Tensor, int]:
        """Resample decoded samples, and crop or pad them to the clip length."""
        length = round(self.seconds * self.features.sample_rate)
        waveform = torch.from_numpy(resample(samples, rate, self.features.sample_rate)[:length])
        n_samples = len(waveform)
        return F.pad(waveform, (0, length - n_samples)) if n_samples < length else waveform, n_samples

    def _read(self, index: np.ndarray, seeds: np.ndarray) -> Iterator[tuple[Tensor, int]]:
        """Read clips one after the other.

        Several are decoded, then resampled, before they are analysed: alternating the three evicts code and
        tables from the CPU's caches, and costs 0.4 of 11 ms per clip.
        """
        for start in range(0, len(index), _TOGETHER):
            some = slice(start, start + _TOGETHER)
            visits = [*zip(index[some].tolist(), seeds[some].tolist(), strict=True)]
            decoded = {visit: self._decode(self.clips[visit[0]], visit[1]) for visit in self._ordered(visits)}
            yield from [self._at_rate(*decoded[visit]) for visit in visits]

    def _ordered(self, visits: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """Return visits with the stretches of a recording in their order: some decoders do not go back."""
        places = {visit: self.clips[visit[0]].location for visit in visits}
        return sorted(visits, key=lambda visit: (p.path, p.start) if (p := places[visit]) else ("", 0.0))
