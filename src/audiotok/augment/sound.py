"""What is changed in mel frames, before they become words: every model hears it."""

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from audiotok.augment.shares import check_shares
from audiotok.errors import UserError

_N_WAVES = 4  # cosines that an equaliser's curve is made of
_N_MASKS = 2  # stretches of time, and of bins, that are masked


@dataclass(frozen=True)
class Sound:
    """Mix, rotate, filter and mask mel frames in dB.

    Args:
        mix: Share of the clips to which another clip of the batch is added as sound: powers add up, and
            labels unite.
        mix_db: Most that the added clip is made louder or softer, dB.
        rotate: Begin a clip anywhere, and go on from its end to its beginning.
        gain_db: Most that a clip is made louder or softer, dB.
        equalizer_db: Deviation of a random smooth curve over the mel bins that is added to a clip, dB.
        mask_time: Most of a clip, as a share, that each of two masks sets to its mean level.
        mask_bins: Most mel bins that each of two masks sets to the clip's mean level (D. Park et al.,
            "SpecAugment", Interspeech 2019).
    """

    mix: float
    mix_db: float
    rotate: bool
    gain_db: float
    equalizer_db: float
    mask_time: float
    mask_bins: int

    def __post_init__(self) -> None:
        check_shares(sound__mix=self.mix, sound__mask_time=self.mask_time)
        for key in ("mix_db", "gain_db", "equalizer_db", "mask_bins"):
            if getattr(self, key) < 0:
                raise UserError(f"augment.sound.{key}={getattr(self, key)} is negative; choose 0 or more.")

    def __call__(
        self, mel: Tensor, n_mel: Tensor, targets: Tensor, floor_db: float, generator: Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Change a batch; the same generator changes it in the same way on every device.

        Args:
            mel: (B, T, M), dB.
            n_mel: Mel frames that are not padding, (B,).
            targets: (B, C)
            floor_db: Power that is silence, dB.
            generator: On the CPU; all randomness is from it.

        Returns:
            The same three, changed.
        """
        if self.rotate:
            mel = _rotate(mel, n_mel, generator)
        if self.equalizer_db:
            mel = mel + self.equalizer_db * _smooth_curves(len(mel), mel.shape[2], generator).to(mel.device)
        if self.gain_db:
            mel = mel + _uniform(len(mel), self.gain_db, generator).to(mel.device)
        if self.mix:
            mel, n_mel, targets = self._mix(mel, n_mel, targets, floor_db, generator)
        if self.mask_time:
            mel = _mask(mel, n_mel, 1, self.mask_time * n_mel, generator)
        if self.mask_bins:
            n_bins = torch.full_like(n_mel, mel.shape[2])
            mel = _mask(mel, n_bins, 2, torch.full_like(n_mel, min(self.mask_bins, mel.shape[2])), generator)
        return mel.clamp(min=floor_db), n_mel, targets

    def _mix(
        self, mel: Tensor, n_mel: Tensor, targets: Tensor, floor_db: float, generator: Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Add another clip of the batch to a share of them: 10 log10 of the sum of powers."""
        mixed = (torch.rand(len(mel), generator=generator) < self.mix).to(mel.device)
        others = torch.randperm(len(mel), generator=generator).to(mel.device)
        gains = _uniform(len(mel), self.mix_db, generator).to(mel.device)
        inside = torch.arange(mel.shape[1], device=mel.device) < n_mel[others, None]
        added = torch.where(inside[..., None], mel[others] + gains, floor_db)
        sum_db = torch.logaddexp(mel * (math.log(10) / 10), added * (math.log(10) / 10)) * (10 / math.log(10))
        return (
            torch.where(mixed[:, None, None], sum_db, mel),
            torch.where(mixed, n_mel.maximum(n_mel[others]), n_mel),
            torch.where(mixed[:, None], targets.maximum(targets[others]), targets),
        )


def _uniform(n_clips: int, limit: float, generator: Generator) -> Tensor:
    """Draw a level for each clip between -limit and limit: (n_clips, 1, 1)."""
    return (2 * torch.rand(n_clips, 1, 1, generator=generator) - 1) * limit


def _rotate(mel: Tensor, n_mel: Tensor, generator: Generator) -> Tensor:
    """Rotate the frames that are not padding."""
    first = torch.rand(len(mel), generator=generator).to(mel.device) * n_mel
    positions = torch.arange(mel.shape[1], device=mel.device)
    rotated = (positions + first.long()[:, None]) % n_mel.clamp(min=1)[:, None]
    index = torch.where(positions < n_mel[:, None], rotated, positions)
    return mel.gather(1, index[..., None].expand_as(mel))


def _smooth_curves(n_clips: int, n_mels: int, generator: Generator) -> Tensor:
    """Draw curves of deviation 1 over the mel bins, sums of a few slow cosines: (n_clips, 1, n_mels)."""
    amplitudes = torch.randn(n_clips, _N_WAVES, 1, generator=generator) * math.sqrt(2 / _N_WAVES)
    phases = torch.rand(n_clips, _N_WAVES, 1, generator=generator) * 2 * math.pi
    waves = torch.arange(1, _N_WAVES + 1)[:, None] * torch.linspace(0, math.pi, n_mels)
    return (amplitudes * torch.cos(waves + phases)).sum(1, keepdim=True)


def _mask(mel: Tensor, n_inside: Tensor, dimension: int, widest: Tensor, generator: Generator) -> Tensor:
    """Set stretches along a dimension, each at most so wide, to the clip's mean level."""
    level = mel.mean((1, 2), keepdim=True)
    positions = torch.arange(mel.shape[dimension], device=mel.device)
    for _ in range(_N_MASKS):
        share, place = torch.rand(2, len(mel), generator=generator).to(mel.device)
        width = (share * (widest + 1)).long()
        first = (place * (n_inside - width + 1)).long()
        masked = (positions >= first[:, None]) & (positions < (first + width)[:, None])
        mel = torch.where(masked.unsqueeze(3 - dimension), level, mel)
    return mel
