"""A stretch of a recording is a clip: its length, level and digest are its own, and no other is decoded."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from test_m4a import encode
from tiny import LIMITS, build_tiny_tokenizer

from audiotok.data.audio import read_mono
from audiotok.data.clip import Clip, Location, id_of_stretch
from audiotok.data.corpus.catalogue import Catalogue, table_of
from audiotok.data.corpus.conditions import groups_of
from audiotok.data.inspection import Condition, inspect_clip
from audiotok.data.reading.decoding import open_streams as opening
from audiotok.data.source import Check
from audiotok.loader.waveforms import WaveformReader

RATE = 8000
SECONDS = 6.0
FORMATS = {
    "a.wav": {},
    "a.flac": {},
    "a.ogg": {},
    "a.mp3": {},
    "o.ogg": {"format": "OGG", "subtype": "OPUS"},
}


@pytest.fixture(scope="module")
def recordings(tmp_path_factory) -> Path:
    """Noise that becomes louder from second to second, after a silent one."""
    folder = tmp_path_factory.mktemp("recordings")
    levels = np.repeat(np.arange(SECONDS) / 10, RATE)
    wave = levels * np.random.default_rng(0).uniform(-1, 1, len(levels))
    for name, kind in FORMATS.items():
        soundfile.write(folder / name, wave, RATE, **kind)
    return folder


def condition_of(path: Path, start: float, end: float | None, check: Check = "decode") -> Condition:
    return inspect_clip(Location("folders", str(path), "", start, end), check)


@pytest.mark.parametrize("name", FORMATS)
def test_a_stretch_is_inspected_by_itself(recordings, name):
    whole, rate = read_mono(recordings / name)
    for start, end in ((0.0, 1.5), (2.25, 3.0), (5.0, None)):
        samples = whole[round(start * rate) : None if end is None else round(end * rate)]
        condition = condition_of(recordings / name, start, end)
        assert (condition.fault, condition.detail) == ("", "")
        assert condition.seconds == len(samples) / rate
        assert condition.peak == pytest.approx(np.abs(samples).max(), rel=1e-6)
        header = condition_of(recordings / name, start, end, "header")
        assert (header.seconds, header.rate, header.channels) == (condition.seconds, rate, 1)
    assert condition_of(recordings / name, 0.0, 0.9).reason_to_skip(LIMITS)[0] in {"silent", ""}


@pytest.mark.parametrize("check", ["decode", "header"])
@pytest.mark.parametrize("name", ["a.wav", "a.mp3"])
def test_a_stretch_that_is_not_within_its_recording_is_cut_or_skipped(recordings, name, check):
    cut = condition_of(recordings / name, 5.0, 8.0, check)
    assert cut.seconds == pytest.approx(1.0)
    assert cut.reason_to_skip(LIMITS) == ("", "it ends with its recording at 6.00 s, not at 8 s")
    short = condition_of(recordings / name, 5.75, 8.0, check).reason_to_skip(LIMITS)
    assert short == ("short", "0.25 s; it ends with its recording at 6.00 s, not at 8 s")
    outside = condition_of(recordings / name, 7.0, 8.0, check).reason_to_skip(LIMITS)
    assert outside == ("outside", "it starts after the end of its recording of 6.00 s")
    assert condition_of(recordings / name, 5.0, 6.01, check).detail == ""


@pytest.mark.parametrize("check", ["decode", "header"])
def test_stretches_have_digests_of_their_own(recordings, check):
    places = [(0.0, None), (1.0, 2.0), (1.0, 2.5), (1.5, 2.5), (1.0, None)]
    digests = [condition_of(recordings / "a.wav", *place, check).digest for place in places]
    assert len(set(digests)) == len(places)
    assert condition_of(recordings / "a.wav", 1.0, 2.0, check).digest == digests[1]


def test_a_long_stretch_is_not_decoded(recordings, monkeypatch):
    monkeypatch.setattr("audiotok.data.inspection.read_blocks", lambda *_: pytest.fail("it is decoded"))
    location = Location("folders", str(recordings / "a.wav"), "", 1.0, 5.5)
    condition = inspect_clip(location, "decode", longest=4.0)
    assert condition.seconds == 4.5
    assert np.isnan(condition.peak)
    assert condition.reason_to_skip(LIMITS)[0] == ""


def test_a_clip_reads_its_stretch_and_nothing_behind_it(recordings):
    whole, _ = read_mono(recordings / "a.wav")
    places = [(1.0, 1.5), (2.0, 5.0), (5.5, None)]
    clips = []
    for start, end in places:
        condition = condition_of(recordings / "a.wav", start, end)
        location = Location("folders", str(recordings / "a.wav"), "", start, end)
        clips.append(Clip(f"{start}", location, (0,), "train", condition.seconds, condition.digest))
    reader = WaveformReader(Catalogue.of(clips), 1.0, build_tiny_tokenizer().features)
    waveforms, n_samples = reader.waveforms(np.arange(3), np.zeros(3, int))
    assert n_samples.tolist() == [RATE // 2, RATE, RATE // 2]
    for waveform, n, start in zip(waveforms.numpy(), n_samples.tolist(), (1.0, 3.0, 5.5), strict=True):
        np.testing.assert_array_equal(waveform[:n], whole[round(start * RATE) :][:n])
        assert not waveform[n:].any()


@pytest.mark.usefixtures("small_parts")
def test_stretches_of_a_recording_are_inspected_in_their_order(recordings):
    path = str(recordings / "a.wav")
    starts = np.random.default_rng(0).permutation(10) / 2
    clips = [Clip(f"{n}", Location("folders", path, "", s, s + 1), (), "train") for n, s in enumerate(starts)]
    groups = [rows.tolist() for _, rows in groups_of(clips, table_of(clips), "decode")]
    assert sorted(row for rows in groups for row in rows) == list(range(10))
    assert all([starts[row] for row in rows] == sorted(starts[row] for row in rows) for rows in groups)
    assert [len(rows) for rows in groups] == [4, 4, 2]


@pytest.mark.parametrize("name", ["a.mp3", "a.m4a", "a.wav"])
def test_stretches_in_order_are_decoded_once_and_others_are_the_same(recordings, name, monkeypatch):
    """Also where they overlap, repeat, go back, or where another recording was read in between."""
    path = recordings / name
    if name == "a.m4a":
        encode(path, read_mono(recordings / "a.wav")[0][:, None], RATE)
    monkeypatch.setattr("audiotok.data.reading.recording._NEAR", 0.1)
    monkeypatch.setattr("audiotok.data.reading.recording._KEPT", RATE)
    whole, rate = read_mono(path)
    opened = []
    monkeypatch.setattr(
        "audiotok.data.reading.recording.open_streams",
        lambda source: opened.append(source) or opening(source),
    )
    for start, end in [(0.25, 1.0), (1.0, 2.0), (1.5, 3.5), (3.25, 3.5), (5.0, 5.5), (5.5, None), (0.5, 1.0)]:
        stretch, _ = read_mono(path, start, None if end is None else end - start)
        last = None if end is None else round(end * rate)
        np.testing.assert_array_equal(stretch, whole[round(start * rate) : last])
    assert len(opened) == (7 if name == "a.wav" else 2)


def test_ids_of_stretches():
    assert id_of_stretch("a.wav", 0.0, 2.5) == "a.wav@0-2.5"
    assert id_of_stretch("a.wav", 3600, None) == "a.wav@3600-"
    assert str(Location("folders", "a.wav", "", 1.0, 2.0)) == "a.wav 1-2 s"
