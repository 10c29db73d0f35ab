import librosa
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from audiotok.errors import UserError
from audiotok.features.logmel import LogMel

DEFAULTS = {
    "sample_rate": 8000,
    "n_fft": 256,
    "hop_length": 128,
    "n_mels": 16,
    "f_min": 0.0,
    "f_max": None,
    "floor_db": -100.0,
    "range_db": None,
    "normalization": "none",
    "deltas": 0,
    "context": 1,
    "stride": 1,
    "n_components": None,
    "bands": 1,
    "whiten": False,
}


def logmel(**changes) -> LogMel:
    return LogMel(**(DEFAULTS | changes))


def noise(*shape: int, seed: int = 0) -> Tensor:
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def whole(waveforms: Tensor) -> Tensor:
    """Return the n_samples of waveforms (B, S) without padding."""
    return torch.full((len(waveforms),), waveforms.shape[1])


def frames_of(features: LogMel, waveforms: Tensor, n_samples: Tensor) -> tuple[Tensor, Tensor]:
    """Go the whole way from waveforms to frames (B, T, D)."""
    return features(*features.analyze(waveforms, n_samples))


def decibels(*shape: int, seed: int = 0) -> Tensor:
    """Return mel frames in dB, to a sixteenth, as `log_mel` gives them."""
    return (
        (20 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) - 50).clamp(min=-100).half()
    )


def padded(waveforms: list[Tensor], n_samples: int) -> tuple[Tensor, Tensor]:
    """Pad with zeros to a length, as the loader does."""
    rows = [torch.nn.functional.pad(wave, (0, n_samples - len(wave))) for wave in waveforms]
    return torch.stack(rows), torch.tensor([len(wave) for wave in waveforms])


# ---- the spectrogram ----


@pytest.mark.parametrize(
    ("changes", "tolerance_db"),
    [
        ({}, 2e-3),
        ({"sample_rate": 22050, "n_fft": 1024, "hop_length": 512, "n_mels": 64}, 2e-3),
        ({"sample_rate": 16000, "n_fft": 400, "hop_length": 160, "f_min": 20.0, "f_max": 7600.0}, 2e-3),
        ({"hop_length": 256}, 2e-3),
        # torchaudio takes 5512 Hz for half of an odd rate, so that bins lie 0.01 % too low.
        ({"sample_rate": 11025, "n_fft": 512, "hop_length": 200, "n_mels": 32}, 3e-2),
    ],
    ids=["tiny", "shipped", "16 kHz with edges", "no overlap", "odd rate"],
)
def test_mel_is_librosas_htk_power_in_db(changes, tolerance_db):
    features = logmel(**changes)
    settings_ = DEFAULTS | changes
    wave = noise(1, 2 * settings_["sample_rate"])
    power = librosa.feature.melspectrogram(
        y=wave[0].double().numpy(),
        sr=settings_["sample_rate"],
        n_fft=settings_["n_fft"],
        hop_length=settings_["hop_length"],
        n_mels=settings_["n_mels"],
        fmin=settings_["f_min"],
        fmax=settings_["f_max"],
        power=2.0,
        htk=True,
        norm=None,
        center=True,
        pad_mode="reflect",
        window="hann",
    )
    expected = 10 * np.log10(np.maximum(power, 1e-10)).T
    found = features.analyze(wave, whole(wave))[0][0].numpy()
    assert found.shape == expected.shape
    rounding = np.spacing(np.abs(expected).astype(np.float16)).astype(np.float64) / 2
    assert (np.abs(found - expected) <= rounding + tolerance_db).all()
    assert abs((found - expected).mean()) < 2e-3 + tolerance_db / 10  # rounded, not cut off


def test_mel_frames_are_half_precision_which_is_a_sixteenth_of_a_db_or_finer():
    mel, n_mel = logmel().analyze(noise(1, 8000), torch.tensor([8000]))
    assert (mel.dtype, n_mel.dtype) == (torch.float16, torch.int64)
    assert np.spacing(np.float16(127.9)) == 1 / 16
    soft, _ = logmel().analyze(1e-4 * noise(1, 8000), torch.tensor([8000]))  # 80 dB softer
    np.testing.assert_allclose(soft.float(), (mel.float() - 80).clamp(min=-100), atol=1 / 16)


