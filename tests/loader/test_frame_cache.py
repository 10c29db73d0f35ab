import errno
import logging
import multiprocessing
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.synchronize import Barrier
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tiny import build_tiny_tokenizer, file_at, path_of
from torch.utils.data import DataLoader

from audiotok.data.catalogue import Catalogue
from audiotok.data.clip import Clip, Split
from audiotok.data.corpus import Corpus
from audiotok.errors import UserError
from audiotok.loader import cache as loader_cache
from audiotok.loader.cache import FrameCache, open_cache
from audiotok.loader.clips import ClipDataset, Draw
from audiotok.store import Store
from audiotok.tokenizer import Tokenizer

MakeClip = Callable[..., Clip]
FEATURES = build_tiny_tokenizer().features
DECODED = "what is not kept yet is decoded in every epoch."


@pytest.fixture
def kept(corpus: Corpus) -> Corpus:
    """The corpus, with mel frames to be kept."""
    return replace(corpus, cache="frames")


@pytest.fixture
def cache(tmp_path: Path) -> FrameCache:
    """An empty cache of five clips with four mel frames of three bins."""
    cache = FrameCache(tmp_path / "rows", n_clips=5, n_mel_frames=4, n_mels=3)
    cache.prepare()
    return cache


def mel(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-100, 0, (4, 3)).astype(np.float16)


def dataset(corpus: Corpus, store: Store, split: Split = "train", **arguments: Any) -> ClipDataset:
    cache = open_cache(corpus, split, FEATURES, store)
    return ClipDataset(corpus, split, FEATURES, cache=cache, **arguments)


def assert_same(one: ClipDataset, other: ClipDataset) -> None:
    assert len(one) == len(other)
    for index in range(len(one)):
        ours, theirs = one[index], other[index]
        assert ours.keys() == theirs.keys()
        for key in ours:
            assert torch.equal(torch.as_tensor(ours[key]), torch.as_tensor(theirs[key])), key


def poison(corpus: Corpus) -> None:
    """Make all audio unreadable."""
    for clips in corpus.clips.values():
        for clip in clips:
            path_of(clip).write_bytes(b"no sound")


def full_disk(*_: object) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


# ---- rows ----


def test_what_is_put_is_got(cache: FrameCache) -> None:
    cache.put(3, mel(1), 2)
    cache.put(0, mel(2), 4)
    for index, expected, n_mel in ((3, mel(1), 2), (0, mel(2), 4)):
        found = cache.get(index)
        assert found is not None
        np.testing.assert_array_equal(found[0], expected)
        assert found[0].dtype == np.float16
        assert found[1] == n_mel
    assert cache.count() == 2


def test_what_was_not_put_is_absent(cache: FrameCache) -> None:
    assert [cache.get(index) for index in range(5)] == [None] * 5
    assert cache.count() == 0


def test_another_process_that_opens_the_same_folder_finds_the_rows(cache: FrameCache) -> None:
    cache.put(1, mel(), 3)
    again = FrameCache(cache.folder, 5, 4, 3)
    again.prepare()
    assert again.count() == 1
    np.testing.assert_array_equal(again.get(1)[0], mel())


def test_a_row_that_is_got_may_be_changed(cache: FrameCache) -> None:
    cache.put(1, mel(), 3)
    cache.get(1)[0][:] = 0
    np.testing.assert_array_equal(cache.get(1)[0], mel())


def test_an_empty_cache_takes_no_room(tmp_path: Path) -> None:
    cache = FrameCache(tmp_path / "rows", n_clips=1000, n_mel_frames=100, n_mels=64)
    cache.prepare()
    assert cache.n_bytes == 1000 * (100 * 64 * 2 + 4)
    assert sum(path.stat().st_size for path in cache.folder.iterdir()) == cache.n_bytes
    assert sum(512 * path.stat().st_blocks for path in cache.folder.iterdir()) < 100_000


# ---- interruptions ----


