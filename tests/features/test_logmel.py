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
    "normalization": "none",
    "context": 1,
    "stride": 1,
    "n_components": None,
    "whiten": False,
}


def logmel(**changes) -> LogMel:
    return LogMel(**(DEFAULTS | changes))


def noise(*shape: int, seed: int = 0) -> Tensor:
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def whole(waveforms: Tensor) -> Tensor:
    """Return the n_samples of waveforms (B, S) without padding."""
    return torch.full((len(waveforms),), waveforms.shape[1])


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
    found = features.log_mel(wave, whole(wave))[0].numpy()
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance_db)


def test_full_scale_sine_has_the_level_that_parseval_gives():
    t = torch.arange(8000) / 8000
    wave = torch.sin(2 * torch.pi * 1000 * t)[None]  # bin 32 of 256 exactly
    power = logmel().spectrogram(wave)[0, :, 30].abs().square()
    # A Hann window sums to n_fft / 2, so a sine of amplitude 1 has magnitude n_fft / 4 in its bin.
    assert power[32].item() == pytest.approx((256 / 4) ** 2, rel=1e-4)


def test_tone_is_loudest_in_the_bin_that_covers_it():
    t = torch.arange(8000) / 8000
    features = logmel()
    for hz in (250.0, 800.0, 2500.0):
        wave = torch.sin(2 * torch.pi * hz * t)[None]
        loudest = features.log_mel(wave, whole(wave))[0, 5:-5].mean(0).argmax()
        mel = 2595 * np.log10(1 + hz / 700)  # HTK
        step = 2595 * np.log10(1 + 4000 / 700) / 17
        assert abs((loudest.item() + 1) - mel / step) <= 1


@pytest.mark.parametrize("floor_db", [-100.0, -60.0, 0.0])
def test_power_below_the_floor_counts_as_the_floor(floor_db):
    silence = torch.zeros(1, 4000)
    found = logmel(floor_db=floor_db).log_mel(silence, whole(silence))
    np.testing.assert_allclose(found.numpy(), floor_db, atol=1e-4)
    assert logmel(floor_db=floor_db).log_mel(noise(1, 4000), whole(silence)).min() >= floor_db - 1e-4


def test_frames_are_finite_however_low_the_floor():
    silence = torch.zeros(1, 4000)
    try:
        features = logmel(floor_db=-500.0)
    except UserError:
        return
    assert features.log_mel(silence, whole(silence)).isfinite().all()


# ---- batches and padding ----

shapes = {
    "plain": {},
    "stacked": {"context": 5, "stride": 4},
    "clip_minmax": {"normalization": "clip_minmax"},
}
every_shape = pytest.mark.parametrize("changes", shapes.values(), ids=shapes)


@every_shape
def test_batch_equals_its_clips_one_by_one(changes):
    features = logmel(**changes)
    waves, n_samples = padded([noise(8000, seed=1), noise(5000, seed=2), noise(300, seed=3)], 8000)
    frames, n_frames = features(waves, n_samples)
    for row in range(3):
        alone, n_alone = features(waves[row : row + 1], n_samples[row : row + 1])
        np.testing.assert_allclose(frames[row].numpy(), alone[0].numpy(), atol=1e-4)
        assert n_frames[row] == n_alone[0]


@every_shape
@pytest.mark.parametrize("n", [4000, 4001, 5120])
def test_more_padding_does_not_change_frames_that_are_not_padding(changes, n):
    features = logmel(**changes)
    frames, n_frames = features(*padded([noise(n)], 6000))
    longer, n_longer = features(*padded([noise(n)], 9000))
    assert n_frames.tolist() == n_longer.tolist()
    np.testing.assert_array_equal(frames[0, : n_frames[0]].numpy(), longer[0, : n_frames[0]].numpy())


@pytest.mark.parametrize("changes", [{}, {"context": 5, "stride": 4}], ids=["plain", "stacked"])
@pytest.mark.parametrize("n", [4000, 4001, 5120])
def test_padding_does_not_change_frames_that_do_not_see_the_edge(changes, n):
    features = logmel(**changes)
    wave = noise(n)
    alone, [n_alone] = features(wave[None], torch.tensor([n]))
    frames, [n_frames] = features(*padded([wave], 9000))
    assert n_frames == n_alone == alone.shape[1]
    # The last mel frame whose window of 256 ends within the clip, and what is stacked after a frame's centre.
    last_mel = (n - 128) // 128
    after = features.context - 1 - (features.context - 1) // 2
    n_safe = (last_mel - after) // features.stride + 1
    assert n_safe > 5
    np.testing.assert_allclose(frames[0, :n_safe].numpy(), alone[0, :n_safe].numpy(), atol=1e-4)