def test_full_scale_sine_has_the_level_that_parseval_gives():
    t = torch.arange(8000) / 8000
    wave = torch.sin(2 * torch.pi * 1000 * t)[None]  # bin 32 of 256 exactly
    features = logmel()
    # A Hann window sums to n_fft / 2, so a sine of amplitude 1 has magnitude n_fft / 4 in its bin, and half
    # of that in the two beside it.
    power = torch.zeros(129)
    power[31:34] = (256 / 4) ** 2 * torch.tensor([0.25, 1.0, 0.25])
    expected = 10 * (power @ features.spectrogram.mel_filters[::2]).clamp(min=1e-10).log10()
    heard = expected > 0
    assert heard.any()
    found = features.analyze(wave, whole(wave))[0][0, 30]
    np.testing.assert_allclose(found[heard], expected[heard], atol=1 / 32)


def test_tone_is_loudest_in_the_bin_that_covers_it():
    t = torch.arange(8000) / 8000
    features = logmel()
    for hz in (250.0, 800.0, 2500.0):
        wave = torch.sin(2 * torch.pi * hz * t)[None]
        loudest = features.analyze(wave, whole(wave))[0][0, 5:-5].float().mean(0).argmax()
        mel = 2595 * np.log10(1 + hz / 700)  # HTK
        step = 2595 * np.log10(1 + 4000 / 700) / 17
        assert abs((loudest.item() + 1) - mel / step) <= 1


@pytest.mark.parametrize("floor_db", [-100.0, -60.0, 0.0])
def test_power_below_the_floor_counts_as_the_floor(floor_db):
    silence = torch.zeros(1, 4000)
    found, _ = logmel(floor_db=floor_db).analyze(silence, whole(silence))
    np.testing.assert_allclose(found.numpy(), floor_db, atol=1e-4)
    assert logmel(floor_db=floor_db).analyze(noise(1, 4000), whole(silence))[0].min() >= floor_db - 1e-4


def test_frames_are_finite_however_low_the_floor():
    silence = torch.zeros(1, 4000)
    try:
        features = logmel(floor_db=-500.0)
    except UserError:
        return
    assert features.analyze(silence, whole(silence))[0].isfinite().all()


# ---- batches and padding ----

shapes = {
    "plain": {},
    "stacked": {"context": 5, "stride": 4},
    "clip_minmax": {"normalization": "clip_minmax"},
    "clip_max": {"normalization": "clip_max", "range_db": 30.0},
    "deltas": {"deltas": 2, "context": 3, "stride": 2},
}
every_shape = pytest.mark.parametrize("changes", shapes.values(), ids=shapes)


@every_shape
def test_batch_equals_its_clips_one_by_one(changes):
    features = logmel(**changes)
    waves, n_samples = padded([noise(8000, seed=1), noise(5000, seed=2), noise(300, seed=3)], 8000)
    mel, n_mel = features.analyze(waves, n_samples)
    frames, n_frames = features(mel, n_mel)
    for row in range(3):
        mel_alone, n_mel_alone = features.analyze(waves[row : row + 1], n_samples[row : row + 1])
        difference = (mel_alone[0].float() - mel[row].float()).abs()
        assert difference.max() <= 1 / 16  # dB; the last bit of a sum decides where it is rounded
        assert (difference == 0).float().mean() > 0.99
        assert n_mel[row] == n_mel_alone[0]
        alone, n_alone = features(mel[row : row + 1], n_mel[row : row + 1])
        np.testing.assert_allclose(frames[row].numpy(), alone[0].numpy(), atol=1e-4)
        assert n_frames[row] == n_alone[0]


