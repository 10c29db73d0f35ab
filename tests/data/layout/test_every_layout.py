"""Whatever clips lie in, they are the same clips: folders are the oracle of every other layout."""

import shutil
from pathlib import Path

import fsspec
import numpy as np
import pytest
import soundfile
from layouts import WRITERS, clips_of, write_layout, write_tar
from tiny import tiny_source
from torch.utils.data import DataLoader, Dataset

from audiotok.data.audio import read_mono
from audiotok.data.clip import Location
from audiotok.data.layout.layout import LAYOUTS, choose_layout, layout_named, sound_of
from audiotok.data.layout.segments import CLASS_TABLE
from audiotok.data.reading.files import Files

every_kind = pytest.mark.parametrize("kind", WRITERS)
SETS = ("bal_train", "unbal_train", "eval")


def layout_of(kind: str) -> str:
    return "tar" if kind == "webdataset" else kind


@pytest.fixture(scope="session")
def mp3_audioset(tiny_audioset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny corpus as mp3 in folders: what PaSST packs."""
    root = tmp_path_factory.mktemp("mp3")
    (root / "metadata").symlink_to(tiny_audioset / "metadata")
    for path in (tiny_audioset / "audio").rglob("*.*"):
        target = root / path.relative_to(tiny_audioset).with_suffix(".mp3")
        target.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(target, *soundfile.read(path))
    return root


@pytest.fixture(scope="session")
def world(tiny_audioset: Path, mp3_audioset: Path, tmp_path_factory: pytest.TempPathFactory):
    """Return a function that writes a corpus in a layout, once, and returns it and its oracle in folders."""
    written: dict[str, Path] = {}

    def write(kind: str) -> tuple[Path, Path]:
        source = mp3_audioset if kind == "hdf5_mp3" else tiny_audioset
        if kind not in written:
            written[kind] = tmp_path_factory.mktemp(kind)
            write_layout(kind, source, written[kind])
        return written[kind], source

    return write


class Waveforms(Dataset[np.ndarray]):
    """What a worker of a DataLoader reads."""

    def __init__(self, locations: list[Location]) -> None:
        self.locations = locations

    def __len__(self) -> int:
        return len(self.locations)

    def __getitem__(self, row: int) -> np.ndarray:
        return read_mono(sound_of(self.locations[row]))[0]


def locations_of(root: Path, **changes: object) -> list[Location]:
    locations = [clip.location for clip in tiny_source(root, **changes).read().clips]
    assert all(location is not None for location in locations)
    return [location for location in locations if location is not None]


def test_every_layout_but_folders_is_written_here():
    assert {layout_of(kind) for kind in WRITERS} | {"folders"} == set(LAYOUTS)


@every_kind
@pytest.mark.parametrize("train_sets", [["bal_train"], ["bal_train", "unbal_train"]])
def test_ids_labels_splits_and_waveforms_are_those_of_folders(world, kind, train_sets):
    root, source = world(kind)
    found, expected = (tiny_source(r, train_sets=train_sets).read() for r in (root, source))
    assert found.classes == expected.classes
    for clip, other in zip(found.clips, expected.clips, strict=True):
        assert (clip.id, clip.labels, clip.split) == (other.id, other.labels, other.split)
        wave, rate = read_mono(sound_of(clip.location))
        same, same_rate = read_mono(sound_of(other.location))
        assert rate == same_rate
        np.testing.assert_array_equal(wave, same)


@every_kind
def test_layout_is_found_by_looking(world, kind):
    root, _ = world(kind)
    assert choose_layout("auto", Files(), str(root / "audio")).name == layout_of(kind)


@every_kind
def test_clips_of_another_set_are_not_found(world, kind):
    root, source = world(kind)
    layout = layout_named(layout_of(kind))
    extra = "Y" if kind.startswith("hdf5") else ""
    for name in SETS:
        found = {clip.name for clip in layout.find(Files(), str(root / "audio"), name)}
        folders = {clip.name for clip in layout_named("folders").find(Files(), str(source / "audio"), name)}
        assert {stem.removeprefix(extra) for stem in found} == folders


@every_kind
def test_workers_read_what_the_main_process_reads(world, kind):
    root, _ = world(kind)
    waveforms = Waveforms(locations_of(root))
    here = [waveforms[row] for row in range(len(waveforms))]  # every container is open when workers fork
    loader = DataLoader(waveforms, batch_size=None, num_workers=2, multiprocessing_context="fork")
    for wave, same in zip(loader, here, strict=True):
        np.testing.assert_array_equal(wave, same)


@every_kind
def test_any_order_reads_the_same(world, kind):
    root, _ = world(kind)
    waveforms = Waveforms(locations_of(root))
    here = [waveforms[row] for row in range(len(waveforms))]
    for row in np.random.default_rng(0).permutation(len(waveforms)):
        np.testing.assert_array_equal(waveforms[row], here[row])


@pytest.mark.parametrize("kind", [kind for kind in WRITERS if kind != "ast_json"])  # its paths are local
def test_urls_are_read_as_local_files_are(world, kind):
    root, _ = world(kind)
    url = f"memory://{kind}/audio"
    fsspec.filesystem("memory").put(str(root / "audio"), f"/{kind}/audio", recursive=True)
    assert choose_layout("auto", Files(), url).name == layout_of(kind)
    layout = layout_named(layout_of(kind))
    for name in SETS:
        remote = list(layout.find(Files(), url, name))
        local = list(layout.find(Files(), str(root / "audio"), name))
        assert [(clip.name, clip.labels) for clip in remote] == [(clip.name, clip.labels) for clip in local]
        for clip, same in zip(remote, local, strict=True):
            assert clip.location.path.startswith(f"{url}/")
            assert layout.read(clip.location) == layout.read(same.location)


@pytest.mark.parametrize("kind", ["parquet", "webdataset", "ast_json"])
def test_labels_that_a_layout_carries_stand_for_csvs_that_are_missing(world, kind, tmp_path):
    root, source = world(kind)
    shutil.copytree(root / "audio", tmp_path / "audio")
    (tmp_path / "metadata").mkdir()
    shutil.copy(source / "metadata" / CLASS_TABLE, tmp_path / "metadata")
    expected = {clip.id: (clip.labels, clip.split) for clip in tiny_source(source).read().clips}
    assert {clip.id: (clip.labels, clip.split) for clip in tiny_source(tmp_path).read().clips} == expected


@pytest.mark.parametrize("kind", ["parquet", "tar", "webdataset", "hdf5", "hdf5_mp3"])
def test_shard_that_lies_there_twice_is_read_once_and_told(world, kind, tmp_path):
    root, _ = world(kind)
    shutil.copytree(root, tmp_path, dirs_exist_ok=True)
    expected = tiny_source(tmp_path).read()
    paths = [path for path in (tmp_path / "audio").rglob("*") if path.is_file() and "eval" in str(path)]
    for path in paths:
        shutil.copy(path, path.with_name(f"{path.stem}_mp3{path.suffix}"))
    found = tiny_source(tmp_path).read()
    n_test = sum(clip.split == "test" for clip in expected.clips)
    assert (found.findings.found_twice.n, found.findings.not_listed.n) == (n_test, 0)
    assert found.clips == expected.clips


@pytest.mark.parametrize("kind", ["tar", "folders"])
def test_clips_in_places_that_name_no_set_are_of_the_set_that_lists_them(tiny_audioset, kind, tmp_path):
    (tmp_path / "metadata").symlink_to(tiny_audioset / "metadata")
    for name, clips in clips_of(tiny_audioset):
        if kind == "tar" and name != "unbal_train":
            files = {f"{id_}{path.suffix}": path.read_bytes() for id_, _, path in clips}
            write_tar(tmp_path / "audio" / f"{len(files)}.tar", files)
        elif name != "unbal_train":
            shutil.copytree(tiny_audioset / "audio" / name, tmp_path / "audio", dirs_exist_ok=True)
    expected, found = tiny_source(tiny_audioset).read(), tiny_source(tmp_path).read()
    assert [(clip.id, clip.split) for clip in found.clips] == [
        (clip.id, clip.split) for clip in expected.clips
    ]
    assert all(clip.location is not None for clip in found.clips)
    assert (found.findings.not_listed.n, found.findings.found_twice.n) == (0, 0)


def test_clip_that_no_csv_lists_is_told_once(tiny_audioset, tmp_path):
    shutil.copytree(tiny_audioset, tmp_path, dirs_exist_ok=True)
    (tmp_path / "audio" / "not__listed.wav").touch()
    tally = tiny_source(tmp_path).read().findings.not_listed
    assert (tally.n, tally.examples) == (1, [str(tmp_path / "audio" / "not__listed.wav")])
