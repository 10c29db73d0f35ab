"""One length for every file: by its header or by decoding, by its path or by its bytes, in part or whole."""

import io
import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from tiny import file_at

from audiotok.data.audio import (
    UnreadableError,
    read_blocks,
    read_header,
    read_mono,
    read_waveform,
    read_waveform_blocks,
)
from audiotok.data.inspection import inspect_clip
from audiotok.data.reading.excerpt import Excerpt

RATE = 16_000
SECONDS = 3.0
ID3 = b"ID3\4\0\0\0\0\0\x64" + bytes(100)


def fading_noise() -> np.ndarray:
    """Loud at first: the bit rate of its beginning tells little of the rest."""
    n_samples = round(SECONDS * RATE)
    noise = 0.5 * np.random.default_rng(0).standard_normal(n_samples)
    return (noise * np.linspace(1, 0, n_samples) ** 4).clip(-1, 1)


def encoded(kind: str, subtype: str | None = None, rate: int = RATE) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, fading_noise(), rate, format=kind, subtype=subtype)
    return file.getvalue()


def by_ffmpeg(kind: str, codec: str) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format=kind) as container:
        stream = container.add_stream(codec, rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray((fading_noise()[None] * 32767).astype(np.int16), "s16", "mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
        fit = av.AudioResampler(stream.codec_context.format, "mono", RATE, stream.codec_context.frame_size)
        for piece in (*fit.resample(frame), *fit.resample(None)):
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    return file.getvalue()


def mp3_without_header() -> bytes:
    content = encoded("MP3")
    return content[content.index(content[:2], 4) :]  # the first frame holds nothing else


def wav_of_length(n_bytes: int, riff: int | None = None) -> bytes:
    content = bytearray(encoded("WAV", "PCM_16"))
    content[4:8] = struct.pack("<I", min(n_bytes + 36, 2**32 - 1) if riff is None else riff)
    content[40:44] = struct.pack("<I", n_bytes)
    return bytes(content)


def flac_of_unknown_length() -> bytes:
    content = bytearray(encoded("FLAC"))
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    return bytes(content)


FILES: dict[str, tuple[Callable[[], bytes], float]] = {
    "mp3": (lambda: encoded("MP3"), 1),
    "mp3 without a header": (mp3_without_header, 1),
    "mp3 without a header, with a tag": (lambda: ID3 + mp3_without_header() + b"TAG".ljust(128), 1),
    "two mp3 joined": (lambda: encoded("MP3") * 2, 2),
    "two mp3 joined, with tags": (lambda: (ID3 + encoded("MP3")) * 2, 2),
    "mp3 with a tag behind": (lambda: encoded("MP3") + b"TAG".ljust(128), 1),
    "vorbis": (lambda: encoded("OGG"), 1),
    "two vorbis chained": (lambda: encoded("OGG") * 2, 2),
    "three opus chained": (lambda: encoded("OGG", "OPUS") * 3, 3),
    "flac in ogg": (lambda: by_ffmpeg("ogg", "flac"), 1),
    "flac of unknown length": (flac_of_unknown_length, 1),
    "wav by sox into a pipe": (lambda: wav_of_length(0x7FFF_F000), 1),
    "wav by ffmpeg into a pipe": (lambda: wav_of_length(0xFFFF_FFFF), 1),
    "wav of 2 GB that is not": (lambda: wav_of_length(0x8000_0001), 1),
    "wav by a recorder into a pipe": (lambda: wav_of_length(0, riff=0), 1),
    "wav by a recorder that stopped": (lambda: wav_of_length(0, riff=36), 1),
    "wav behind an id3 tag": (lambda: ID3 + encoded("WAV"), 1),
    "flac behind an id3 tag": (lambda: ID3 + encoded("FLAC"), 1),
    "wav of gsm 6.10": (lambda: encoded("WAV", "GSM610"), 1),
    "wav of adpcm": (lambda: encoded("WAV", "IMA_ADPCM"), 1),
    "m4a": (lambda: by_ffmpeg("mp4", "aac"), 1),
}


@pytest.fixture(params=list(FILES))
def file(request, tmp_path: Path) -> tuple[Path, float]:
    make, times = FILES[request.param]
    path = tmp_path / "clip.bin"  # no decoder is helped by a name
    path.write_bytes(make())
    return path, times * SECONDS


def test_all_of_a_file_is_read_and_has_one_length(file):
    path, seconds = file
    samples, rate = read_mono(path)
    assert len(samples) / rate == pytest.approx(seconds, abs=0.25 * seconds / SECONDS)
    np.testing.assert_array_equal(read_mono(path.read_bytes())[0], samples)
    assert read_header(path).seconds == read_header(path.read_bytes()).seconds == len(samples) / rate
    for check in ("decode", "header"):
        condition = inspect_clip(file_at(path), check)
        assert (condition.fault, condition.seconds) == ("", len(samples) / rate)


def test_a_segment_is_a_slice_of_the_whole(file):
    path, seconds = file
    whole, rate = read_mono(path)
    for start, length in ((0.0, 0.5), (seconds - 1.0, 0.4), (seconds / 2 - 0.1, 0.4), (seconds + 9, 1.0)):
        first = round(start * rate)
        segment = whole[first : first + round(length * rate)]
        for source in (path, path.read_bytes()):
            np.testing.assert_array_equal(read_mono(source, start, length)[0], segment)


def test_a_file_comes_in_pieces_as_it_comes_whole(file):
    path, _ = file
    for rate in (RATE, 22_050):
        whole = np.concatenate(list(read_waveform_blocks(path, rate)))
        np.testing.assert_array_equal(whole, read_waveform(path, rate))


def test_the_sound_of_a_stream_is_that_of_the_file_that_has_a_length():
    samples = read_mono(encoded("WAV", "PCM_16"))[0]
    for content in (wav_of_length(0, riff=0), wav_of_length(0x7FFF_F000), ID3 + encoded("WAV", "PCM_16")):
        np.testing.assert_array_equal(read_mono(content)[0], samples)
    np.testing.assert_array_equal(
        read_mono(by_ffmpeg("ogg", "flac"))[0], read_mono(by_ffmpeg("flac", "flac"))[0]
    )
    twice = read_mono(encoded("OGG") * 2)[0]
    np.testing.assert_array_equal(twice, np.tile(read_mono(encoded("OGG"))[0], 2))


@pytest.mark.parametrize("kind", ["WAV", "RF64", "W64", "AIFF", "AU", "SVX", "CAF"])
def test_an_uncompressed_file_that_breaks_off_is_broken_by_its_header(tmp_path, kind):
    path = tmp_path / "cut.bin"
    content = encoded(kind, "PCM_16")
    path.write_bytes(content[: len(content) // 2])
    for check in ("decode", "header"):
        assert inspect_clip(file_at(path), check).fault == "broken"
    with pytest.raises(UnreadableError):
        read_mono(path, seconds=0.1)


def test_an_mp3_that_breaks_off_is_broken_by_its_header(tmp_path):
    path = tmp_path / "cut.mp3"
    path.write_bytes(encoded("MP3")[:4000])
    for check in ("decode", "header"):
        assert inspect_clip(file_at(path), check).fault == "broken"


def test_an_ogg_that_breaks_off_is_not_read_either():
    for content in (encoded("OGG")[:-100], encoded("OGG")[:-100] + encoded("OGG")):
        with pytest.raises(UnreadableError, match=r"last page is missing|not Ogg"):
            read_mono(content)


def test_chained_streams_of_different_rates_are_refused_in_words():
    with pytest.raises(UnreadableError, match="chained streams differ"):
        read_mono(encoded("OGG") + encoded("OGG", rate=22_050))


def test_a_wav_without_samples_stays_empty():
    file = io.BytesIO()
    soundfile.write(file, np.zeros(0), RATE, format="WAV")
    assert len(read_mono(file.getvalue())[0]) == 0


def test_a_length_beyond_memory_in_a_header_costs_nothing():
    content = bytearray(encoded("FLAC"))
    content[21] |= 0x0F  # 2 ** 36 samples are promised
    content[22:26] = b"\xff" * 4
    with pytest.raises(UnreadableError, match="truncated"):
        read_mono(bytes(content))


def test_whatever_a_decoder_raises_is_that_the_file_is_unreadable(tmp_path, monkeypatch):
    path = tmp_path / "a.wav"
    path.write_bytes(encoded("WAV"))
    for error in (MemoryError(), OverflowError("too large"), KeyError("x"), ZeroDivisionError("by 0")):

        def fail(*_: object, error: Exception = error, **__: object) -> None:
            raise error

        monkeypatch.setattr(soundfile.SoundFile, "read", fail)
        with pytest.raises(UnreadableError, match=type(error).__name__):
            read_mono(path)
        condition = inspect_clip(file_at(path), "decode")
        assert condition.fault == "broken"
        assert type(error).__name__ in condition.detail


def test_a_reader_of_blocks_keeps_its_own_errors():
    def read_and_fail() -> None:
        for _ in read_blocks(encoded("WAV")):
            raise KeyError

    with pytest.raises(KeyError):
        read_and_fail()


def test_an_excerpt_reads_like_a_file_of_its_own():
    content = bytes(range(100))
    excerpt = Excerpt(io.BytesIO(content), 10, 60, {8: b"abcd", 58: b"wxyz"})
    assert excerpt.seek(0, io.SEEK_END) == 50
    assert excerpt.seek(0) == 0
    assert excerpt.read() == b"cd" + content[12:58] + b"wx"
    assert (excerpt.seek(-20, io.SEEK_END), excerpt.read(3), excerpt.tell()) == (30, content[40:43], 33)
