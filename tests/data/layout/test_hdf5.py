import os
import sys

import h5py
import numpy as np
import pytest
from layouts import write_hdf5, write_hdf5_mp3

from audiotok.data.audio import UnreadableError, read_mono
from audiotok.data.clip import Location
from audiotok.data.layout.hdf5 import HDF5
from audiotok.data.layout.hdf5_mp3 import HDF5MP3
from audiotok.data.layout.layout import choose_layout
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


@pytest.mark.parametrize("names", [["a.wav", "Bär.wav"], [b"a.wav", b"B\xc3\xa4r.wav"]])
def test_names_may_be_text_of_any_length(tmp_path, names):
    with h5py.File(tmp_path / "eval.h5", "w") as file:
        file["audio_name"], file["waveform"] = names, INT16[:2]
    assert [clip.name for clip in find(HDF5(), tmp_path, "eval")] == ["a", "Bär"]


@pytest.mark.parametrize("names", [[1, 2, 3], [1.5, 2.5, 3.5], [True, False, True]])
def test_names_that_are_no_text_are_refused_with_what_is_there(tmp_path, names):
    with h5py.File(tmp_path / "eval.h5", "w") as file:
        file["audio_name"], file["waveform"] = names, INT16
    with pytest.raises(UserError, match=r"eval\.h5 has audio_name"):
        find(HDF5(), tmp_path, "eval")


def test_data_outside_the_file_is_not_opened(tmp_path):
    (tmp_path / "elsewhere").write_bytes(bytes(2400))
    with h5py.File(tmp_path / "eval.h5", "w") as file:
        file["audio_name"] = [b"a", b"b", b"c"]
        place = [(str(tmp_path / "elsewhere"), 0, 2400)]
        file.create_dataset("waveform", (3, 400), "int16", external=place)
    with h5py.File(tmp_path / "bal_train.h5", "w") as file:
        file["audio_name"] = [b"a", b"b", b"c"]
        file["waveform"] = h5py.ExternalLink(str(tmp_path / "pipe.h5"), "/waveform")
    os.mkfifo(tmp_path / "pipe.h5")
    for source_set in ("eval", "bal_train"):
        with pytest.raises(UserError, match="inside the file"):
            find(HDF5(), tmp_path, source_set)


@pytest.mark.parametrize("shape", [(2**40, 400), (3, 2**40)])
def test_a_shape_beyond_memory_is_refused(tmp_path, shape):
    with h5py.File(tmp_path / "eval.h5", "w") as file:
        file.create_dataset("audio_name", shape[:1], "S20", chunks=(1,))
        file.create_dataset("waveform", shape, "int16", chunks=(1, 400))
    with pytest.raises(UserError, match=r"eval\.h5 has "):
        find(HDF5(), tmp_path, "eval")


@pytest.mark.parametrize("rate", ["fast", 0, -1, 2**40])
def test_a_rate_that_no_file_has_is_the_fault_of_its_rows(tmp_path, rate):
    write_hdf5(tmp_path / "eval.h5", [("a.wav", INT16[0])], sample_rate=None)
    with h5py.File(tmp_path / "eval.h5", "a") as file:
        file.attrs["sample_rate"] = rate
    layout = HDF5()
    (found,) = find(layout, tmp_path, "eval")
    with pytest.raises(UnreadableError):
        read_mono(layout.read(found.location))


@pytest.mark.parametrize("n_bytes", [0, 1, 8, 4079, 4080, 60_000])
def test_mp3_files_of_every_size_come_back(tmp_path, n_bytes):
    content = np.random.default_rng(n_bytes).bytes(n_bytes)
    write_hdf5_mp3(tmp_path / "eval_mp3.h5", [("a.mp3", b"x"), ("b.mp3", content), ("c.mp3", b"y" * 100)])
    layout = HDF5MP3()
    assert [layout.read(clip.location) for clip in find(layout, tmp_path, "eval")] == [
        b"x",
        content,
        b"y" * 100,
    ]


def test_a_heap_that_was_never_written_is_the_fault_of_the_clip(tmp_path):
    """The library itself never returns from it."""
    path = tmp_path / "eval_mp3.h5"
    write_hdf5_mp3(path, [("a.mp3", b"x" * 3000)])
    content = bytearray(path.read_bytes())
    start = content.index(b"GCOL") + 16
    content[start : start + 200] = bytes(200)
    path.write_bytes(content)
    (found,) = find(HDF5MP3(), tmp_path, "eval")
    with pytest.raises(UnreadableError, match="damaged"):
        HDF5MP3().read(found.location)
