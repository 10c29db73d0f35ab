import csv
import multiprocessing
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tiny import LIMITS, path_of, tiny_source

from audiotok.data.corpus.corpus import open_corpus
from audiotok.data.layout.segments import CLASS_TABLE, SEGMENTS
from audiotok.data.synthesis.sounds import SOUNDS
from audiotok.data.synthetic import Synthetic
from audiotok.data.validation import Validation
from audiotok.errors import UserError
from audiotok.store import Store


def source(cache_dir: Path, **changes) -> Synthetic:
    arguments = {
        "n_train_clips": 12,
        "n_test_clips": 5,
        "seed": 0,
        "cache_dir": str(cache_dir),
        "clip_seconds": 1.0,
        "validation": Validation("", 0.4, 0),
        "limits": LIMITS,
        "check": "decode",
        "scan": "always",
        "cache": "none",
    }
    return Synthetic(**(arguments | changes))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache in which the corpus of seed 0 lies."""
    folder = tmp_path_factory.mktemp("synthetic")
    source(folder).read()
    return folder


def labels(listing) -> dict[str, tuple[int, ...]]:
    return {clip.id: clip.labels for clip in listing.clips}


def test_corpus_has_the_asked_clips_and_all_classes(cache):
    listing = source(cache).read()
    splits = [clip.split for clip in listing.clips]
    assert splits.count("train") + splits.count("val") == 12
    assert splits.count("val") > 0
    assert splits.count("test") == 5
    assert [(c.id, c.name) for c in listing.classes] == [(sound.mid, sound.name) for sound in SOUNDS]
    assert all(1 <= len(clip.labels) <= 4 for clip in listing.clips)


def test_audio_is_written_once(cache):
    files = {path: path.stat().st_mtime_ns for path in cache.rglob("*.flac")}
    assert len(files) == 17
    source(cache).read()
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*.flac")} == files


def test_clips_are_mono_16_khz_of_the_asked_length(cache):
    for clip in source(cache).read().clips:
        info = soundfile.info(path_of(clip))
        assert (info.samplerate, info.channels, info.frames) == (16_000, 1, 16_000)


def test_corpus_lies_in_the_layout_of_audioset(cache):
    [root] = (cache / "synthetic").glob("[!.]*/")
    assert {path.name for path in (root / "metadata").iterdir()} == {
        CLASS_TABLE,
        SEGMENTS["bal_train"],
        SEGMENTS["eval"],
    }
    with (root / "metadata" / CLASS_TABLE).open(newline="") as file:
        assert next(csv.reader(file)) == ["index", "mid", "display_name"]
    for clip in source(cache).read().clips:
        folder = "eval" if clip.split == "test" else "bal_train"
        assert path_of(clip) == root / "audio" / folder / clip.id[:2] / f"{clip.id}.flac"
        assert len(clip.id) == 11
    assert tiny_source(root, validation=Validation("", 0.4, 0)).read() == source(cache).read()


def test_every_clip_is_usable(cache, tmp_path):
    corpus = open_corpus(source(cache), Store(tmp_path))
    assert len(corpus.skipped) == 0


def test_same_seed_gives_the_same_sounds_and_labels_in_another_cache(cache, tmp_path):
    one, other = source(cache).read(), source(tmp_path).read()
    assert labels(one) == labels(other)
    for clip, again in zip(one.clips, other.clips, strict=True):
        np.testing.assert_array_equal(soundfile.read(path_of(clip))[0], soundfile.read(path_of(again))[0])


def test_another_seed_gives_other_clips(cache, tmp_path):
    assert not labels(source(cache).read()).keys() & labels(source(tmp_path, seed=1).read()).keys()


def test_training_and_test_clips_differ(cache):
    clips = source(cache).read().clips
    sounds = {soundfile.read(path_of(clip))[0].tobytes() for clip in clips}
    assert len(sounds) == len({clip.id for clip in clips}) == 17


def test_corpora_of_different_settings_lie_side_by_side(tmp_path):
    source(tmp_path, n_train_clips=3, n_test_clips=1).read()
    assert len(source(tmp_path, n_train_clips=4, n_test_clips=1).read().clips) == 5
    assert len(source(tmp_path, n_train_clips=3, n_test_clips=1).read().clips) == 4


def test_what_is_kept_of_decoded_clips_makes_no_other_corpus(cache):
    assert source(cache, cache="frames").read() == source(cache, cache="none").read()
    assert len([folder for folder in (cache / "synthetic").iterdir() if folder.is_dir()]) == 1


def test_corpus_that_lost_its_metadata_is_written_again(tmp_path):
    first = source(tmp_path, n_train_clips=3, n_test_clips=1).read()
    [lost] = tmp_path.glob(f"synthetic/*/metadata/{SEGMENTS['eval']}")
    lost.unlink()
    assert source(tmp_path, n_train_clips=3, n_test_clips=1).read() == first


def write_and_end(cache_dir: Path) -> None:
    source(cache_dir, n_train_clips=3, n_test_clips=1).read()


def test_corpus_stays_as_long_as_a_process_lives_that_reads_it(tmp_path):
    other = multiprocessing.get_context("spawn").Process(target=write_and_end, args=(tmp_path,))
    other.start()
    other.join()
    [entry] = Store(tmp_path).entries("synthetic")
    assert Store(tmp_path).remove(entry)
    source(tmp_path, n_train_clips=3, n_test_clips=1).read()
    assert not Store(tmp_path).remove(entry)


@pytest.mark.parametrize("key", ["n_train_clips", "n_test_clips", "clip_seconds"])
@pytest.mark.parametrize("value", [0, -1])
def test_number_that_gives_no_clips_is_refused(tmp_path, key, value):
    with pytest.raises(UserError, match=rf"data\.{key}={value} "):
        source(tmp_path, **{key: value}).read()
    assert list(tmp_path.iterdir()) == []


def test_seed_that_is_none_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"data\.seed=-1 "):
        source(tmp_path, seed=-1).read()


def test_cache_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cache_dir=.* cannot be written"):
        source(tmp_path / "file").read()
