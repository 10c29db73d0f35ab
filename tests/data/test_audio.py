import numpy as np
import pytest
import soundfile

from audiotok.data.audio import EXTENSIONS, UnreadableError, read_mono, read_waveform
from audiotok.data.reading import m4a

RATE = 8000


def noise(seconds: float, n_channels: int = 1, seed: int = 0) -> np.ndarray:
    shape = (round(seconds * RATE), n_channels) if n_channels > 1 else round(seconds * RATE)
    return (0.1 * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


def sine(hz: float, rate: int, seconds: float = 1.0) -> np.ndarray:
    return np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate).astype(np.float32)


def test_wave_comes_back_as_float32_at_its_own_rate(tmp_path):
    soundfile.write(tmp_path / "a.wav", noise(0.5), RATE, subtype="FLOAT")
    samples, rate = read_mono(tmp_path / "a.wav")
    assert rate == RATE
    assert samples.dtype == np.float32
    np.testing.assert_array_equal(samples, noise(0.5))


@pytest.mark.parametrize("n_channels", [2, 5])
def test_channels_are_averaged(tmp_path, n_channels):
    wave = noise(0.2, n_channels)
    soundfile.write(tmp_path / "a.wav", wave, RATE, subtype="FLOAT")
    samples, _ = read_mono(tmp_path / "a.wav")
    assert samples.shape == (len(wave),)
    np.testing.assert_allclose(samples, wave.mean(axis=1), atol=1e-7)


@pytest.mark.parametrize(("subtype", "step"), [("PCM_U8", 2**-7), ("PCM_16", 2**-15), ("PCM_24", 2**-23)])
def test_whole_number_samples_are_scaled_to_one(tmp_path, subtype, step):
    soundfile.write(tmp_path / "a.wav", sine(100, RATE) * 0.9, RATE, subtype=subtype)
    np.testing.assert_allclose(read_mono(tmp_path / "a.wav")[0], sine(100, RATE) * 0.9, atol=2 * step)


@pytest.mark.parametrize("extension", [name for name in EXTENSIONS if name not in m4a.EXTENSIONS])
def test_every_extension_is_decoded_to_its_full_length(tmp_path, extension):
    path = tmp_path / f"a.{extension}"
    kind = {"format": "OGG", "subtype": "OPUS"} if extension == "opus" else {}
    soundfile.write(path, noise(1.0), RATE, **kind)
    samples, rate = read_mono(path)
    assert len(samples) / rate == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("extension", ["wav", "flac", "ogg", "mp3"])
@pytest.mark.parametrize(("start", "seconds"), [(0.0, 0.5), (0.625, 0.25), (1.5, 0.5), (0.3, None)])
def test_a_stretch_is_that_part_of_the_whole(tmp_path, extension, start, seconds):
    path = tmp_path / f"a.{extension}"
    soundfile.write(path, noise(2.0), RATE)
    whole, _ = read_mono(path)
    stretch, _ = read_mono(path, start, seconds)
    first = round(start * RATE)
    stop = len(whole) if seconds is None else first + round(seconds * RATE)
    np.testing.assert_allclose(stretch, whole[first:stop], atol=1e-6)


def test_a_shorter_file_gives_what_it_has(tmp_path):
    soundfile.write(tmp_path / "a.wav", noise(1.0), RATE)
    assert len(read_mono(tmp_path / "a.wav", seconds=3.0)[0]) == RATE
    assert len(read_mono(tmp_path / "a.wav", start_seconds=0.75, seconds=3.0)[0]) == RATE // 4
    assert len(read_mono(tmp_path / "a.wav", start_seconds=5.0, seconds=3.0)[0]) == 0


def test_missing_file_is_unreadable(tmp_path):
    with pytest.raises(UnreadableError):
        read_mono(tmp_path / "none.wav")


def test_text_is_unreadable(tmp_path):
    (tmp_path / "a.wav").write_text("not found\n" * 100)
    with pytest.raises(UnreadableError):
        read_mono(tmp_path / "a.wav")


@pytest.mark.parametrize("extension", ["flac", "mp3", "wav"])
def test_file_that_breaks_off_is_unreadable(tmp_path, extension):
    path = tmp_path / f"a.{extension}"
    soundfile.write(path, noise(2.0), RATE)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UnreadableError):
        read_mono(path)


@pytest.mark.parametrize("rate", [11025, 16000, 22050, 44100])
def test_resampling_keeps_duration_pitch_and_level(tmp_path, rate):
    soundfile.write(tmp_path / "a.wav", 0.5 * sine(440, rate), rate, subtype="FLOAT")
    wave = read_waveform(tmp_path / "a.wav", RATE)
    assert wave.dtype == np.float32
    assert len(wave) == pytest.approx(RATE, abs=1)
    spectrum = np.abs(np.fft.rfft(wave[:RATE] * np.hanning(len(wave[:RATE]))))
    assert spectrum.argmax() == 440
    assert np.abs(wave[500:-500]).max() == pytest.approx(0.5, rel=0.01)


def test_resampling_removes_what_the_lower_rate_cannot_carry(tmp_path):
    soundfile.write(tmp_path / "a.wav", sine(6000, 22050), 22050, subtype="FLOAT")
    assert np.abs(read_waveform(tmp_path / "a.wav", RATE)[500:-500]).max() < 1e-3


def test_waveform_at_its_own_rate_is_not_resampled(tmp_path):
    soundfile.write(tmp_path / "a.wav", noise(0.5), RATE, subtype="FLOAT")
    np.testing.assert_array_equal(read_waveform(tmp_path / "a.wav", RATE), noise(0.5))


def test_waveform_of_a_stretch_lasts_as_long_at_the_new_rate(tmp_path):
    soundfile.write(tmp_path / "a.wav", noise(2.0), RATE)
    assert len(read_waveform(tmp_path / "a.wav", 16000, 0.5, 1.0)) == 16000


def test_waveform_of_a_broken_file_is_unreadable(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    with pytest.raises(UnreadableError):
        read_waveform(tmp_path / "a.wav", RATE)


@pytest.mark.parametrize("name", ["gone.wav", "gone.m4a"])
def test_a_file_that_is_not_there_is_said_to_be_missing(tmp_path, name):
    with pytest.raises(UnreadableError, match=r"(?i)no such file"):
        read_mono(tmp_path / name)
