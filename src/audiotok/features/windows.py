"""Overlapping windows of slices: stacked into vectors, and added up again."""

import torch
from torch import Tensor
from torchaudio.functional import compute_deltas


def stack_slices(slices: Tensor, deltas: int, context: int, stride: int) -> Tensor:
    """Stack neighbouring slices, each followed by its slopes.

    Args:
        slices: (B, slices, M)
        deltas: 1 appends the slope of every dimension over five slices, 2 the slope of that slope too.
        context: Slices in a window.
        stride: Slices from one window to the next.

    Returns:
        (B, T, context * (1 + deltas) * M), the first centred on the first slice; edges are repeated.
    """
    channels = [slices]
    for _ in range(deltas):
        channels.append(compute_deltas(channels[-1].transpose(1, 2)).transpose(1, 2))
    slices = torch.cat(channels, 2)
    before = (context - 1) // 2
    first = slices[:, :1].expand(-1, before, -1)
    last = slices[:, -1:].expand(-1, context - 1 - before, -1)
    slices = torch.cat([first, slices, last], 1)
    n_dimensions = slices.shape[2]
    return slices.flatten(1).unfold(1, context * n_dimensions, stride * n_dimensions)  # not a copy


def sum_windows(windows: Tensor, stride: int, before: int, *, shifted: bool = False) -> Tensor:
    """Add up overlapping windows (B, T, width, M): (B, slices, M).

    A window begins `before` slices before its frame. Where that is before the first slice, it begins there
    if `shifted`, and otherwise adds to the first slice what precedes it.
    """
    n_clips, n_frames, width, n_bins = windows.shape
    first = torch.arange(n_frames, device=windows.device) * stride - before
    inside = torch.arange(width, device=windows.device)
    places = first.clamp(min=0)[:, None] + inside if shifted else (first[:, None] + inside).clamp(min=0)
    total = windows.new_zeros(n_clips, max(int(places.max()) + 1, n_frames * stride), n_bins)
    return total.index_add_(1, places.flatten(), windows.flatten(1, 2))
