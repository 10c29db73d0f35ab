import re
from itertools import pairwise

import numpy as np
import pytest

from audiotok.data.synthesis.mixture import mix_clip
from audiotok.data.synthesis.sounds import DTMF_HIGH_HZ, DTMF_LOW_HZ, SOUNDS

SAMPLE_RATE = 16000
BY_NAME = {sound.name: sound for sound in SOUNDS}

every_sound = pytest.mark.parametrize("sound", SOUNDS, ids=lambda sound: sound.name)
some_seeds = pytest.mark.parametrize("seed", range(5))


def synthesise(name: str, seed: int, sample_rate: int = SAMPLE_RATE) -> np.ndarray:
    return BY_NAME[name].synthesise(np.random.default_rng(seed), sample_rate)


def mix(seed: int, sample_rate: int = SAMPLE_RATE, seconds: float = 10.0) -> tuple[np.ndarray, list[str]]:
    return mix_clip(np.random.default_rng(seed), sample_rate, seconds)


def spectrum(wave: np.ndarray, sample_rate: int = SAMPLE_RATE) -> tuple[np.ndarray, np.ndarray]:
    """Return frequencies in Hz and magnitudes, under a Hann window."""
    return np.fft.rfftfreq(len(wave), 1 / sample_rate), np.abs(np.fft.rfft(wave * np.hanning(len(wave))))


def share_near(wave: np.ndarray, frequencies: tuple[float, ...], within_hz: float) -> float:
    """Return the share of the energy that lies near one of the frequencies."""
    hz, magnitude = spectrum(wave)
    near = np.min(np.abs(hz[:, None] - np.array(frequencies)), axis=1) <= within_hz
    return float(np.sum(magnitude[near] ** 2) / np.sum(magnitude**2))


