"""The inverse of stacking and projecting: from overlapping frames back to slices, by least squares.

A frame is a linear function of the slices in its window, and neighbouring windows overlap. Among all slices
whose frames have the least squared error, those are returned that depart least, and most smoothly, from the
mean slice: one banded system for all frames and all time scales, solved exactly.

Frames that are decoded from tokens have errors, which the exact solution amplifies, because overlapping
windows nearly repeat each other. With `noise` above 0, slices also stay near the mean slice, which keeps the
errors small.
"""

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

from audiotok.features.banded import Banded
from audiotok.features.projection import Projection
from audiotok.features.windows import stack_slices, sum_windows
from audiotok.padding import is_position

_EXACT = 1e-10  # the noise of frames without errors; solving twice squares what it leaves
_IN_TIME = (0.1, 0.2, 0.4, 0.2, 0.1)  # departures from the mean slice are smooth over five slices
_IN_BINS = 8.0  # and over neighbouring bins, with correlation exp(-distance / 8)
_MARGIN = len(_IN_TIME) // 2


def unstack(
    frames: Tensor,
    n_frames: Tensor,
    projection: Projection,
    stride: int,
    noise: float,
    *,
    smooth: bool = True,
) -> Tensor:
    """Return the slices whose projected frames are nearest to the frames given.

    The first slice is repeated before the beginning, as stacking does; nothing is assumed about what follows
    the last frame. Slices that are in no window become like the nearest that is in one.

    Args:
        frames: (B, T, D)
        n_frames: (B,), frames of each that are not padding.
        projection: What they were projected by.
        stride: Slices from one frame to the next.
        noise: Variance of the errors of frames, as a share of the variance that smooth departures cause in
            the dimension that has most; 0 for frames without errors.
        smooth: Whether neighbouring bins are alike.

    Returns:
        (B, T * stride, M), float32; of each clip the first `n_frames * stride` count.
    """
    frames = frames.double().masked_fill(~is_position(n_frames, frames.shape[1])[..., None], 0)
    if projection.n_components is None:
        slices = _average(frames, n_frames, projection, stride)
    else:
        slices = _least_squares(frames, n_frames, projection, stride, noise, smooth)
    n_slices = frames.shape[1] * stride
    nearest = _nearest_in_a_window(n_frames, n_slices, max(projection.contexts), stride)
    return slices.gather(1, nearest[..., None].expand(-1, -1, slices.shape[2])).float()


def _average(frames: Tensor, n_frames: Tensor, projection: Projection, stride: int) -> Tensor:
    """Average the copies of a slice in stacked frames: (B, T, inputs) to (B, slices, M)."""
    shape = (max(projection.contexts), projection.n_channels, projection.n_bins)
    scale = frames.new_ones(projection.n_inputs)
    if projection.is_fitted:
        scale = projection.components.diagonal().double()
        frames = frames + projection.mean.double() * scale
    counts = is_position(n_frames, frames.shape[1])[..., None, None]
    # Of a slice and its slopes, the slopes add nothing. Errors are weighted as in the frames.
    copies = (frames * scale).unflatten(2, shape)[..., 0, :] * counts
    weights = scale.square().view(shape)[:, 0] * counts
    before = (shape[0] - 1) // 2
    return sum_windows(copies, stride, before) / sum_windows(weights, stride, before).clamp(min=1e-300)


def _least_squares(
    frames: Tensor, n_frames: Tensor, projection: Projection, stride: int, noise: float, smooth: bool
) -> Tensor:
    stacked_mean = projection.mean.double().view(-1, projection.n_channels, projection.n_bins)
    mean = torch.zeros_like(stacked_mean)  # of a clip of mean slices: it has no slopes
    mean[:, 0] = stacked_mean[:, 0].mean(0)
    departures = frames - (mean - stacked_mean).flatten() @ projection.components.double()
    windows = _Windows(projection, stride, smooth)
    ridge = max(noise, _EXACT) * float(windows.product(windows.n_edge, 0).diagonal().max())
    system = Banded(windows.product, frames.shape[1], windows.reach, windows.n_edge, ridge)
    weights = system.solve(departures, n_frames)
    if noise < _EXACT:
        weights = weights + system.solve(ridge * weights, n_frames)  # the departures that the ridge has left
    return mean[0, 0] + windows.slices(weights)


