"""Long files become clips of one length, which lie side by side and belong to the split of their file."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import LIMITS, build_tiny_tokenizer, dataset_of, file_at

from audiotok.data.clip import Clip, Listing, Location, SoundClass, Split
from audiotok.data.corpus import conditions
from audiotok.data.corpus.corpus import open_corpus
from audiotok.data.corpus.manifest import open_manifest
from audiotok.data.corpus.segmentation import times_of_segments
from audiotok.data.limits import Limits
from audiotok.data.reading.files import Files, fingerprint
from audiotok.data.source import Source
from audiotok.errors import UserError
from audiotok.loader.cache import ClipCache
from audiotok.store import Store

RATE = 8000
LENGTHS = {"long": 5.7, "exact": 4.0, "short": 1.9, "val": 4.2, "test": 4.2}  # s

SPLITS: dict[str, Split] = {"val": "val", "test": "test"}


@dataclass(frozen=True, kw_only=True)
class Recordings(Source):
    """Sounds in a folder, each of which is called after its split, and two stretches of the first."""

    root: str

    def fingerprint_of_tables(self) -> str:
        return ""

    def fingerprint_of_audio(self) -> str:
        return fingerprint(Files().walk(self.root))

    def read(self) -> Listing:
        clips = [
            Clip(name, file_at(f"{self.root}/{name}.wav"), (0, 1), SPLITS.get(name, "train"))
            for name in LENGTHS
        ]
        for start, end in ((1.0, 2.5), (0.0, 2.0)):
            location = Location("folders", f"{self.root}/long.wav", "", start, end)
            clips.append(Clip(f"long@{start:g}-{end:g}", location, (1,), "train"))
        return Listing((SoundClass("a", "A"), SoundClass("b", "B")), tuple(clips))


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("recordings")
    for number, (name, seconds) in enumerate(LENGTHS.items()):
        wave = 0.1 * np.random.default_rng(number).standard_normal(round(seconds * RATE))
        soundfile.write(folder / f"{name}.wav", wave, RATE)
    return folder


def source_of(root: Path, **changes: object) -> Recordings:
    return Recordings(root=str(root), clip_seconds=2.0, segment_seconds=2.0, limits=LIMITS, **changes)


def test_long_files_are_cut_and_keep_their_split(root, tmp_path):
    corpus = open_corpus(source_of(root), Store(tmp_path))
    found = {split: {clip.id: clip.seconds for clip in clips} for split, clips in corpus.clips.items()}
    assert found == {
        "train": {
            "exact@0-2": 2.0,
            "exact@2-4": 2.0,
            "long@0-2": 2.0,  # listed as such, and not cut a second time
            "long@1-2.5": 1.5,
            "long@2-4": 2.0,
            "long@4-": pytest.approx(1.7),
            "short": 1.9,
        },
        "val": {"val@0-2": 2.0, "val@2-4": 2.0},  # 0.2 s are too short a rest
        "test": {"test@0-2": 2.0, "test@2-4": 2.0},
    }
    assert [clip.labels for clip in corpus.clips["train"] if clip.id == "long@0-2"] == [(1,)]
    assert not len(corpus.skipped)


def test_lengths_are_read_once(root, tmp_path, monkeypatch):
    first = open_manifest(source_of(root), Store(tmp_path))
    monkeypatch.setattr(conditions, "inspect_part", lambda *_: pytest.fail("a file is read"))
    assert open_manifest(source_of(root), Store(tmp_path)).table == first.table
    changed = replace(source_of(root), limits=Limits(0.5, 30.0, -60.0))
    assert open_manifest(changed, Store(tmp_path)).table == first.table


def test_stretches_are_kept_apart_in_the_cache(root, tmp_path):
    """The clips of one recording, some of which overlap: cached, each has the analysis of its own sound."""
    store, tokenizer = Store(tmp_path), build_tiny_tokenizer()
    corpus = open_corpus(source_of(root, cache="frames"), store)
    read = dataset_of(corpus, "train", tokenizer.features)
    cached = [
        dataset_of(corpus, "train", tokenizer.features, ClipCache(corpus, tokenizer, store, "frames", None))
        for _ in range(2)
    ]
    everything = range(len(read))
    expected = read.__getitems__(everything)
    for dataset in cached:
        found = dataset.__getitems__(everything)
        assert (found["analysis"] == expected["analysis"]).all()
        assert (found["n_slices"] == expected["n_slices"]).all()
    assert len({row.numpy().tobytes() for row in expected["analysis"]}) == len(read)


@given(st.floats(0.01, 100), st.floats(0.05, 20), st.floats(0, 5))
@settings(max_examples=200)
def test_segments_lie_side_by_side(seconds, length, shortest):
    times = times_of_segments(seconds, length, shortest)
    ends = [seconds if end is None else end for _, end in times]
    assert [start for start, _ in times] == [0.0, *ends[:-1]][: len(times)]
    assert all(0 < end - start <= length + 1e-5 for (start, _), end in zip(times, ends, strict=True))
    assert (ends[-1] if ends else 0.0) <= seconds + 1.1e-3
    assert seconds - (ends[-1] if ends else 0.0) <= max(shortest, 1e-3) + 1e-5


@pytest.mark.parametrize("length", [0.0, -1.0, 0.2, 90.0, float("nan")])
def test_a_length_beyond_the_limits_is_refused(root, length):
    with pytest.raises(UserError, match=rf"data.segment_seconds={length} is not a length between .*0.5 and"):
        Recordings(root=str(root), segment_seconds=length)
