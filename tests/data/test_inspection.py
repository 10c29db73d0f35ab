import errno
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tiny import file_at

from audiotok.data.inspection import Condition, inspect_clip
from audiotok.data.limits import Limits
from audiotok.data.reading.files import Files
from audiotok.data.source import Check
from audiotok.errors import UserError

RATE = 8000
LIMITS = Limits(min_seconds=0.5, max_seconds=5.0, silence_db=-80.0)


def noise(seconds: float, n_channels: int = 1) -> np.ndarray:
    return 0.1 * np.random.default_rng(0).standard_normal((round(seconds * RATE), n_channels))


def write(path: Path, wave: np.ndarray, **kind: str) -> Path:
    soundfile.write(path, wave, RATE, **kind)
    return path


def cut(path: Path, n_bytes: int) -> Path:
    """Keep the first bytes of a file; a negative number takes as many off its end."""
    path.write_bytes(path.read_bytes()[:n_bytes])
    return path


def condition_of(path: Path, check: Check = "decode") -> Condition:
    return inspect_clip(file_at(path), check)


def verdict(path: Path, check: Check = "decode") -> str:
    return condition_of(path, check).reason_to_skip(LIMITS)[0]


# ---- what is found in a file ----


def test_usable_file_is_described(tmp_path):
    wave = noise(1.5)
    path = write(tmp_path / "a.wav", wave, subtype="FLOAT")
    condition = condition_of(path)
    assert condition.fault == ""
    assert condition.seconds == 1.5
    assert condition.peak == pytest.approx(np.abs(wave).max(), rel=1e-6)
    assert (condition.rate, condition.channels) == (RATE, 1)
    assert condition.reason_to_skip(LIMITS) == ("", "")


def test_clip_without_a_file_is_missing(tmp_path):
    assert verdict(tmp_path / "none.wav") == "missing"


def test_file_of_no_bytes_is_empty(tmp_path):
    (tmp_path / "a.wav").touch()
    assert verdict(tmp_path / "a.wav") == "empty"


def test_file_of_no_samples_is_skipped(tmp_path):
    assert verdict(write(tmp_path / "a.wav", noise(0))) in {"empty", "short"}


def test_text_named_wav_is_broken_and_the_decoder_is_quoted(tmp_path):
    (tmp_path / "a.wav").write_text("404 not found\n")
    kind, detail = condition_of(tmp_path / "a.wav").reason_to_skip(LIMITS)
    assert kind == "broken"
    assert "Format not recognised" in detail


@pytest.mark.parametrize("extension", ["flac", "mp3", "ogg"])
@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.95])
def test_file_that_breaks_off_is_broken(tmp_path, extension, share):
    path = write(tmp_path / f"a.{extension}", noise(4.0))
    cut(path, int(share * path.stat().st_size))
    assert verdict(path) == "broken"


def test_wav_that_breaks_off_is_broken(tmp_path):
    assert verdict(cut(write(tmp_path / "a.wav", noise(4.0)), 40_000)) == "broken"


def test_wav_of_a_stream_whose_header_gives_no_length_is_usable(tmp_path):
    path = write(tmp_path / "a.wav", noise(1.0))
    header, samples = path.read_bytes()[:44], path.read_bytes()[44:]
    unknown = b"\xff\xff\xff\xff"
    path.write_bytes(header[:4] + unknown + header[8:40] + unknown + samples)
    assert condition_of(path).seconds == 1.0
    assert verdict(path) == ""


@pytest.mark.parametrize("n_bytes", [1, 100, 2000])
@pytest.mark.parametrize("kind", [{}, {"format": "OGG", "subtype": "OPUS"}], ids=["vorbis", "opus"])
def test_ogg_that_breaks_off_within_its_last_page_is_broken(tmp_path, n_bytes, kind):
    assert verdict(cut(write(tmp_path / "a.ogg", noise(4.0), **kind), -n_bytes)) == "broken"