@every_shape
@pytest.mark.parametrize("n", [4000, 4001, 5120])
def test_more_padding_does_not_change_frames_that_are_not_padding(changes, n):
    features = logmel(**changes)
    frames, n_frames = frames_of(features, *padded([noise(n)], 6000))
    longer, n_longer = frames_of(features, *padded([noise(n)], 9000))
    assert n_frames.tolist() == n_longer.tolist()
    np.testing.assert_array_equal(frames[0, : n_frames[0]].numpy(), longer[0, : n_frames[0]].numpy())


@pytest.mark.parametrize(
    "changes",
    [{}, {"context": 5, "stride": 4}, {"context": 5, "stride": 4, "deltas": 2}],
    ids=["plain", "stacked", "deltas"],
)
@pytest.mark.parametrize("n", [4000, 4001, 5120])
def test_padding_does_not_change_frames_that_do_not_see_the_edge(changes, n):
    features = logmel(**changes)
    wave = noise(n)
    alone, [n_alone] = frames_of(features, wave[None], torch.tensor([n]))
    frames, [n_frames] = frames_of(features, *padded([wave], 9000))
    assert n_frames == n_alone == alone.shape[1]
    # The last mel frame whose window of 256 ends within the clip, and what is stacked after a frame's centre.
    last_mel = (n - 128) // 128
    after = features.context - 1 - (features.context - 1) // 2 + 2 * features.deltas
    n_safe = (last_mel - after) // features.stride + 1
    assert n_safe > 5
    np.testing.assert_allclose(frames[0, :n_safe].numpy(), alone[0, :n_safe].numpy(), atol=1e-4)