def level(wave: np.ndarray, n_samples: int) -> np.ndarray:
    """Return the rms of consecutive windows."""
    return np.sqrt(np.mean(wave[: len(wave) // n_samples * n_samples].reshape(-1, n_samples) ** 2, axis=1))


def bursts(wave: np.ndarray, n_samples: int = 160) -> list[tuple[int, int]]:
    """Return the first and one past the last sample of every stretch that is not silent."""
    heard = np.concatenate([[False], level(wave, n_samples) > 0.03, [False]])
    edges = np.flatnonzero(np.diff(heard.astype(int))) * n_samples
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def slope_per_octave(wave: np.ndarray) -> float:
    """Return by how many dB the power of 100 Hz to 6.4 kHz changes per octave."""
    hz, magnitude = spectrum(wave)
    octaves = [(hz >= low) & (hz < 2 * low) for low in 100.0 * 2 ** np.arange(6)]
    decibels = [10 * np.log10(np.mean(magnitude[band] ** 2)) for band in octaves]
    return float(np.polyfit(range(6), decibels, 1)[0])


# ---- the table ----


def test_there_are_24_sounds_with_unique_audioset_ids_and_names():
    assert len(SOUNDS) == len({sound.mid for sound in SOUNDS}) == len({sound.name for sound in SOUNDS}) == 24


@every_sound
def test_mid_is_spelled_like_an_audioset_id(sound):
    assert re.fullmatch(r"/(m/0[0-9a-z_]{3,6}|t/dd\d{5})", sound.mid)


# ---- every sound ----


@every_sound
def test_sound_is_finite_and_peaks_at_one(sound):
    for seed in range(4):
        wave = sound.synthesise(np.random.default_rng(seed), SAMPLE_RATE)
        assert wave.dtype == np.float32
        assert wave.ndim == 1
        assert np.isfinite(wave).all()
        assert np.abs(wave).max() == pytest.approx(1.0)


@every_sound
def test_sound_lasts_a_tenth_of_a_second_to_six_seconds(sound):
    for seed in range(8):
        assert 0.1 <= len(sound.synthesise(np.random.default_rng(seed), 8000)) / 8000 <= 6.0


@every_sound
def test_sound_repeats_from_its_seed_and_differs_between_seeds(sound):
    first, again, other = (sound.synthesise(np.random.default_rng(seed), 8000) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@every_sound
def test_sound_begins_at_once_and_ends_without_a_click(sound):
    wave = sound.synthesise(np.random.default_rng(3), SAMPLE_RATE)
    assert np.abs(wave[: SAMPLE_RATE // 5]).max() > 0.03
    assert np.abs(wave[-8:]).max() < 0.1


# ---- what each family promises ----


@some_seeds
def test_sine_wave_is_a_single_peak(seed):
    hz, magnitude = spectrum(synthesise("Sine wave", seed))
    assert share_near(synthesise("Sine wave", seed), (hz[magnitude.argmax()],), within_hz=5) > 0.999


@some_seeds
def test_white_noise_is_flat_and_pink_noise_falls_by_3_db_per_octave(seed):
    assert slope_per_octave(synthesise("White noise", seed)) == pytest.approx(0.0, abs=0.5)
    assert slope_per_octave(synthesise("Pink noise", seed)) == pytest.approx(-3.01, abs=0.5)


@some_seeds
def test_every_dtmf_burst_is_one_low_and_one_high_frequency(seed):
    wave = synthesise("Telephone dialing, DTMF", seed)
    digits = bursts(wave)
    assert 3 <= len(digits) <= 11
    for start, stop in digits:
        hz, magnitude = spectrum(np.pad(wave[start:stop], (0, SAMPLE_RATE)))
        low, high = (np.where(group, magnitude, 0).argmax() for group in (hz < 1075, hz >= 1075))
        assert np.min(np.abs(np.array(DTMF_LOW_HZ) - hz[low])) < 10
        assert np.min(np.abs(np.array(DTMF_HIGH_HZ) - hz[high])) < 10
        assert magnitude[low] == pytest.approx(magnitude[high], rel=0.2)


@some_seeds
def test_dial_tone_holds_350_and_440_hz_or_425_hz(seed):
    wave = synthesise("Dial tone", seed)
    assert max(share_near(wave, pair, within_hz=4) for pair in ((350.0, 440.0), (425.0,))) > 0.99
    assert len(bursts(wave, 800)) == 1


@some_seeds
def test_busy_signal_is_on_as_long_as_off(seed):
    wave = synthesise("Busy signal", seed)
    assert max(share_near(wave, pair, within_hz=20) for pair in ((480.0, 620.0), (425.0,))) > 0.97
    starts, stops = np.array(bursts(wave)).T
    np.testing.assert_allclose((stops - starts)[:-1], starts[1:] - stops[:-1], atol=480)


@some_seeds
def test_mains_hum_lies_at_multiples_of_50_or_60_hz(seed):
    wave = synthesise("Mains hum", seed)
    assert max(share_near(wave, tuple(mains * np.arange(1, 13)), 2) for mains in (50.0, 60.0)) > 0.99


@some_seeds
def test_smoke_detector_sounds_three_tones_and_then_pauses_three_times_as_long(seed):
    alarm = bursts(synthesise("Smoke detector, smoke alarm", seed))
    gaps = [after[0] - before[1] for before, after in pairwise(alarm)]
    expected = np.array([1, 1, 3, 1])[: len(gaps)] * gaps[0]
    np.testing.assert_allclose(gaps, expected, rtol=0.1)


@some_seeds
def test_reversing_beeps_come_about_once_per_second(seed):
    starts = np.array(bursts(synthesise("Reversing beeps", seed)))[:, 0] / SAMPLE_RATE
    assert 3 <= len(starts) <= 5
    assert np.all((np.diff(starts) > 0.65) & (np.diff(starts) < 1.15))


@some_seeds
def test_tick_tock_is_even_and_clicking_is_not(seed):
    def unevenness(wave: np.ndarray) -> float:
        starts = np.array(bursts(wave, 80))[:, 0]
        return float(np.std(np.diff(starts)) / np.mean(np.diff(starts)))

    assert unevenness(synthesise("Tick-tock", seed)) < 0.05
    assert unevenness(synthesise("Clicking", seed)) > 0.2


@some_seeds
def test_ping_dies_away_and_beep_does_not(seed):
    beep_start, beep_stop = bursts(synthesise("Beep, bleep", seed))[0]
    beep = level(synthesise("Beep, bleep", seed)[beep_start:beep_stop], 160)[1:-1]
    assert beep.min() > 0.8 * beep.max()
    assert level(synthesise("Ping", seed), 800)[-1] < 0.05


@some_seeds
def test_civil_defense_siren_rises_once_and_falls_once(seed):
    wave = synthesise("Civil defense siren", seed)
    frames = wave[: len(wave) // 4096 * 4096].reshape(-1, 4096)
    hz = np.fft.rfftfreq(4096, 1 / SAMPLE_RATE)
    # The lowest strong peak is the fundamental.
    magnitudes = np.abs(np.fft.rfft(frames * np.hanning(4096)))
    pitch = np.array([hz[np.argmax(row > 0.5 * row.max())] for row in magnitudes])
    top = int(pitch.argmax())
    assert 0 < top < len(pitch) - 1
    assert np.all(np.diff(pitch[: top + 1]) >= -8)
    assert np.all(np.diff(pitch[top:]) <= 8)


# ---- clips ----


@pytest.mark.parametrize(("sample_rate", "seconds"), [(16000, 10.0), (8000, 3.0), (22050, 2.5), (44100, 1.0)])
def test_clip_has_the_asked_duration(sample_rate, seconds):
    clip, _ = mix(0, sample_rate, seconds)
    assert clip.shape == (round(seconds * sample_rate),)


def test_clip_is_float32_and_peaks_between_minus_12_and_minus_1_dbfs():
    for seed in range(10):
        clip, _ = mix(seed)
        assert clip.dtype == np.float32
        assert -12.01 <= 20 * np.log10(np.abs(clip).max()) <= -0.99


def test_clip_has_one_to_four_different_sorted_known_labels():
    labels = [mix(seed, 8000, 2.0)[1] for seed in range(40)]
    assert {len(mids) for mids in labels} == {1, 2, 3, 4}
    assert all(mids == sorted(set(mids)) for mids in labels)
    assert {mid for mids in labels for mid in mids} <= {sound.mid for sound in SOUNDS}


def test_clip_repeats_from_its_seed_and_differs_between_seeds():
    (first, labels), (again, labels_again), (other, _) = mix(1), mix(1), mix(2)
    np.testing.assert_array_equal(first, again)
    assert labels == labels_again
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("name", ["White noise", "Pink noise"])
def test_labelled_noise_is_louder_than_any_background(name):
    rms = level(synthesise(name, 0), 16000).mean()
    assert 20 * np.log10(rms) - 15 > -35 + 3  # the softest label, the loudest background


def test_no_part_of_a_clip_is_digital_silence():
    assert level(mix(0)[0], 1600).min() > 1e-5