def test_a_half_written_row_is_not_read(cache: FrameCache) -> None:
    pwrite = os.pwrite

    def killed(descriptor: int, content: bytes, offset: int) -> int:
        pwrite(descriptor, content[: len(content) // 2], offset)
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "pwrite", killed)
        with pytest.raises(KeyboardInterrupt):
            cache.put(2, mel(), 4)
    assert (cache.folder / "frames.bin").read_bytes()[2 * 24 : 3 * 24] != bytes(24)
    assert cache.get(2) is None
    cache.put(2, mel(1), 4)
    np.testing.assert_array_equal(cache.get(2)[0], mel(1))


def test_a_row_is_written_before_its_length(cache: FrameCache, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    monkeypatch.setattr(loader_cache, "_write", lambda path, *_: written.append(path.name))
    cache.put(2, mel(), 4)
    assert written == ["frames.bin", "lengths.bin"]


def test_a_row_that_the_system_takes_in_parts_is_written_whole(
    cache: FrameCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    pwrite = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda descriptor, content, at: pwrite(descriptor, content[:7], at))
    cache.put(2, mel(), 4)
    np.testing.assert_array_equal(cache.get(2)[0], mel())
    assert [cache.get(index) for index in (1, 3)] == [None, None]


@pytest.mark.parametrize("name", ["frames.bin", "lengths.bin"])
def test_rows_without_their_lengths_and_lengths_without_their_rows_are_not_read(
    cache: FrameCache, name: str
) -> None:
    """Somebody freed some space."""
    for index in range(5):
        cache.put(index, mel(index), 4)
    (cache.folder / name).unlink()
    again = FrameCache(cache.folder, 5, 4, 3)
    again.prepare()
    assert again.count() == 0
    assert again.get(2) is None
    again.put(2, mel(), 3)
    assert again.count() == 1


@pytest.mark.parametrize("name", ["frames.bin", "lengths.bin"])
def test_a_cache_whose_making_was_interrupted_is_made_whole(tmp_path: Path, name: str) -> None:
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / name).touch()
    cache = FrameCache(tmp_path / "rows", 5, 4, 3)
    cache.prepare()
    cache.put(4, mel(), 3)
    np.testing.assert_array_equal(cache.get(4)[0], mel())


# ---- clips ----


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_a_second_epoch_opens_no_audio(kept: Corpus, store: Store, opened: list[str], split: Split) -> None:
    uncached = ClipDataset(kept, split, FEATURES)
    expected = [uncached[index] for index in range(len(uncached))]
    del opened[:]
    clips = dataset(kept, store, split)
    for _ in range(3):
        for index, item in enumerate(expected):
            found = clips[index]
            assert torch.equal(found["mel"], item["mel"])
            assert torch.equal(found["n_mel"], item["n_mel"])
            assert torch.equal(found["targets"], item["targets"])
    assert opened == [path_of(clip).stem for clip in kept.clips[split]]


def test_another_run_opens_no_audio_either(kept: Corpus, store: Store) -> None:
    clips = dataset(kept, store)
    first = [clips[index]["mel"] for index in range(7)]
    poison(kept)
    again = dataset(kept, store)
    assert all(torch.equal(again[index]["mel"], first[index]) for index in range(7))
    with pytest.raises(UserError, match=r"val0\.wav could be read when it was inspected"):
        dataset(kept, store, "val")[0]


def test_worker_processes_keep_what_they_read(kept: Corpus, store: Store) -> None:
    loader = DataLoader(dataset(kept, store), batch_size=2, num_workers=2)
    first = torch.cat([batch["mel"] for batch in loader])
    poison(kept)
    assert torch.equal(torch.cat([batch["mel"] for batch in loader]), first)
    assert loader.dataset.cache.count() == 7


def test_what_is_kept_is_what_is_computed(kept: Corpus, corpus: Corpus, store: Store) -> None:
    clips = dataset(kept, store)
    for _ in range(2):
        assert_same(clips, dataset(corpus, store))


def fill(corpus: Corpus, root: Path, barrier: Barrier) -> None:
    torch.set_num_threads(1)
    barrier.wait(120)
    clips = dataset(corpus, Store(root))
    for index in range(len(clips)):
        clips[index]


def test_two_processes_that_write_at_once_write_the_same(kept: Corpus, store: Store, tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    barrier = spawn.Barrier(2)
    arguments = (kept, tmp_path / "both", barrier)
    processes = [spawn.Process(target=fill, args=arguments) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0]
    fill(kept, tmp_path / "alone", SimpleNamespace(wait=lambda _: None))
    [both] = (tmp_path / "both" / "frames").iterdir()
    for path in both.iterdir():
        assert path.read_bytes() == (tmp_path / "alone" / path.relative_to(tmp_path / "both")).read_bytes()


# ---- random crops ----


def test_random_crops_of_clips_that_are_too_long_are_not_kept(
    kept: Corpus, store: Store, opened: list[str]
) -> None:
    clips = dataset(kept, store, random_crop=True)
    for epoch in range(3):
        for index in range(7):
            clips[Draw(index, 10 * epoch + index)]
    is_long = [clip.seconds > kept.clip_seconds for clip in kept.clips["train"]]
    assert is_long == [False, False, True, False, False, True, False]
    counts = [opened.count(path_of(clip).stem) for clip in kept.clips["train"]]
    assert counts == [3 if long else 1 for long in is_long]
    assert clips.cache.count() == 5
    crops = [clips[Draw(2, seed)]["mel"] for seed in (1, 2, 1)]
    assert torch.equal(crops[0], crops[2])
    assert not torch.equal(crops[0], crops[1])


def test_a_kept_middle_is_not_taken_for_a_random_crop(kept: Corpus, corpus: Corpus, store: Store) -> None:
    middles = dataset(kept, store)
    middle = middles[2]["mel"]
    assert middles.cache.count() == 1
    cropped, uncached = dataset(kept, store, random_crop=True), dataset(corpus, store, random_crop=True)
    assert torch.equal(cropped[Draw(2, 1)]["mel"], uncached[Draw(2, 1)]["mel"])
    assert not torch.equal(cropped[Draw(2, 1)]["mel"], middle)
    assert torch.equal(dataset(kept, store)[2]["mel"], middle)


def test_waveforms_are_not_asked_of_a_cache(kept: Corpus, store: Store) -> None:
    with pytest.raises(AssertionError, match="what is kept are mel frames"):
        dataset(kept, store, as_waveform=True)


# ---- the disk ----


def test_a_full_disk_is_said_once_and_what_is_there_is_still_read(
    kept: Corpus,
    corpus: Corpus,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    caplog: Any,
    opened: list[str],
) -> None:
    clips = dataset(kept, store)
    before = [clips[index]["mel"] for index in range(2)]
    monkeypatch.setattr(os, "pwrite", full_disk)
    del opened[:]
    for _ in range(2):
        assert_same(clips, dataset(corpus, store))
    assert warnings_of(caplog) == [
        f"{clips.cache.folder} cannot be written (No space left on device); {DECODED}"
    ]
    assert clips.cache.is_full
    assert clips.cache.count() == 2
    assert torch.equal(clips[1]["mel"], before[1])
    # twice by the other dataset, and twice where nothing is kept
    assert [opened.count(path_of(clip).stem) for clip in kept.clips["train"]] == [2, 2, 4, 4, 4, 4, 4]


def test_a_full_disk_that_a_worker_finds_is_known_to_all(
    kept: Corpus, store: Store, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    monkeypatch.setattr(os, "pwrite", full_disk)
    clips = dataset(kept, store)
    loader = DataLoader(clips, batch_size=2, num_workers=1, multiprocessing_context="fork")
    assert len(list(loader)) == 4
    assert clips.cache.is_full
    clips[0]
    assert warnings_of(caplog) == []  # the worker has said it


@pytest.fixture
def little_room(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Pretend that so many bytes are free on every disk."""

    def pretend(n_bytes: float) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=n_bytes))

    return pretend


def test_a_disk_with_too_little_room_is_left_alone_and_said_so(
    kept: Corpus, store: Store, little_room: Callable[[float], None], caplog: Any, opened: list[str]
) -> None:
    few = dataset(kept, store)
    few[3]
    little_room(1e9)
    clips = dataset(kept, store)
    for _ in range(2):
        for index in range(7):
            clips[index]
    [warning] = warnings_of(caplog)
    assert warning.startswith("data.cache=frames would take ")
    assert warning.endswith(
        f"GB in {clips.cache.folder}, and there is less than that and 1 GB free; {DECODED}"
    )
    assert clips.cache.count() == 1
    assert opened.count("train3") == 1
    assert opened.count("train4") == 2


def test_the_room_that_is_needed_is_that_of_the_clips_that_are_not_kept_yet(
    tmp_path: Path, little_room: Callable[[float], None], caplog: Any
) -> None:
    def prepared() -> FrameCache:
        cache = FrameCache(tmp_path / "rows", n_clips=10, n_mel_frames=100, n_mels=64)
        cache.prepare()
        return cache

    row = 100 * 64 * 2 + 4
    for n_kept in range(10):
        little_room(1e9 + (10 - n_kept) * row - 1)
        assert prepared().is_full
        little_room(1e9 + (10 - n_kept) * row + 1)
        cache = prepared()
        assert not cache.is_full
        cache.put(n_kept, np.zeros((100, 64)), 100)
    assert len(warnings_of(caplog)) == 10
    little_room(0)
    assert not prepared().is_full  # nothing is missing


def test_a_folder_that_cannot_be_written_is_one_sentence(kept: Corpus, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError) as raised:
        open_cache(kept, "train", FEATURES, Store(tmp_path / "file"))
    message = str(raised.value)
    assert message.startswith(f"data.cache=frames cannot write {tmp_path / 'file'}")
    assert message.endswith("set cache_dir to a folder that you may write, or data.cache=none.")
    assert "\n" not in message


# ---- the key ----


def folder(corpus: Corpus, store: Store, tokenizer: Tokenizer | None = None, split: Split = "train") -> Path:
    cache = open_cache(corpus, split, tokenizer.features if tokenizer else FEATURES, store)
    assert cache is not None
    return cache.folder


@pytest.mark.parametrize(
    "changes",
    [
        {"sample_rate": 8001},
        {"n_fft": 258},
        {"hop_length": 127},
        {"n_mels": 15},
        {"f_min": 20.0},
        {"f_max": 3000.0},
        {"floor_db": -90.0},
    ],
    ids=str,
)
def test_analysis_settings_have_frames_of_their_own(
    kept: Corpus, store: Store, changes: dict[str, Any]
) -> None:
    assert folder(kept, store, build_tiny_tokenizer(features=changes)) != folder(kept, store)


@pytest.mark.parametrize(
    "tokenizer",
    [
        build_tiny_tokenizer(n_clusters=9, seed=3, n_iter=1),
        build_tiny_tokenizer("product"),
        build_tiny_tokenizer(features={"context": [3, 5], "n_components": [4, 4], "bands": [1, 2]}),
        build_tiny_tokenizer(features={"range_db": 60.0, "normalization": "clip_max"}),
        build_tiny_tokenizer(features={"deltas": 2, "stride": 4}),
    ],
    ids=["clustering", "another clustering", "projection", "normalization", "deltas and stride"],
)
def test_what_comes_after_mel_frames_shares_them(kept: Corpus, store: Store, tokenizer: Tokenizer) -> None:
    assert folder(kept, store, tokenizer) == folder(kept, store)


def test_clips_and_their_length_have_frames_of_their_own(kept: Corpus, store: Store) -> None:
    train = kept.clips["train"]

    def of(*clips: Clip) -> Corpus:
        return replace(kept, clips={**kept.clips, "train": Catalogue.of(clips)})

    corpora = [
        kept,
        of(*train[1:]),
        of(replace(train[0], id="another"), *train[1:]),
        of(replace(train[0], digest=1), *train[1:]),
        replace(kept, clip_seconds=0.9),
    ]
    assert len({folder(corpus, store) for corpus in corpora}) == len(corpora)
    assert len({folder(kept, store, split=split) for split in kept.clips}) == 3


def test_where_clips_lie_and_what_is_heard_in_them_does_not_matter(
    kept: Corpus, store: Store, tmp_path: Path
) -> None:
    elsewhere = file_at(tmp_path / "elsewhere")
    moved = Catalogue.of(replace(clip, location=elsewhere, labels=(0,)) for clip in kept.clips["train"])
    assert folder(replace(kept, clips={**kept.clips, "train": moved}), store) == folder(kept, store)


def test_a_clip_of_another_content_is_read_anew(make_clip: MakeClip, kept: Corpus, store: Store) -> None:
    def only(clip: Clip) -> ClipDataset:
        return dataset(replace(kept, clips={**kept.clips, "train": Catalogue.of([clip])}), store)

    rng = np.random.default_rng(0)
    first = only(make_clip("clip", samples=0.1 * rng.standard_normal(8000)))[0]["mel"]
    second = only(make_clip("clip", samples=0.1 * rng.standard_normal(8000)))[0]["mel"]
    assert not torch.equal(first, second)


# ---- nothing kept ----


def test_without_a_cache_nothing_is_kept(corpus: Corpus, store: Store, opened: list[str]) -> None:
    assert open_cache(corpus, "train", FEATURES, store) is None
    clips = dataset(corpus, store)
    for _ in range(2):
        clips[0]
    assert opened == ["train0", "train0"]
    assert not store.root.exists()


def test_poisoned_audio_is_noticed_where_nothing_is_kept(corpus: Corpus, store: Store) -> None:
    clips = dataset(corpus, store)
    clips[0]
    poison(corpus)
    with pytest.raises(UserError, match="could be read when it was inspected"):
        clips[0]
