import random
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
import torch
from layouts import clips_of as clips_in
from layouts import write_parquet
from tiny import dataset_of, file_at, tiny_source

from audiotok.data.audio import read_mono
from audiotok.data.clip import Clip
from audiotok.data.corpus.catalogue import Catalogue
from audiotok.data.corpus.corpus import Corpus, open_corpus
from audiotok.errors import UserError
from audiotok.loader import waveforms
from audiotok.loader.cache import ClipCache
from audiotok.loader.training_clips import CorpusClips
from audiotok.store import Store
from audiotok.tokens.sample import Sample, SampleSize, Sampling, draw_sample, sample_size
from audiotok.tokens.tokenizer import Tokenizer
from audiotok.tokens.vocabulary import vocabulary_key

N_CLIPS, N_POSITIONS = 18, 32  # training clips of the tiny corpus, and frames of each


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The audio files that are opened."""
    paths: list[Path] = []

    def noted(path: Path, *arguments: float) -> np.ndarray:
        paths.append(path)
        return read_mono(path, *arguments)

    monkeypatch.setattr(waveforms, "read_mono", noted)
    return paths


def draw(tokenizer: Tokenizer, corpus: Corpus, cache: ClipCache | None = None, n_workers: int = 0) -> Sample:
    clips = CorpusClips(corpus, tokenizer.features, cache, n_workers)
    return draw_sample(tokenizer.features, tokenizer.codebooks, tokenizer.sampling, clips)


def size_of(tokenizer: Tokenizer, corpus: Corpus) -> SampleSize:
    parts = tokenizer.features, tokenizer.codebooks, tokenizer.sampling
    return sample_size(*parts, len(corpus.clips["train"]), corpus.clip_seconds)


def stacked(sample: Sample) -> np.ndarray:
    return torch.cat(list(sample.split(10**6))).numpy()


def with_training(corpus: Corpus, clips: list[Clip]) -> Corpus:
    return replace(corpus, clips={**corpus.clips, "train": Catalogue.of(clips)})


def frames_of(tokenizer: Tokenizer, corpus: Corpus) -> list[np.ndarray]:
    """Return the stacked frames of every training clip."""
    dataset = dataset_of(corpus, "train", tokenizer.features)
    batch = dataset.__getitems__(range(len(dataset)))
    frames, n_frames = tokenizer.features.stack(batch["analysis"], batch["n_slices"])
    return [clip[:n].numpy() for clip, n in zip(frames, n_frames, strict=True)]


def clips_of(sample: Sample, every: list[np.ndarray]) -> list[int]:
    """Return the clip that each frame of a sample is from."""
    places = {frame.tobytes(): number for number, frames in enumerate(every) for frame in frames}
    return [places[frame.tobytes()] for frame in stacked(sample)]


# ---- which frames ----


def test_sample_is_repeatable_and_depends_on_the_seed(tiny_corpus, tiny_tokenizer):
    samples = (draw(tiny_tokenizer(n_frames=100, n_clips=9, seed=s), tiny_corpus) for s in (0, 0, 1))
    one, again, other = map(stacked, samples)
    np.testing.assert_array_equal(one, again)
    assert {row.tobytes() for row in one} != {row.tobytes() for row in other}


@pytest.mark.parametrize("size", [1, 18, 20, 100, 180, 575, 576])
def test_sample_has_the_asked_frames_about_as_many_from_each_clip(tiny_corpus, tiny_tokenizer, size):
    tokenizer = tiny_tokenizer(n_frames=size)
    sample = draw(tokenizer, tiny_corpus)
    assert len(sample) == len({row.tobytes() for row in stacked(sample)}) == size
    counts = Counter(clips_of(sample, frames_of(tokenizer, tiny_corpus)))
    assert sample.n_clips == len(counts) == min(N_CLIPS, size)
    assert max(counts.values()) - min(counts.values()) <= 1


@pytest.mark.parametrize("size", [None, 577, 10_000])
def test_sample_larger_than_the_corpus_is_all_of_it(tiny_corpus, tiny_tokenizer, size):
    tokenizer = tiny_tokenizer(n_frames=size)
    sample = draw(tokenizer, tiny_corpus)
    np.testing.assert_array_equal(stacked(sample), np.concatenate(frames_of(tokenizer, tiny_corpus)))


def test_sample_of_clips_opens_so_many(tiny_corpus, tiny_tokenizer, opened):
    sample = draw(tiny_tokenizer(n_clips=5), tiny_corpus)
    assert sample.n_clips == len(set(opened)) == len(opened) == 5
    assert len(sample) == 5 * N_POSITIONS


def test_sample_is_drawn_from_all_over_the_clips_and_the_corpus(tiny_corpus, tiny_tokenizer):
    every = frames_of(tiny_tokenizer(), tiny_corpus)
    positions, chosen = set(), set()
    for seed in range(20):
        sample = draw(tiny_tokenizer(n_frames=36, seed=seed), tiny_corpus)
        positions |= {position for rows in sample.drawn for position in rows.tolist()}
        chosen |= set(clips_of(draw(tiny_tokenizer(n_clips=3, seed=seed), tiny_corpus), every))
    assert positions == set(range(N_POSITIONS))
    assert len(chosen) == N_CLIPS


def test_padding_is_not_sampled(tmp_path, tiny_corpus, tiny_tokenizer):
    soundfile.write(tmp_path / "half.wav", 0.1 * np.random.default_rng(0).standard_normal(4000), 8000)
    location = file_at(tmp_path / "half.wav")
    half = replace(tiny_corpus.clips["train"][0], location=location, seconds=0.5)
    frames = stacked(draw(tiny_tokenizer(), with_training(tiny_corpus, [half])))
    assert len(frames) == 16
    assert frames.max(1).min() > -60  # dB; padding is at the floor of -100


@pytest.mark.parametrize("size", [1, 7, 32, 100, 576, 1000])
@pytest.mark.parametrize("features", [{}, {"normalization": "clip_minmax", "deltas": 1}], ids=str)
def test_parts_are_of_the_size_asked_for_and_make_up_the_sample(tiny_corpus, tiny_tokenizer, size, features):
    tokenizer = tiny_tokenizer(features=features)
    sample = draw(tokenizer, tiny_corpus)
    parts = list(sample.split(size))
    assert [len(part) for part in parts[:-1]] == [size] * (len(parts) - 1)
    assert 0 < len(parts[-1]) <= size
    np.testing.assert_array_equal(torch.cat(parts), np.concatenate(frames_of(tokenizer, tiny_corpus)))


def test_a_sample_is_projected_part_by_part(tiny_corpus, tiny_tokenizer, monkeypatch):
    monkeypatch.setattr("audiotok.tokens.sample.PART", 100)
    tokenizer = tiny_tokenizer()
    sample = draw(tokenizer, tiny_corpus)
    tokenizer.features.fit(sample)
    expected = tokenizer.features.project(torch.from_numpy(stacked(sample)))
    np.testing.assert_allclose(sample.project(), expected, rtol=1e-5, atol=1e-4)


# ---- mel frames that are kept ----


def test_sampling_keeps_mel_frames_so_that_audio_is_decoded_once(store, tiny_tokenizer, tiny_corpus, opened):
    kept = replace(tiny_corpus, cache="frames")

    def cache(tokenizer: Tokenizer) -> ClipCache:
        return ClipCache(kept, tokenizer, store, "tokens", None)

    uncached = stacked(draw(tiny_tokenizer(), tiny_corpus))
    few = stacked(draw(tiny_tokenizer(n_clips=5), tiny_corpus))
    del opened[:]
    tokenizer = tiny_tokenizer(n_clips=5)
    np.testing.assert_array_equal(stacked(draw(tokenizer, kept, cache(tokenizer))), few)
    assert len(opened) == 5
    tokenizer = tiny_tokenizer()
    np.testing.assert_array_equal(stacked(draw(tokenizer, kept, cache(tokenizer))), uncached)
    assert len(opened) == N_CLIPS
    tokenizer = tiny_tokenizer("product", seed=3)
    np.testing.assert_array_equal(stacked(draw(tokenizer, kept, cache(tokenizer), 2)), uncached)
    assert len(opened) == N_CLIPS


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache")


def test_of_parquet_every_row_group_is_read_once(
    tiny_corpus, tiny_audioset, tiny_tokenizer, tmp_path, monkeypatch
):
    shutil.copytree(tiny_audioset / "metadata", tmp_path / "metadata")
    for name, clips in clips_in(tiny_audioset):
        random.Random(0).shuffle(clips)
        write_parquet(tmp_path / "audio" / name / "00.parquet", clips, row_group_size=4)
    corpus = open_corpus(tiny_source(tmp_path), Store(tmp_path / "cache"))
    read, groups = pq.ParquetFile.read_row_group, []

    def noted(file: pq.ParquetFile, group: int, *arguments: object, **options: object) -> pa.Table:
        groups.append(group)
        return read(file, group, *arguments, **options)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", noted)
    tokenizer = tiny_tokenizer(n_clips=15)
    found = stacked(draw(tokenizer, corpus))
    assert groups == sorted(set(groups))
    assert len(groups) > 3
    np.testing.assert_array_equal(found, stacked(draw(tokenizer, tiny_corpus)))


# ---- memory ----


@pytest.mark.parametrize(
    ("key", "value"), [("n_frames", 0), ("n_clips", -1), ("max_gb", 0.0), ("max_gb", -1.0)]
)
def test_a_sample_of_nothing_is_refused(key, value):
    with pytest.raises(UserError, match=rf"^sample\.{key}={value} .*; choose "):
        Sampling(**{key: value})


def test_memory_bounds_frames_and_clips_whatever_is_asked(tiny_corpus, tiny_tokenizer):
    clip_bytes, frame_bytes = 63 * 16 * 2, 8 * 8 + 8 + 16

    def size(gb: float, **changes: int | None) -> tuple[int, int]:
        return size_of(tiny_tokenizer(max_gb=gb, **changes), tiny_corpus)[:2]

    assert size(1.0) == (18, 576)
    assert size(1.0, n_frames=100, n_clips=5) == (5, 100)
    assert size(100 * frame_bytes / 1e9) == ((100 * (frame_bytes - 32)) // clip_bytes, 64)
    assert size(10 * clip_bytes / 1e9, n_frames=20) == (9, 20)  # 20 projected frames take some of ten
    assert size(1e-9) == (1, 1)
    for gb in (1e-5, 3e-5, 1e-4, 1.0):
        found = size_of(tiny_tokenizer(max_gb=gb), tiny_corpus)
        assert found.n_bytes - found.n_frames * 48 * 20 <= max(1e9 * gb, clip_bytes + frame_bytes)


def test_memory_changes_the_key_where_it_changes_the_sample(tiny_corpus, tiny_tokenizer):
    keys = []
    for gb in (2.0, 1.0, 1e-5):
        tokenizer = tiny_tokenizer(max_gb=gb)
        keys.append(vocabulary_key(tokenizer, CorpusClips(tiny_corpus, tokenizer.features)))
    assert keys[0] == keys[1] != keys[2]


def test_frames_time_and_memory_are_told_before(tiny_corpus, tiny_tokenizer, caplog):
    with caplog.at_level("INFO"):
        draw(tiny_tokenizer(n_frames=100, n_clips=9), tiny_corpus)
    [line] = caplog.messages
    assert line.startswith("Sampling 100 frames of 9 of 18 training clips: about 0 s and, with the fitting, ")
    assert line.endswith(" kB of memory.")


FIT = """
import resource, sys
from dataclasses import replace
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import torch
from tiny import build_tiny_tokenizer, fit_vocabulary, tiny_source
from audiotok.data.corpus.catalogue import Catalogue
from audiotok.data.corpus.corpus import open_corpus
from audiotok.store import Store

torch.set_num_threads(1)
store = Store(sys.argv[3])
corpus = open_corpus(tiny_source(sys.argv[2]), store)
features = {"stride": 1, "context": 15, "n_components": None, "n_mels": 16}
for n_times in (6, 60):
    listed = [
        replace(clip, id=f"{clip.id}{n:04}", digest=clip.digest ^ n)
        for clip in corpus.clips["train"]
        for n in range(n_times)
    ]
    larger = replace(corpus, clips={**corpus.clips, "train": Catalogue.of(listed)})
    tokenizer = build_tiny_tokenizer(max_gb=0.01, features=features)
    report = fit_vocabulary(tokenizer, larger, store).report
    print(report["n_frames"], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000)
"""


def test_peak_memory_of_fitting_does_not_grow_with_the_corpus(tiny_audioset, tmp_path):
    """Left unbounded, frames of a thousand clips would take 120 MB more than those of a hundred."""
    command = [sys.executable, "-c", FIT, str(Path(__file__).parents[1]), str(tiny_audioset), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    (n_few, few), (n_many, many) = (map(float, line.split()) for line in done.stdout.splitlines())
    assert n_few == n_many < 6 * N_CLIPS * 63  # there are more in either
    assert many < few + 20