@pytest.mark.parametrize("name", ["a.OGG", "a.oga"])
def test_ogg_that_breaks_off_is_broken_whatever_it_is_called(tmp_path, name):
    path = write(tmp_path / "a.ogg", noise(4.0)).rename(tmp_path / name)
    assert verdict(cut(path, path.stat().st_size // 2)) == "broken"


@pytest.mark.parametrize("kind", [{}, {"format": "OGG", "subtype": "OPUS"}], ids=["vorbis", "opus"])
def test_complete_ogg_is_usable(tmp_path, kind):
    assert verdict(write(tmp_path / "a.ogg", noise(4.0), **kind)) == ""


def test_silent_file_is_silent(tmp_path):
    assert verdict(write(tmp_path / "a.wav", np.zeros(RATE))) == "silent"


def test_silence_is_judged_by_the_loudest_sample(tmp_path):
    wave = np.zeros(RATE)
    wave[100] = -1.1e-4  # -79.2 dB
    assert verdict(write(tmp_path / "a.wav", wave, subtype="FLOAT")) == ""
    wave[100] = -0.9e-4  # -80.9 dB
    assert verdict(write(tmp_path / "b.wav", wave, subtype="FLOAT")) == "silent"


def test_samples_that_are_not_finite_are_broken(tmp_path):
    for name, value in (("nan.wav", np.nan), ("inf.wav", np.inf), ("huge.wav", 1e30)):
        wave = noise(1.0)
        wave[7] = value
        assert verdict(write(tmp_path / name, wave, subtype="FLOAT")) == "broken"


def test_length_is_judged_against_the_limits(tmp_path):
    lengths = {"short": 0.49, "": 0.5, "long": 5.1}
    for kind, seconds in lengths.items():
        assert verdict(write(tmp_path / f"{seconds}.wav", noise(seconds))) == kind
    assert verdict(write(tmp_path / "edge.wav", noise(5.0))) == ""


def test_8_bit_wav_is_usable(tmp_path):
    assert verdict(write(tmp_path / "a.wav", noise(1.0), subtype="PCM_U8")) == ""


def test_silent_8_bit_wav_is_silent(tmp_path):
    assert verdict(write(tmp_path / "a.wav", np.zeros(RATE), subtype="PCM_U8")) == "silent"


def test_stereo_is_judged_by_what_is_read_of_it(tmp_path):
    stereo = noise(1.0, 2)
    condition = condition_of(write(tmp_path / "a.wav", stereo, subtype="FLOAT"))
    assert condition.fault == ""
    assert condition.seconds == 1.0
    assert condition.peak == pytest.approx(np.abs(stereo.mean(axis=1)).max(), rel=1e-5)
    opposed = np.stack([stereo[:, 0], -stereo[:, 0]], axis=1)
    opposed_file = write(tmp_path / "b.wav", opposed, subtype="FLOAT")
    kind, detail = condition_of(opposed_file).reason_to_skip(LIMITS)
    assert kind == "cancelled"
    assert "channels cancel out" in detail


# ---- what a header tells ----


@pytest.mark.parametrize("extension", ["wav", "flac", "ogg", "mp3"])
def test_header_tells_length_rate_and_channels_as_decoding_does(tmp_path, extension):
    path = write(tmp_path / f"a.{extension}", noise(1.5, 2))
    decoded, header = condition_of(path), condition_of(path, "header")
    assert (header.seconds, header.rate, header.channels) == (decoded.seconds, RATE, 2)
    assert np.isnan(header.peak)
    assert header.reason_to_skip(LIMITS) == ("", "")


def test_header_does_not_tell_silence(tmp_path):
    path = write(tmp_path / "a.wav", np.zeros(RATE))
    assert (verdict(path), verdict(path, "header")) == ("silent", "")


def test_what_a_header_tells_too(tmp_path):
    (tmp_path / "text.wav").write_text("404 not found")
    (tmp_path / "empty.wav").touch()
    cut_ogg = cut(write(tmp_path / "a.ogg", noise(4.0)), -100)
    found = [verdict(tmp_path / name, "header") for name in ("text.wav", "empty.wav", "none.wav")]
    assert [*found, verdict(cut_ogg, "header")] == ["broken", "empty", "missing", "broken"]
    assert verdict(write(tmp_path / "short.wav", noise(0.4)), "header") == "short"


@pytest.mark.parametrize("check", ["decode", "header"])
def test_digest_names_the_content_and_not_the_file(tmp_path, check):
    path = write(tmp_path / "a.wav", noise(1.0))
    same = tmp_path / "b.wav"
    same.write_bytes(path.read_bytes())
    other = write(tmp_path / "c.wav", noise(1.1))
    digests = [condition_of(each, check).digest for each in (path, same, other)]
    assert digests[0] == digests[1] != digests[2]
    assert all(0 < digest < 2**64 for digest in digests)


@pytest.mark.parametrize(("check", "n_digests"), [("decode", 2), ("header", 3)])
def test_clips_that_differ_where_a_header_does_not_look_have_digests_of_their_own(tmp_path, check, n_digests):
    """Two tones in the middle of silence, and one of them under another name."""
    silence, middle = np.zeros(9 * RATE), np.sin(np.arange(2 * RATE))
    waves = {"a": middle, "b": middle[::-1], "c": middle}
    paths = [
        write(tmp_path / f"{name}.wav", np.concatenate([silence, wave, silence]))
        for name, wave in waves.items()
    ]
    assert len({condition_of(path, check).digest for path in paths}) == n_digests


def test_what_the_machine_does_not_read_is_not_called_broken(tmp_path, monkeypatch):
    path = write(tmp_path / "a.wav", noise(1.0))

    def refuse(*_):
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(path))

    monkeypatch.setattr(Files, "read", refuse)
    for check in ("decode", "header"):
        condition = condition_of(path, check)
        assert (condition.fault, condition.detail) == ("unread", os.strerror(errno.ESTALE))


def test_header_of_a_large_file_reads_its_ends(tmp_path):
    path = write(tmp_path / "a.wav", noise(60.0))
    before = condition_of(path, "header")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert condition_of(path, "header").digest != before.digest


# ---- limits ----


@pytest.mark.parametrize(("shortest", "longest"), [(-1.0, 5.0), (5.0, 5.0), (6.0, 5.0)])
def test_limits_in_the_wrong_order_are_refused(shortest, longest):
    with pytest.raises(UserError, match=rf"data\.limits\.min_seconds={shortest} .*max_seconds={longest}"):
        Limits(shortest, longest, -80.0)


def test_reason_gives_the_length_or_the_peak():
    assert Condition(seconds=0.25, peak=0.5).reason_to_skip(LIMITS) == ("short", "0.25 s")
    assert Condition(seconds=9.5, peak=0.5).reason_to_skip(LIMITS) == ("long", "9.50 s")
    assert Condition(seconds=1.0, peak=1.5e-6).reason_to_skip(LIMITS) == ("silent", "peak 1.5e-06")