def clip_with_its_extremes_inside(n: int) -> Tensor:
    """Return noise that is loudest and quietest away from its ends."""
    wave = noise(n)
    wave[n // 4 : n // 4 + 600] *= 8
    wave[n // 2 : n // 2 + 600] *= 1e-2
    return wave


def test_without_normalization_mel_frames_stay_as_they_are():
    mel = decibels(2, 30, 16).float()
    n_mel = torch.tensor([30, 20])
    for normalization in ("none", "corpus"):  # that of the corpus is fitted, and a part of the projection
        assert torch.equal(logmel(normalization=normalization).normalize(mel, n_mel), mel)


def test_clip_minmax_maps_each_clip_to_0_to_1():
    features = logmel(normalization="clip_minmax")
    waves = torch.stack([clip_with_its_extremes_inside(8000), 1e-3 * clip_with_its_extremes_inside(8000)])
    mel, n_mel = features.analyze(waves, whole(waves))
    mel = mel.float()
    found = features.normalize(mel, n_mel)
    np.testing.assert_allclose(found.amin((1, 2)).numpy(), 0, atol=1e-6)
    np.testing.assert_allclose(found.amax((1, 2)).numpy(), 1, atol=1e-6)
    low, high = mel.amin((1, 2), keepdim=True), mel.amax((1, 2), keepdim=True)
    np.testing.assert_allclose(found.numpy(), ((mel - low) / (high - low)).numpy(), atol=1e-5)


def test_clip_minmax_ignores_padding():
    features = logmel(normalization="clip_minmax")
    wave = clip_with_its_extremes_inside(5120)
    alone = frames_of(features, wave[None], torch.tensor([5120]))[0][0]
    found = frames_of(features, *padded([wave], 12_000))[0][0]
    np.testing.assert_allclose(found[:39].numpy(), alone[:39].numpy(), atol=1e-5)
    assert found.min() >= 0
    assert found.max() <= 1


def test_clip_minmax_of_silence_is_zero():
    silence = torch.zeros(1, 4000)
    assert not frames_of(logmel(normalization="clip_minmax"), silence, whole(silence))[0].any()


def test_clip_max_makes_the_loudest_bin_of_each_clip_0_db_and_keeps_differences():
    features = logmel(normalization="clip_max")
    mel = decibels(3, 30, 16).float()
    found = features.normalize(mel, torch.tensor([30, 30, 30]))
    assert found.amax((1, 2)).tolist() == [0, 0, 0]
    for clip, normalized in zip(mel, found, strict=True):
        np.testing.assert_allclose(normalized, clip - clip.max(), atol=1e-4)


def test_clip_max_does_not_hear_how_loud_a_clip_is():
    features = logmel(normalization="clip_max", floor_db=-200.0)
    wave = noise(1, 8000)
    waves = torch.cat([wave, 0.1 * wave, 1e-3 * wave])
    frames, _ = frames_of(features, waves, whole(waves))
    np.testing.assert_allclose(frames[1:], frames[:1].expand(2, -1, -1), atol=1 / 4)  # each is rounded


def test_clip_max_ignores_padding():
    features = logmel(normalization="clip_max", floor_db=0.0)
    mel = torch.cat([decibels(1, 20, 16).float(), torch.zeros(1, 10, 16)], 1)  # padding is the loudest
    found = features.normalize(mel, torch.tensor([20]))
    assert found[0, :20].max() == 0
    np.testing.assert_allclose(found[0, :20], mel[0, :20] - mel[0, :20].max(), atol=1e-4)


@pytest.mark.parametrize("range_db", [0.5, 20.0, 60.0, 500.0])
def test_what_is_further_below_the_loudest_bin_than_the_range_counts_as_that_far_below(range_db):
    mel = decibels(3, 30, 16).float()
    n_mel = torch.tensor([30, 20, 7])
    found = logmel(range_db=range_db).normalize(mel, n_mel)
    for clip, limited, n in zip(mel.tolist(), found.tolist(), n_mel.tolist(), strict=True):
        loudest = max(max(row) for row in clip[:n])
        for row, limited_row in zip(clip, limited, strict=True):
            assert limited_row == [max(value, loudest - range_db) for value in row]


def test_the_range_is_limited_before_a_clip_is_normalized():
    mel, n_mel = decibels(2, 30, 16).float(), torch.tensor([30, 30])
    limited = logmel(range_db=25.0).normalize(mel, n_mel)
    loudest = limited.amax((1, 2), keepdim=True)
    for normalization, expected in {
        "clip_max": limited - loudest,
        "clip_minmax": (limited - loudest + 25) / 25,
        "corpus": limited,
    }.items():
        found = logmel(range_db=25.0, normalization=normalization).normalize(mel, n_mel)
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_stacking_normalizes():
    mel, n_mel = decibels(2, 30, 16), torch.tensor([30, 12])
    features = logmel(normalization="clip_max", range_db=30.0, context=3)
    plain = logmel(context=3)
    expected = plain.stack(features.normalize(mel.float(), n_mel), n_mel)[0]
    assert torch.equal(features.stack(mel, n_mel)[0], expected)


# ---- the corpus's scale ----


@pytest.mark.parametrize("n_components", [None, 48])
def test_corpus_normalization_gives_every_dimension_mean_0_and_deviation_1(n_components):
    features = logmel(normalization="corpus", context=3, n_components=n_components)
    loudness = torch.linspace(0.2, 3, 16)  # every bin has a scale of its own
    stacked, _ = features.stack(decibels(20, 30, 16) * loudness, torch.full((20,), 30))
    features.fit(stacked.flatten(0, 1))
    frames = features.project(stacked).flatten(0, 1)
    if n_components is None:
        np.testing.assert_allclose(frames.mean(0), 0, atol=1e-3)
        np.testing.assert_allclose(frames.var(0, unbiased=False), 1, atol=1e-3)
    else:  # all components: turned, so that what is left of it is the sum
        assert frames.var(0, unbiased=False).sum().item() == pytest.approx(48, rel=1e-3)


# ---- deltas ----


def librosa_delta(mel: np.ndarray) -> np.ndarray:
    """Return the slope over five frames, edges repeated: (frames, M)."""
    return librosa.feature.delta(mel.T, width=5, mode="nearest").T


@pytest.mark.parametrize("deltas", [1, 2])
def test_deltas_are_librosas_over_five_frames(deltas):
    mel = decibels(1, 40, 16)
    expected = [mel[0].double().numpy()]
    for _ in range(deltas):
        expected.append(librosa_delta(expected[-1]))
    frames, n_frames = logmel(deltas=deltas).stack(mel, torch.tensor([40]))
    assert n_frames.tolist() == [40]
    np.testing.assert_allclose(frames[0], np.concatenate(expected, 1), atol=1e-4)


def test_the_delta_of_a_slope_is_its_steepness():
    mel = (-80 + 1.5 * torch.arange(30.0))[None, :, None].expand(-1, -1, 16)
    frames, _ = logmel(deltas=2).stack(mel, torch.tensor([30]))
    steepness, change = frames[0, 4:-4, 16:32], frames[0, 4:-4, 32:]
    np.testing.assert_allclose(steepness, 1.5, atol=1e-4)
    np.testing.assert_allclose(change, 0, atol=1e-4)


def test_deltas_are_stacked_with_their_mel_frame():
    mel, n_mel = decibels(2, 30, 16), torch.tensor([30, 30])
    single = logmel(deltas=1).stack(mel, n_mel)[0]  # (B, mel frames, 32)
    stacked = logmel(deltas=1, context=3, stride=2).stack(mel, n_mel)[0].unflatten(2, (3, 32))
    for position in range(1, 14):
        assert torch.equal(stacked[:, position], single[:, 2 * position - 1 : 2 * position + 2])


# ---- how many frames ----


@settings(max_examples=60)
@given(
    st.integers(8, 150).map(lambda half: 2 * half),
    st.floats(0.1, 1),
    st.integers(1, 7),
    st.integers(1, 6),
    st.integers(0, 1500),
    st.integers(0, 700),
)
def test_n_frames_is_the_shape_of_the_output(n_fft, hop_share, context, stride, extra, n_padding):
    hop = max(1, round(hop_share * n_fft))
    features = logmel(n_fft=n_fft, hop_length=hop, n_mels=1, context=context, stride=stride)
    n = n_fft // 2 + 1 + extra
    mel, n_mel = features.analyze(torch.zeros(1, n), torch.tensor([n]))
    assert mel.shape == (1, features.n_slices(n), 1)
    assert n_mel.tolist() == [features.n_slices(n)]
    frames, n_frames = features(mel, n_mel)
    assert frames.shape == (1, features.n_frames(n), context)
    assert n_frames.tolist() == [features.n_frames(n)]
    longer, n_longer = frames_of(features, torch.zeros(1, n + n_padding), torch.tensor([n]))
    assert n_longer.tolist() == [features.n_frames(n)]
    assert longer.shape[1] == features.n_frames(n + n_padding)


def test_odd_window_gives_the_frames_that_it_announces_or_is_refused():
    try:
        features = logmel(n_fft=255, hop_length=100)
    except UserError as error:
        assert "features.n_fft=255" in str(error)  # noqa: PT017 - either is right
        return
    frames, n_frames = frames_of(features, noise(1, 1000), torch.tensor([1000]))
    assert frames.shape[1] == n_frames[0] == features.n_frames(1000)


def test_wave_shorter_than_half_a_window_is_framed_or_refused_in_a_sentence():
    features = logmel()
    try:
        frames, n_frames = frames_of(features, noise(1, 100), torch.tensor([100]))
    except UserError:
        return
    assert frames.shape[1] == n_frames[0] == features.n_frames(100)


# ---- stacking ----


@pytest.mark.parametrize("context", [1, 2, 3, 5, 6])
@pytest.mark.parametrize("stride", [1, 2, 3, 4])
@pytest.mark.parametrize("n_mel", [16, 19, 23])
def test_stacking_is_a_plain_loop_over_neighbours(context, stride, n_mel):
    features = logmel(context=context, stride=stride)
    batch = decibels(1, n_mel, 16)
    mel = batch[0].tolist()
    expected = []
    for centre in range(0, len(mel), stride):
        row = []
        for offset in range(context):
            position = centre + offset - (context - 1) // 2
            row += mel[min(max(position, 0), len(mel) - 1)]
        expected.append(row)
    frames, n_frames = features.stack(batch, torch.tensor([n_mel]))
    np.testing.assert_allclose(frames[0].numpy(), expected, atol=1e-6)
    assert n_frames.tolist() == [len(expected)]


@pytest.mark.parametrize(
    ("changes", "n_dimensions"),
    [
        ({"context": 3}, 48),
        ({"context": 3, "n_components": 8}, 8),
        ({"context": 3, "n_components": 48}, 48),
        ({"context": 3, "deltas": 1}, 96),
        ({"context": 3, "deltas": 2, "n_components": 144}, 144),
        ({"context": [3, 7], "n_components": [8, 5], "bands": [1, 1]}, 13),
        ({"context": 3, "n_components": 8, "bands": 4}, 8),
        ({"context": [3], "n_components": [8]}, 8),
        ({"context": [3]}, 48),
    ],
    ids=str,
)
def test_dimensions_are_those_of_the_output(changes, n_dimensions):
    features = logmel(**changes)
    assert features.n_dimensions == n_dimensions
    assert frames_of(features, noise(2, 2000), torch.tensor([2000, 2000]))[0].shape[-1] == n_dimensions


# ---- several scales of time ----

scales = pytest.mark.parametrize(
    ("contexts", "numbers"),
    [([5, 15], [12, 20]), ([15, 5], [20, 12]), ([1, 4, 6], [3, 4, 5]), ([5, 5], [3, 8]), ([2, 5], [2, 2])],
    ids=str,
)


def fitted(mel: Tensor, n_mel: Tensor, **changes) -> LogMel:
    features = logmel(**changes)
    stacked, n_frames = features.stack(mel, n_mel)
    sample = torch.cat([clip[:n] for clip, n in zip(stacked, n_frames.tolist(), strict=True)])
    features.fit(sample)
    return features


def smooth(n_clips: int, n_mel: int) -> Tensor:
    """Return mel frames in dB that change slowly over time and bins, so that components differ clearly."""
    rough = decibels(n_clips, n_mel + 20, 16).float()
    blurred = torch.nn.functional.avg_pool2d(rough, (9, 3), stride=1, padding=(4, 1))[:, 10 : 10 + n_mel]
    return (blurred + 0.2 * decibels(n_clips, n_mel, 16, seed=1).float() * torch.linspace(0.5, 2, 16)).half()


@scales
@pytest.mark.parametrize(
    "changes",
    [{}, {"whiten": True}, {"deltas": 1, "stride": 3}, {"normalization": "corpus", "whiten": True}],
    ids=["plain", "whitened", "with deltas", "of the corpus's scale"],
)
def test_components_of_several_contexts_are_those_fitted_to_each_alone(contexts, numbers, changes):
    mel, n_mel = smooth(12, 60), torch.full((12,), 60)
    together = {"context": contexts, "n_components": numbers, "bands": [1] * len(contexts)}
    found, n_found = fitted(mel, n_mel, **together, **changes)(mel, n_mel)
    alone = [
        fitted(mel, n_mel, context=context, n_components=number, **changes)(mel, n_mel)
        for context, number in zip(contexts, numbers, strict=True)
    ]
    assert all(n_found.tolist() == n_frames.tolist() for _, n_frames in alone)
    expected = torch.cat([frames for frames, _ in alone], 2)
    assert found.shape == expected.shape
    scale = expected.abs().max()
    np.testing.assert_allclose(found / scale, expected / scale, atol=2e-4)


@scales
def test_components_of_a_context_see_nothing_beyond_it(contexts, numbers):
    mel, n_mel = smooth(12, 60), torch.full((12,), 60)
    bands = [1] * len(contexts)
    features = fitted(mel, n_mel, context=contexts, n_components=numbers, bands=bands, stride=1)
    disturbed = mel.clone()
    disturbed[:, 30] -= 25
    changed = (features(mel, n_mel)[0] != features(disturbed, n_mel)[0]).any(0)  # (T, D)
    for context, part in zip(contexts, changed.split(numbers, 1), strict=True):
        before = (context - 1) // 2
        seen = [position for position in range(60) if 0 <= 30 - (position - before) < context]
        assert part.any(1).nonzero().flatten().tolist() == seen


def test_one_context_in_a_list_is_one_context():
    mel, n_mel = smooth(4, 60), torch.full((4,), 60)
    in_list = fitted(mel, n_mel, context=[3], n_components=[8], bands=[1])
    assert torch.equal(in_list(mel, n_mel)[0], fitted(mel, n_mel, context=3, n_components=8)(mel, n_mel)[0])


# ---- bands ----


@pytest.mark.parametrize(
    "changes",
    [{}, {"whiten": True}, {"deltas": 1}, {"normalization": "corpus"}],
    ids=["plain", "whitened", "with deltas", "of the corpus's scale"],
)
def test_components_of_a_band_are_those_fitted_to_its_bins_alone(changes):
    mel, n_mel = smooth(12, 60), torch.full((12,), 60)
    found, _ = fitted(mel, n_mel, context=3, n_components=12, bands=4, **changes)(mel, n_mel)
    for band, part in enumerate(found.split(3, 2)):
        bins = mel[:, :, 4 * band : 4 * band + 4]
        alone = fitted(bins, n_mel, n_mels=4, context=3, n_components=3, **changes)(bins, n_mel)[0]
        scale = alone.abs().max()
        np.testing.assert_allclose(part / scale, alone / scale, atol=2e-4)


def test_what_sounds_in_one_band_leaves_the_components_of_the_others_alone():
    mel, n_mel = smooth(12, 60), torch.full((12,), 60)
    features = fitted(mel, n_mel, context=[3, 5], n_components=[4, 12], bands=[1, 4])
    louder = mel.clone()
    louder[:, :, 8:12] += 20
    changed = (features(mel, n_mel)[0] != features(louder, n_mel)[0]).flatten(0, 1).any(0)
    assert changed.tolist() == [True] * 4 + [False] * 6 + [True] * 3 + [False] * 3


# ---- settings ----


def test_settings_are_all_that_was_given():
    assert logmel(f_max=3000.0).settings == DEFAULTS | {"kind": "logmel", "f_max": 3000.0}
    changes = {"context": [3, 5], "n_components": [4, 6], "bands": [1, 2], "deltas": 1, "range_db": 80.0}
    assert logmel(**changes).settings == DEFAULTS | {"kind": "logmel"} | changes


def test_analysis_is_what_mel_frames_follow_from():
    later = {
        "range_db": 60.0,
        "normalization": "clip_max",
        "deltas": 1,
        "context": 5,
        "stride": 4,
        "n_components": 8,
        "bands": 2,
        "whiten": True,
    }
    assert logmel(**later).analysis_settings == logmel().analysis_settings
    wave = noise(1, 4000)
    assert torch.equal(logmel(**later).analyze(wave, whole(wave))[0], logmel().analyze(wave, whole(wave))[0])
    earlier = {
        "sample_rate": 8001,
        "n_fft": 258,
        "hop_length": 127,
        "n_mels": 15,
        "f_min": 20.0,
        "f_max": 3000.0,
        "floor_db": -90.0,
    }
    assert later.keys() | earlier.keys() == DEFAULTS.keys()
    for key, value in earlier.items():
        assert logmel(**{key: value}).analysis_settings != logmel().analysis_settings


# ---- what is refused ----


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"n_mels": 128}, ["features.n_mels=128", "features.n_fft=256", "8000 Hz"]),
        ({"f_min": 10.0, "f_max": 20.0}, ["features.n_mels=16"]),
        ({"hop_length": 257}, ["features.hop_length=257", "features.n_fft=256"]),
        ({"f_max": 4000.5}, ["features.f_max=4000.5", "4000 Hz", "features.sample_rate=8000"]),
        ({"f_min": 3000.0, "f_max": 2000.0}, ["features.f_min=3000.0", "features.f_max=2000.0"]),
        ({"f_min": -1.0}, ["features.f_min=-1.0"]),
        ({"f_min": 4000.0}, ["features.f_min=4000.0"]),
        ({"sample_rate": 0}, ["features.sample_rate=0"]),
        ({"n_fft": 0}, ["features.n_fft=0"]),
        ({"hop_length": 0}, ["features.hop_length=0"]),
        ({"n_mels": 0}, ["features.n_mels=0"]),
        ({"context": 0}, ["features.context=0"]),
        ({"stride": -1}, ["features.stride=-1"]),
        ({"n_components": 17}, ["features.n_components=17", "16 dimensions"]),
        ({"n_components": 49, "context": 3}, ["features.n_components=49", "48 dimensions"]),
        ({"n_components": 0}, ["features.n_components=0"]),
        ({"whiten": True}, ["features.whiten=true", "features.n_components=null"]),
        ({"floor_db": -301.0}, ["features.floor_db=-301.0", "-300"]),
        ({"range_db": 0.0}, ["features.range_db=0.0", "null"]),
        ({"range_db": -60.0}, ["features.range_db=-60.0"]),
        ({"deltas": 3}, ["features.deltas=3", "0, 1 or 2"]),
        ({"deltas": -1}, ["features.deltas=-1"]),
        ({"context": [5, 0], "n_components": [2, 2]}, ["features.context=0"]),
        ({"context": [], "n_components": []}, ["features.context="]),
        ({"context": [5, 15]}, ["features.context=[5, 15]", "features.n_components=null"]),
        ({"context": [5, 15], "n_components": 8}, ["features.n_components=8", "features.context=[5, 15]"]),
        (
            {"context": [5, 15], "n_components": [8, 8], "bands": [1, 2, 4]},
            ["features.bands=[1, 2, 4]", "features.context=[5, 15]"],
        ),
        (
            {"context": [5, 15], "n_components": [8, 8, 8]},
            ["features.n_components=[8, 8, 8]", "features.context=[5, 15]"],
        ),
        ({"context": 5, "n_components": [8, 8]}, ["features.n_components=[8, 8]", "features.context="]),
        (
            {"context": [3, 5], "n_components": [49, 8], "bands": [1, 1]},
            ["features.n_components=49", "48 dimensions"],
        ),
        ({"context": [3, 5], "n_components": [8, 0], "bands": [1, 1]}, ["features.n_components=0"]),
        ({"bands": 3, "n_components": 12}, ["features.bands=3", "features.n_mels=16"]),
        ({"bands": 4, "n_components": 6}, ["features.bands=4", "features.n_components=6"]),
        ({"bands": 0, "n_components": 6}, ["features.bands=0"]),
        ({"bands": 2}, ["features.bands=[2]", "features.n_components=null"]),
        ({"deltas": 1, "n_components": 33}, ["features.n_components=33", "32 dimensions"]),
    ],
    ids=str,
)
def test_numbers_that_contradict_each_other_are_one_sentence(changes, words):
    with pytest.raises(UserError) as raised:
        logmel(**changes)
    message = str(raised.value)
    assert "\n" not in message
    assert "; " in message  # what is wrong; what to do
    for word in words:
        assert word in message


@pytest.mark.filterwarnings("ignore:Empty filters")
def test_empty_filters_are_counted():
    filters = librosa.filters.mel(sr=8000, n_fft=256, n_mels=128, htk=True, norm=None)
    n_empty = int((filters.max(axis=1) == 0).sum())
    assert n_empty > 0
    with pytest.raises(UserError, match=f"leaves {n_empty} mel filters"):
        logmel(n_mels=128)


def test_half_the_sample_rate_is_a_legal_upper_edge():
    assert torch.equal(
        logmel(f_max=4000.0).spectrogram.mel_filters, logmel(f_max=None).spectrogram.mel_filters
    )