class _Windows:
    """The frames as functions of independent pulses, of which smooth departures are made.

    Args:
        projection: Of the frames.
        stride: Slices from one frame to the next.
        smooth: Whether neighbouring bins are alike.
    """

    def __init__(self, projection: Projection, stride: int, smooth: bool) -> None:
        device, context, deltas = projection.mean.device, max(projection.contexts), projection.n_channels - 1
        margin = 2 * deltas + _MARGIN  # a slope is over five slices
        self.stride, self.before, self.width = stride, (context - 1) // 2 + margin, context + 2 * margin
        self.reach = max(1, (self.width - 1) // stride)
        self.n_edge = -(-self.before // stride)  # frames whose window begins before the first slice
        self.in_time = torch.tensor(_IN_TIME, dtype=torch.float64, device=device)[None, None]
        self.in_bins = _correlated_bins(projection.n_bins, smooth).to(device)
        n_slices = self.n_edge * stride - self.before + self.width
        pulses = torch.eye(n_slices, dtype=torch.float64, device=device)[:, None]
        stacked = stack_slices(F.conv1d(pulses, self.in_time, padding=_MARGIN).mT, deltas, context, stride)
        components = projection.components.double().view(-1, projection.n_bins, projection.n_outputs)
        components = self.in_bins @ components  # (inputs of a bin, M, D)
        self.responses = [
            torch.einsum("sj,jmd->smd", stacked[self.first(t) : self.first(t) + self.width, t], components)
            for t in range(self.n_edge + 1)
        ]
        self.product: Callable[[int, int], Tensor] = cache(self._product)

    def first(self, t: int) -> int:
        """Return the first slice in the window of frame t."""
        return max(0, t * self.stride - self.before)

    def _product(self, t: int, k: int) -> Tensor:
        """Return the products (D, D) of what all pulses add to frame t and to frame t + k."""
        shift = self.first(t + k) - self.first(t)
        one, other = self.responses[min(t, self.n_edge)], self.responses[min(t + k, self.n_edge)]
        return one[shift:].flatten(0, 1).mT @ other[: max(0, self.width - shift)].flatten(0, 1)

    def slices(self, weights: Tensor) -> Tensor:
        """Add up all pulses of frames with the weights (B, T, D), and smooth them: (B, slices, M)."""
        edge = self.n_edge
        of_edge = [
            weights[:, t : t + 1] @ response.flatten(0, 1).mT
            for t, response in enumerate(self.responses[:edge])
        ]
        of_others = weights[:, edge:] @ self.responses[edge].flatten(0, 1).mT
        windows = torch.cat([*of_edge, of_others], 1)[:, : weights.shape[1]].unflatten(2, (self.width, -1))
        pulses = sum_windows(windows, self.stride, self.before, shifted=True) @ self.in_bins
        n_clips, _, n_bins = pulses.shape
        smooth = F.conv1d(pulses.mT.flatten(0, 1)[:, None], self.in_time, padding=_MARGIN)
        return smooth.view(n_clips, n_bins, -1).mT


def _correlated_bins(n_bins: int, smooth: bool) -> Tensor:
    """Return the square root (M, M) of the correlation of bins."""
    if not smooth:
        return torch.eye(n_bins, dtype=torch.float64)
    bins = torch.arange(n_bins, dtype=torch.float64)
    variances, vectors = torch.linalg.eigh(torch.exp(-(bins[:, None] - bins).abs() / _IN_BINS))
    return (vectors * variances.clamp(min=0).sqrt()) @ vectors.mT


def _nearest_in_a_window(n_frames: Tensor, n_slices: int, context: int, stride: int) -> Tensor:
    """Return for every slice the nearest that a frame of its clip sees: (B, slices)."""
    before = (context - 1) // 2
    place = torch.arange(n_slices, device=n_frames.device)
    frame = place // stride
    end = frame * stride + context - 1 - before
    begin = (frame + 1) * stride - before
    nearer = torch.where(place - end <= begin - place, end, begin)
    nearest = torch.where((place <= end) | (place >= begin), place, nearer)
    last = (n_frames[:, None] - 1) * stride + context - 1 - before  # that the last frame of a clip sees
    return nearest.minimum(last.clamp(min=0))
