"""Augmentation of the analysis (mel frames), before it is tokenised: it works for every model."""

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from audiotok.augment.shares import check_shares
from audiotok.errors import UserError
from audiotok.errors.ranges import DecibelRange, Share, Whole
from audiotok.features.features import Features
from audiotok.padding import is_position

_LOG_OF_DB = math.log(10) / 10  # natural logarithm of a power of 1 dB
_N_WAVES = 4  # cosines that an equaliser curve is the sum of
_N_MASKS = 2  # masked stretches of time, and of bins


@dataclass(frozen=True)
class Sound:
    """Mix, rotate, equalise and mask the analysis of clips.

    Args:
        mix: Share of the clips to which another clip of the batch is added: their powers are summed, and
            their labels united.
        mix_db: The added clip is made louder or softer by at most this, dB.
        rotate: Start a clip at a random point, and continue from its end to its beginning.
        gain_db: A clip is made louder or softer by at most this, dB.
        equalizer_db: Standard deviation of a random smooth curve over the bins that is added to a clip, dB.
        mask_time: Two masks each replace at most this share of a clip's slices by its mean level.
        mask_bins: Two masks each replace at most this many bins by the clip's mean level (D. Park et al.,
            "SpecAugment", Interspeech 2019).
    """

    mix: Share = 0.0
    mix_db: DecibelRange = 10.0
    rotate: bool = False
    gain_db: DecibelRange = 0.0
    equalizer_db: DecibelRange = 0.0
    mask_time: Share = 0.0
    mask_bins: Whole = 0

    def __post_init__(self) -> None:
        check_shares(sound__mix=self.mix, sound__mask_time=self.mask_time)
        for key in ("mix_db", "gain_db", "equalizer_db", "mask_bins"):
            if getattr(self, key) < 0:
                raise UserError(f"augment.sound.{key}={getattr(self, key)} is negative; choose 0 or more.")

    @property
    def is_active(self) -> bool:
        """Whether any step is on, so that a clip differs from visit to visit."""
        return bool(
            self.mix or self.rotate or self.gain_db or self.equalizer_db or self.mask_time or self.mask_bins
        )

    def check(self, features: Features) -> None:
        """Raise `UserError` for a step that needs decibels, where the analysis of the features has none."""
        for key in ("mix", "gain_db", "equalizer_db"):
            if features.floor_db is None and getattr(self, key):
                raise UserError(
                    f"augment.sound.{key}={getattr(self, key)} needs levels in decibels, which "
                    f"{type(features).__name__} features do not have; choose 0, or augment=none."
                )

    def __call__(
        self,
        analysis: Tensor,
        n_slices: Tensor,
        targets: Tensor,
        floor_db: float | None,
        generator: Generator,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Augment a batch; the same generator has the same effect on every device.

        Args:
            analysis: (B, slices, bins), float32: mel frames in dB.
            n_slices: Slices that are not padding, (B,).
            targets: (B, C)
            floor_db: Level of silence, dB; None where the analysis is not in decibels.
            generator: Source of all randomness, on the CPU.

        Returns:
            The first three arguments, changed.
        """
        n_clips, n_bins, device = len(analysis), analysis.shape[2], analysis.device
        if self.rotate:
            analysis = _rotate(analysis, n_slices, generator)
        if self.equalizer_db:
            analysis = analysis + self.equalizer_db * _smooth_curves(n_clips, n_bins, generator).to(device)
        if self.gain_db:
            analysis = analysis + _uniform(n_clips, self.gain_db, generator).to(device)
        if self.mix:
            assert floor_db is not None, "`check` has refused these features"
            analysis, n_slices, targets = self._mix(analysis, n_slices, targets, floor_db, generator)
        level = _mean_level(analysis, n_slices)
        if self.mask_time:
            masked = _stretches(analysis.shape[1], n_slices, (self.mask_time * n_slices).long(), generator)
            analysis = torch.where(masked[..., None], level, analysis)
        if self.mask_bins:
            all_bins = torch.full_like(n_slices, n_bins)
            masked = _stretches(n_bins, all_bins, all_bins.clamp(max=self.mask_bins), generator)
            analysis = torch.where(masked[:, None] & _inside(analysis, n_slices), level, analysis)
        return analysis if floor_db is None else analysis.clamp(min=floor_db), n_slices, targets

    def _mix(
        self, analysis: Tensor, n_slices: Tensor, targets: Tensor, floor_db: float, generator: Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Add another clip of the batch to a share of the clips: 10 log10 of the summed powers."""
        mixed = (torch.rand(len(analysis), generator=generator) < self.mix).to(analysis.device)
        others = torch.randperm(len(analysis), generator=generator).to(analysis.device)
        gains = _uniform(len(analysis), self.mix_db, generator).to(analysis.device)
        logs = analysis.masked_fill(~_inside(analysis, n_slices), -torch.inf) * _LOG_OF_DB
        sum_db = logs.logaddexp(logs[others] + gains * _LOG_OF_DB) / _LOG_OF_DB
        return (
            torch.where(mixed[:, None, None], sum_db.clamp(min=floor_db), analysis),
            torch.where(mixed, n_slices.maximum(n_slices[others]), n_slices),
            torch.where(mixed[:, None], targets.maximum(targets[others]), targets),
        )


def _uniform(n_clips: int, limit: float, generator: Generator) -> Tensor:
    """Draw a level for each clip between -limit and limit: (n_clips, 1, 1)."""
    return (2 * torch.rand(n_clips, 1, 1, generator=generator) - 1) * limit


def _rotate(analysis: Tensor, n_slices: Tensor, generator: Generator) -> Tensor:
    """Rotate the slices that are not padding."""
    first = torch.rand(len(analysis), generator=generator).to(analysis.device) * n_slices
    positions = torch.arange(analysis.shape[1], device=analysis.device)
    rotated = (positions + first.long()[:, None]) % n_slices.clamp(min=1)[:, None]
    index = torch.where(positions < n_slices[:, None], rotated, positions)
    return analysis.gather(1, index[..., None].expand_as(analysis))


def _smooth_curves(n_clips: int, n_bins: int, generator: Generator) -> Tensor:
    """Draw curves of standard deviation 1 over the bins, sums of slow cosines: (n_clips, 1, n_bins)."""
    amplitudes = torch.randn(n_clips, _N_WAVES, 1, generator=generator) * math.sqrt(2 / _N_WAVES)
    phases = torch.rand(n_clips, _N_WAVES, 1, generator=generator) * 2 * math.pi
    waves = torch.arange(1, _N_WAVES + 1)[:, None] * torch.linspace(0, math.pi, n_bins)
    return (amplitudes * torch.cos(waves + phases)).sum(1, keepdim=True)


def _inside(analysis: Tensor, n_slices: Tensor) -> Tensor:
    """Mark the slices that are not padding: (B, slices, 1)."""
    return is_position(n_slices, analysis.shape[1])[..., None]


def _mean_level(analysis: Tensor, n_slices: Tensor) -> Tensor:
    """Return the mean of each clip without its padding: (B, 1, 1)."""
    sums = analysis.masked_fill(~_inside(analysis, n_slices), 0.0).sum((1, 2), keepdim=True)
    return sums / (n_slices.clamp(min=1) * analysis.shape[2])[:, None, None]


def _stretches(n_positions: int, n_inside: Tensor, widest: Tensor, generator: Generator) -> Tensor:
    """Mark random stretches of the first `n_inside` (B,) positions, each at most `widest` (B,) long."""
    positions = torch.arange(n_positions, device=n_inside.device)
    marked = torch.zeros(len(n_inside), n_positions, dtype=torch.bool, device=n_inside.device)
    for _ in range(_N_MASKS):
        share, place = torch.rand(2, len(n_inside), generator=generator).to(n_inside.device)
        width = (share * (widest + 1)).long()
        first = (place * (n_inside - width + 1)).long()
        marked |= (positions >= first[:, None]) & (positions < (first + width)[:, None])
    return marked
