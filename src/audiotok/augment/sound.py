"""What is changed in mel frames, before they become words: every model hears it."""

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from audiotok.augment.shares import check_shares
from audiotok.errors import UserError
from audiotok.padding import is_position

_LOG_OF_DB = math.log(10) / 10  # natural logarithm of the power that is 1 dB
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

    @property
    def is_active(self) -> bool:
        """Whether any step changes anything, so that a clip sounds otherwise in every visit."""
        return bool(
            self.mix or self.rotate or self.gain_db or self.equalizer_db or self.mask_time or self.mask_bins
        )

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
        level = _mean_level(mel, n_mel)
        if self.mask_time:
            masked = _stretches(mel.shape[1], n_mel, (self.mask_time * n_mel).long(), generator)
            mel = torch.where(masked[..., None], level, mel)
        if self.mask_bins:
            n_bins = torch.full_like(n_mel, mel.shape[2])
            masked = _stretches(mel.shape[2], n_bins, n_bins.clamp(max=self.mask_bins), generator)
            mel = torch.where(masked[:, None] & _inside(mel, n_mel), level, mel)
        return mel.clamp(min=floor_db), n_mel, targets

    def _mix(
        self, mel: Tensor, n_mel: Tensor, targets: Tensor, floor_db: float, generator: Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Add another clip of the batch to a share of them: 10 log10 of the sum of powers, padding aside."""
        mixed = (torch.rand(len(mel), generator=generator) < self.mix).to(mel.device)
        others = torch.randperm(len(mel), generator=generator).to(mel.device)
        gains = _uniform(len(mel), self.mix_db, generator).to(mel.device)
        logs = mel.masked_fill(~_inside(mel, n_mel), -torch.inf) * _LOG_OF_DB
        sum_db = logs.logaddexp(logs[others] + gains * _LOG_OF_DB) / _LOG_OF_DB
        return (
            torch.where(mixed[:, None, None], sum_db.clamp(min=floor_db), mel),
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


def _inside(mel: Tensor, n_mel: Tensor) -> Tensor:
    """Mark the frames that are not padding: (B, T, 1)."""
    return is_position(n_mel, mel.shape[1])[..., None]


def _mean_level(mel: Tensor, n_mel: Tensor) -> Tensor:
    """Return the mean of each clip in dB, padding left out: (B, 1, 1)."""
    sums = mel.masked_fill(~_inside(mel, n_mel), 0.0).sum((1, 2), keepdim=True)
    return sums / (n_mel.clamp(min=1) * mel.shape[2])[:, None, None]


def _stretches(n_positions: int, n_inside: Tensor, widest: Tensor, generator: Generator) -> Tensor:
    """Mark random stretches, each at most so wide (B,), of the first `n_inside` (B,): (B, n_positions)."""
    positions = torch.arange(n_positions, device=n_inside.device)
    marked = torch.zeros(len(n_inside), n_positions, dtype=torch.bool, device=n_inside.device)
    for _ in range(_N_MASKS):
        share, place = torch.rand(2, len(n_inside), generator=generator).to(n_inside.device)
        width = (share * (widest + 1)).long()
        first = (place * (n_inside - width + 1)).long()
        marked |= (positions >= first[:, None]) & (positions < (first + width)[:, None])
    return marked
