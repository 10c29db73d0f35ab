"""AAC in MPEG-4: the same sound as was encoded, at the same place, or a sentence."""

import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from tiny import file_at

from audiotok.data.audio import UnreadableError, read_header, read_mono
from audiotok.data.inspection import inspect_clip
from audiotok.data.reading.m4a import M4A
from audiotok.errors import UserError

RATE = 32_000


def encode(path: Path, samples: np.ndarray, rate: int = RATE, codec: str = "aac") -> Path:
    """Write samples (S, channels) as AAC of 256 kbit/s, or by another codec."""
    with av.open(str(path), "w", format="mp4") as file:
        stream = file.add_stream(codec, rate=rate, layout="mono" if samples.shape[1] == 1 else "stereo")
        stream.bit_rate = 256_000
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples.T, np.float32), "fltp", stream.layout.name
        )
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        for packet in (*stream.encode(frame), *stream.encode(None)):
            file.mux(packet)
    return path


def sweep(seconds: float) -> np.ndarray:
    """A tone that climbs from 200 Hz: no stretch of it is like another."""
    time = np.arange(round(seconds * RATE)) / RATE
    return 0.5 * np.sin(2 * np.pi * (200 * time + 150 * time**2))


@pytest.fixture
def mono(tmp_path: Path) -> Path:
    return encode(tmp_path / "mono.m4a", sweep(2.0)[:, None])


@pytest.mark.parametrize("extension", ["m4a", "mp4", "M4A", "wav"])  # a download is called as one likes
def test_what_was_encoded_is_read_at_its_place(tmp_path, extension):
    path = encode(tmp_path / f"clip.{extension}", sweep(2.0)[:, None])
    samples, rate = read_mono(path)
    assert rate == RATE
    assert len(samples) == pytest.approx(2 * RATE, abs=2048)
    assert np.abs(samples[: 2 * RATE - 2048] - sweep(2.0)[: 2 * RATE - 2048]).max() < 0.05


def test_bytes_are_read_as_the_file_is(mono):
    np.testing.assert_array_equal(read_mono(mono.read_bytes())[0], read_mono(mono)[0])


def test_a_stretch_is_what_it_is_in_the_whole(mono):
    np.testing.assert_array_equal(read_mono(mono, 0.5, 1.0)[0], read_mono(mono)[0][RATE // 2 : 3 * RATE // 2])


def test_channels_are_averaged(tmp_path):
    stereo = np.stack([sweep(1.0), np.zeros(RATE)], 1)
    samples, _ = read_mono(encode(tmp_path / "stereo.m4a", stereo))
    assert np.abs(samples[: RATE - 2048] - sweep(1.0)[: RATE - 2048] / 2).max() < 0.02


def test_the_header_says_what_decoding_finds(mono):
    header, (samples, rate) = read_header(mono), read_mono(mono)
    assert (header.rate, header.channels) == (rate, 1)
    assert header.seconds == pytest.approx(len(samples) / rate, abs=0.1)


def test_samples_equal_those_of_libsndfile_where_both_read_a_file(tmp_path):
    path = tmp_path / "clip.wav"
    soundfile.write(path, np.stack([sweep(1.0), -sweep(1.0) / 2], 1), RATE, subtype="FLOAT")
    expected, _ = soundfile.read(path, dtype="float32")
    with M4A(path) as file:
        np.testing.assert_array_equal(file.read(-1), expected)


def test_lossless_sound_in_a_container_comes_back(tmp_path):
    path = encode(tmp_path / "clip.m4a", sweep(1.0)[:, None], codec="alac")
    np.testing.assert_allclose(read_mono(path)[0], sweep(1.0), atol=2**-14)


def test_an_m4a_that_breaks_off_is_refused(tmp_path):
    whole = encode(tmp_path / "whole.m4a", sweep(4.0)[:, None]).read_bytes()
    for share in (0.3, 0.7):
        path = tmp_path / "cut.m4a"
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(UnreadableError):
            read_mono(path)


def test_frames_that_are_missing_are_counted(tmp_path, mono):
    with M4A(mono) as file:
        file.frames += 10_000
        with pytest.raises(OSError, match="truncated after"):
            file.read(-1)


@pytest.mark.parametrize("content", [b"", b"no sound at all", b"\0\0\0\x18ftypM4A " + bytes(64)])
def test_what_is_no_m4a_is_broken(tmp_path, content):
    path = tmp_path / "clip.m4a"
    path.write_bytes(content)
    with pytest.raises(UnreadableError):
        read_mono(path)
    for check in ("decode", "header"):
        assert inspect_clip(file_at(path), check).fault == ("broken" if content else "empty")


def test_a_film_without_sound_is_broken(tmp_path):
    path = tmp_path / "film.mp4"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mpeg4", rate=5)
        stream.width = stream.height = 32
        picture = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8))
        for packet in (*stream.encode(picture), *stream.encode(None)):
            file.mux(packet)
    with pytest.raises(UnreadableError, match="no audio"):
        read_mono(path)


def test_a_missing_extra_says_how_to_install_it(mono, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(UserError, match=r"mono\.m4a is m4a.*pip install 'audiotok\[m4a\]'"):
        read_mono(mono)
    with pytest.raises(UserError, match="audiotok"):
        inspect_clip(file_at(mono), "decode")