def clip_with_its_extremes_inside(n: int) -> Tensor:
    """Return noise that is loudest and quietest away from its ends."""
    wave = noise(n)
    wave[n // 4 : n // 4 + 600] *= 8
    wave[n // 2 : n // 2 + 600] *= 1e-2
    return wave


def test_clip_minmax_maps_each_clip_to_0_to_1():
    features = logmel(normalization="clip_minmax")
    waves = torch.stack([clip_with_its_extremes_inside(8000), 1e-3 * clip_with_its_extremes_inside(8000)])
    mel = features.log_mel(waves, whole(waves))
    np.testing.assert_allclose(mel.amin((1, 2)).numpy(), 0, atol=1e-6)
    np.testing.assert_allclose(mel.amax((1, 2)).numpy(), 1, atol=1e-6)
    decibels = logmel().log_mel(waves, whole(waves))
    low, high = decibels.amin((1, 2), keepdim=True), decibels.amax((1, 2), keepdim=True)
    np.testing.assert_allclose(mel.numpy(), ((decibels - low) / (high - low)).numpy(), atol=1e-5)


def test_clip_minmax_ignores_padding():
    features = logmel(normalization="clip_minmax")
    wave = clip_with_its_extremes_inside(5120)
    alone = features.log_mel(wave[None], torch.tensor([5120]))[0]
    found = features.log_mel(*padded([wave], 12_000))[0]
    np.testing.assert_allclose(found[:39].numpy(), alone[:39].numpy(), atol=1e-5)
    assert found.min() >= 0
    assert found.max() <= 1


def test_clip_minmax_of_silence_is_zero():
    silence = torch.zeros(1, 4000)
    assert not logmel(normalization="clip_minmax").log_mel(silence, whole(silence)).any()


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
    frames, n_frames = features(torch.zeros(1, n), torch.tensor([n]))
    assert frames.shape == (1, features.n_frames(n), context)
    assert n_frames.tolist() == [features.n_frames(n)]
    longer, n_longer = features(torch.zeros(1, n + n_padding), torch.tensor([n]))
    assert n_longer.tolist() == [features.n_frames(n)]
    assert longer.shape[1] == features.n_frames(n + n_padding)


def test_odd_window_gives_the_frames_that_it_announces_or_is_refused():
    try:
        features = logmel(n_fft=255, hop_length=100)
    except UserError as error:
        assert "features.n_fft=255" in str(error)  # noqa: PT017 - either is right
        return
    frames, n_frames = features(noise(1, 1000), torch.tensor([1000]))
    assert frames.shape[1] == n_frames[0] == features.n_frames(1000)


def test_wave_shorter_than_half_a_window_is_framed_or_refused_in_a_sentence():
    features = logmel()
    try:
        frames, n_frames = features(noise(1, 100), torch.tensor([100]))
    except UserError:
        return
    assert frames.shape[1] == n_frames[0] == features.n_frames(100)


# ---- stacking ----


@pytest.mark.parametrize("context", [1, 2, 3, 5, 6])
@pytest.mark.parametrize("stride", [1, 2, 3, 4])
@pytest.mark.parametrize("n", [2000, 2304, 2900])
def test_stacking_is_a_plain_loop_over_neighbours(context, stride, n):
    features = logmel(context=context, stride=stride)
    wave = noise(1, n)
    mel = features.log_mel(wave, whole(wave))[0].tolist()
    expected = []
    for centre in range(0, len(mel), stride):
        row = []
        for offset in range(context):
            position = centre + offset - (context - 1) // 2
            row += mel[min(max(position, 0), len(mel) - 1)]
        expected.append(row)
    frames, n_frames = features.stack(wave, whole(wave))
    np.testing.assert_allclose(frames[0].numpy(), expected, atol=1e-6)
    assert n_frames.tolist() == [len(expected)]


@pytest.mark.parametrize(
    ("changes", "n_dimensions"),
    [({"context": 3}, 48), ({"context": 3, "n_components": 8}, 8), ({"context": 3, "n_components": 48}, 48)],
)
def test_dimensions_are_those_of_the_output(changes, n_dimensions):
    features = logmel(**changes)
    assert features.n_dimensions == n_dimensions
    assert features(noise(2, 2000), torch.tensor([2000, 2000]))[0].shape[-1] == n_dimensions


def test_settings_are_all_that_was_given():
    assert logmel(f_max=3000.0).settings == DEFAULTS | {"kind": "logmel", "f_max": 3000.0}


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
    assert torch.equal(logmel(f_max=4000.0).mel_filters, logmel(f_max=None).mel_filters)
