"""From frames back to mel frames: against least squares of NumPy on the explicit linear map."""

import numpy as np
import pytest
import torch
from torch import Tensor

from audiotok.features.logmel import LogMel
from audiotok.features.mfcc import MFCC
from audiotok.features.unstacking import unstack

SMALL = {"sample_rate": 8000, "n_fft": 256, "hop_length": 128, "n_mels": 8}


def decibels(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (10 * torch.randn(*shape, generator=generator) - 45).clamp(-90, 0).half()


def fitted(**changes) -> LogMel:
    """Return features whose components are those of noise, which has no direction to leave out."""
    features = LogMel(**SMALL, **changes)
    stacked, _ = features.stack(decibels(30, 40, 8, seed=1), torch.full((30,), 40))
    features.fit(stacked.flatten(0, 1))
    return features


def explicit(features: LogMel, n_frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the pulses of a clip as slices, and as frames without those of the mean: rows are pulses."""
    margin, after = 2, features.context - 1 - (features.context - 1) // 2
    n_slices = (n_frames - 1) * features.stride + after + 1 + margin
    time = sum(
        weight * np.eye(n_slices, k=offset)
        for offset, weight in zip(range(-2, 3), (0.1, 0.2, 0.4, 0.2, 0.1), strict=True)
    )
    bins = np.arange(8)
    values, vectors = np.linalg.eigh(np.exp(-np.abs(bins[:, None] - bins) / 8))
    slices = np.kron(time, vectors * np.sqrt(values) @ vectors.T).reshape(n_slices * 8, n_slices, 8)
    stacked, _ = features.stack(torch.from_numpy(slices), torch.tensor(n_slices))
    frames = stacked[:, :n_frames].double() @ features.projection.components.double()
    return slices, frames.flatten(1).numpy()


@pytest.mark.parametrize(
    "changes",
    [
        {"context": 3, "stride": 2, "n_components": 5},
        {"context": 3, "stride": 1, "n_components": 12},
        {"context": [3, 7], "stride": 4, "n_components": [6, 8], "bands": [1, 4]},
        {"context": 4, "stride": 3, "n_components": 7, "whiten": True, "normalization": "corpus"},
        {"context": 2, "stride": 5, "n_components": 4},
    ],
    ids=["one scale", "more frames than slices", "two scales in bands", "whitened", "gaps"],
)
@pytest.mark.parametrize("noise", [0.0, 0.01], ids=["exact", "with noise"])
def test_it_is_the_least_squares_solution(changes, noise):
    features = fitted(**changes)
    frames = features(decibels(1, 23, 8), torch.tensor([23]))[0]
    frames = frames + frames.std() * torch.randn(frames.shape, generator=torch.Generator().manual_seed(2)) / 9
    slices, mapped = explicit(features, frames.shape[1])
    mean = features.projection.mean.view(-1, 8).mean(0)
    departures = (frames - features.project(mean.repeat(features.context))).flatten().double().numpy()
    if noise:
        gram = mapped.T @ mapped
        ridge = noise * gram[-features.n_dimensions :, -features.n_dimensions :].diagonal().max()
        pulses = mapped @ np.linalg.solve(gram + ridge * np.eye(len(gram)), departures)
    else:
        pulses = np.linalg.lstsq(mapped.T, departures, rcond=1e-9)[0]
    expected = mean.numpy() + np.tensordot(pulses, slices, 1)
    found = unstack(frames, torch.tensor([frames.shape[1]]), features.projection, features.stride, noise)[0]
    context, stride = features.context, features.stride
    for place, row in enumerate(found):  # places that no window covers are those of the nearest that is
        t = place // stride
        ends = [t * stride + context - 1 - (context - 1) // 2, (t + 1) * stride - (context - 1) // 2]
        inside = place <= ends[0] or (place >= ends[1] and t + 1 < frames.shape[1])
        if t + 1 == frames.shape[1]:
            ends = ends[:1]
        source = place if inside else min(ends, key=lambda end: abs(end - place))
        np.testing.assert_allclose(row, expected[source], atol=2e-3)


@pytest.mark.parametrize(
    "changes",
    [
        {"context": 1, "stride": 1, "n_components": None},
        {"context": 5, "stride": 2, "n_components": None, "deltas": 2},
        {"context": 5, "stride": 3, "n_components": None, "normalization": "corpus"},
        {"context": 3, "stride": 2, "n_components": 24},
        {"context": [1, 3], "stride": 2, "n_components": [8, 24], "bands": [1, 4], "whiten": True},
    ],
    ids=["as they are", "slopes", "standardised", "all components", "two scales"],
)
def test_lossless_settings_give_the_analysis_back_whatever_the_length_of_clips(changes):
    features = fitted(**changes)
    mel, n_slices = decibels(3, 23, 8), torch.tensor([23, 23, 10])
    frames, n_frames = features(mel, n_slices)
    frames = frames.clone()  # it may be a view of the mel frames
    frames[2, n_frames[2] :] = torch.nan  # padding is not read
    found = features.unproject(frames, n_frames)
    assert found.shape[1] == frames.shape[1] * features.stride
    for clip, length in enumerate(n_slices):
        torch.testing.assert_close(found[clip, :length], mel[clip, :length].float(), atol=1e-3, rtol=0)


def test_a_long_clip_begins_like_a_short_one():
    features = fitted(context=3, stride=2, n_components=5)
    frames = torch.randn(1, 400, 5, generator=torch.Generator().manual_seed(0))
    long = features.unproject(frames, torch.tensor([400]), noise=0.01)
    short = features.unproject(frames[:, :100], torch.tensor([100]), noise=0.01)
    torch.testing.assert_close(long[:, :150], short[:, :150])


def test_normalised_clips_come_back_below_0_db():
    mel, n_slices = decibels(2, 12, 8), torch.tensor([12, 7])
    for normalization in ("clip_max", "clip_minmax"):
        features = LogMel(
            **SMALL, normalization=normalization, range_db=30.0, context=3, stride=2, n_components=None
        )
        found = features.unproject(*features(mel, n_slices))
        for clip, length in enumerate(n_slices):
            high = mel[clip, :length].max().float()
            expected = mel[clip, :length].float().clamp(min=high - 30) - high
            torch.testing.assert_close(found[clip, :length], expected, atol=1e-3, rtol=0)


def test_all_cepstral_coefficients_give_mel_frames_back_and_few_a_smooth_spectrum():
    mel, n_slices = decibels(1, 12, 8), torch.tensor([12])
    for n_coefficients in (8, 4):
        features = MFCC(**SMALL, n_coefficients=n_coefficients, range_db=None, context=3, stride=2)
        found = features.unproject(*features(mel, n_slices))
        expected = mel.float() @ features.dct @ features.dct.mT
        torch.testing.assert_close(found[:, :12], expected, atol=1e-2, rtol=0)
