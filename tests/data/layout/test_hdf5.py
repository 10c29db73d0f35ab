import sys

import h5py
import numpy as np
import pytest
from layouts import write_hdf5, write_hdf5_mp3

from audiotok.data.clip import Location
from audiotok.data.layout.hdf5 import HDF5
from audiotok.data.layout.hdf5_mp3 import HDF5MP3
from audiotok.data.layout.layout import choose_layout
from audiotok.data.reading.audio import UnreadableError, read_mono
from audiotok.data.reading.files import Files
from audiotok.errors import UserError

RNG = np.random.default_rng(0)
INT16 = RNG.integers(-(2**15), 2**15, (3, 400), dtype=np.int16)


def find(layout, folder, source_set="bal_train"):
    return list(layout.find(Files(), str(folder), source_set))


def test_missing_clip_of_panns_is_not_found(tmp_path):
    write_hdf5(tmp_path / "balanced_train.h5", [("Yaaaaaaaaaaa.wav", INT16[0]), ("Ybbbbbbbbbbb.wav", None)])
    found = find(HDF5(), tmp_path)
    assert [(clip.name, clip.labels) for clip in found] == [("Yaaaaaaaaaaa", None)]
    assert found[0].location == Location("hdf5", str(tmp_path / "balanced_train.h5"), "0")


@pytest.mark.parametrize("waves", [INT16, RNG.uniform(-1, 1, (3, 400)).astype(np.float32)])
def test_samples_come_back_as_they_are(tmp_path, waves):
    write_hdf5(tmp_path / "eval.h5", [(f"{n}.wav", wave) for n, wave in enumerate(waves)], sample_rate=16_000)
    layout = HDF5()
    for clip, wave in zip(find(layout, tmp_path, "eval"), waves, strict=True):
        samples, rate = read_mono(layout.read(clip.location))
        assert rate == 16_000
        np.testing.assert_array_equal(samples, wave / 2**15 if wave.dtype == np.int16 else wave)


def test_file_without_a_rate_has_that_of_panns(tmp_path):
    write_hdf5(tmp_path / "eval.h5", [("a.wav", INT16[0])], sample_rate=None)
    layout = HDF5()
    assert read_mono(layout.read(find(layout, tmp_path, "eval")[0].location))[1] == 32_000


def test_index_that_panns_keep_beside_waveforms_is_passed_over(tmp_path):
    write_hdf5(tmp_path / "waveforms" / "eval.h5", [("a.wav", INT16[0])])
    (tmp_path / "indexes").mkdir()
    with h5py.File(tmp_path / "indexes" / "eval.h5", "w") as file:
        file["audio_name"], file["index_in_hdf5"] = np.array([b"a.wav"]), [0]
    assert [clip.location.path for clip in find(HDF5(), tmp_path, "eval")] == [
        str(tmp_path / "waveforms" / "eval.h5")
    ]


def test_names_of_passts_unbalanced_set_have_their_part_before_them(tmp_path):
    write_hdf5_mp3(tmp_path / "unbalanced_train_segments_mp3.hdf", [("07/Y-_0123456-_.mp3", b"sound")])
    layout = HDF5MP3()
    (found,) = find(layout, tmp_path, "unbal_train")
    assert found.name == "Y-_0123456-_"
    assert layout.read(found.location) == b"sound"


def test_the_two_are_told_apart_by_name(tmp_path):
    write_hdf5_mp3(tmp_path / "mp3" / "eval_segments_mp3.hdf", [("a.mp3", b"sound")])
    write_hdf5(tmp_path / "pcm" / "eval.h5", [("a.wav", INT16[0])])
    names = [choose_layout("auto", Files(), str(tmp_path / folder)).name for folder in ("mp3", "pcm")]
    assert names == ["hdf5_mp3", "hdf5"]


@pytest.mark.parametrize(
    ("layout", "datasets"),
    [
        (HDF5, {"mp3": [1]}),
        (HDF5, {"audio_name": [b"a", b"b"]}),
        (HDF5, {"audio_name": [b"a", b"b"], "waveform": INT16}),
        (HDF5, {"audio_name": [b"a"], "waveform": INT16[0, :1]}),
        (HDF5, {"audio_name": [b"a"], "waveform": [["text"]]}),
        (HDF5, {"audio_name": [b"a", b"b", b"c"], "waveform": INT16.astype(np.int64)}),
        (HDF5, {}),
        (HDF5MP3, {"audio_name": [b"a", b"b", b"c"], "waveform": INT16}),
        (HDF5MP3, {"audio_name": [b"a", b"b", b"c"], "mp3": INT16[:, 0]}),
    ],
)
def test_file_of_another_shape_is_refused_with_what_it_has(tmp_path, layout, datasets):
    with h5py.File(tmp_path / "eval.h5", "w") as file:
        for name, data in datasets.items():
            file[name] = data
    with pytest.raises(UserError) as raised:
        find(layout(), tmp_path, "eval")
    assert str(raised.value).startswith(f"{tmp_path / 'eval.h5'} has ")
    assert all(name in str(raised.value) for name in datasets)


@pytest.mark.parametrize("kept", [0.0, 0.1, 0.9])
def test_file_that_was_cut_short_is_refused(tmp_path, kept):
    path = tmp_path / "eval.h5"
    write_hdf5(path, [("a.wav", INT16[0])])
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(UserError, match="cannot be read as HDF5"):
        find(HDF5(), tmp_path, "eval")


def test_row_that_is_not_there_cannot_be_read(tmp_path):
    path = tmp_path / "eval.h5"
    write_hdf5(path, [("a.wav", INT16[0])])
    with pytest.raises(UnreadableError):
        HDF5().read(Location("hdf5", str(path), "7"))


@pytest.mark.parametrize("layout", [HDF5, HDF5MP3])
def test_without_h5py_the_line_that_installs_it_is_said(tmp_path, monkeypatch, layout):
    (tmp_path / "eval.h5").touch()
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(UserError, match=rf"data.layout={layout.name} .*pip install 'audiotok\[hdf5\]'"):
        find(layout(), tmp_path, "eval")
