import errno
import json
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
from tiny import build_tiny_recipe, build_tiny_tokenizer, dataset_of, file_at, path_of
from torch.utils.data import DataLoader

from audiotok.augment.recipe import Recipe
from audiotok.data.clip import SPLITS, Clip, Location, Split
from audiotok.data.corpus.catalogue import Catalogue
from audiotok.data.corpus.corpus import Corpus
from audiotok.disk.checksum import write_checksums
from audiotok.errors import UserError
from audiotok.kinds import KINDS, TOKENS
from audiotok.loader import cache as loader_cache
from audiotok.loader.cache import ClipCache
from audiotok.loader.clips import Batch, ClipDataset, Draw, unchanged
from audiotok.loader.rows import HEADERS, Rows
from audiotok.store import Store
from audiotok.tokens.quantizer import Stage
from audiotok.tokens.tokenizer import Tokenizer

MakeClip = Callable[..., Clip]
AGAIN = "processed again in every epoch."
LOUD = build_tiny_recipe(sound={"gain_db": 6.0})
N_CLIPS = {"train": 7, "val": 5, "test": 3}


@pytest.fixture
def kept(corpus: Corpus) -> Corpus:
    """The corpus, whose tokens are to be kept."""
    return replace(corpus, cache="tokens")


def cache_of(
    corpus: Corpus, tokenizer: Tokenizer, store: Store, stage: Stage = "tokens", recipe: Recipe | None = None
) -> ClipCache:
    return ClipCache(corpus, tokenizer, store, stage, recipe)


def dataset(cache: ClipCache, split: Split = "train", **arguments: Any) -> ClipDataset:
    """Return the clips of a split as what the cache keeps of them, or as mel frames."""
    content = "tokens" if cache.caches_tokens(split) else "analysis"
    return dataset_of(cache.corpus, split, cache._analysis.features, cache, content=content, **arguments)


def all_of(clips: ClipDataset) -> Batch:
    return clips.__getitems__([Draw(i, 10 + i) for i in range(len(clips))])


def assert_same(one: Batch, other: Batch) -> None:
    assert one.keys() == other.keys()
    for key in one:
        assert torch.equal(one[key], other[key]), key


def poison(corpus: Corpus, *splits: Split) -> None:
    """Make all audio unreadable."""
    for split in splits or SPLITS:
        for clip in corpus.clips[split]:
            path_of(clip).write_bytes(b"no sound")


def fill_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every row that is written from now on find the disk full."""

    def full_disk(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Rows, "write", full_disk)


def messages(caplog: pytest.LogCaptureFixture, level: int = logging.WARNING) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == level]


# ---- what is kept ----


@pytest.mark.parametrize(
    ("cache", "stage", "recipe", "tokens", "frames"),
    [
        ("tokens", "tokens", None, SPLITS, ()),
        ("tokens", "tokens", build_tiny_recipe(words={"noise": 0.5}), SPLITS, ()),
        ("tokens", "tokens", LOUD, ("val", "test"), ("train",)),
        ("tokens", "frames", None, (), SPLITS),
        ("tokens", "analysis", LOUD, (), SPLITS),
        ("frames", "tokens", None, SPLITS, SPLITS),
        ("frames", "tokens", LOUD, ("val", "test"), SPLITS),
        ("frames", "analysis", None, (), SPLITS),
        ("none", "tokens", None, (), ()),
        ("none", "frames", LOUD, (), ()),
    ],
)
def test_tokens_are_kept_of_what_does_not_vary_and_mel_frames_of_the_rest(
    corpus,
    tokenizer,
    store,
    cache,
    stage,
    recipe,
    tokens,
    frames,
):
    found = cache_of(replace(corpus, cache=cache), tokenizer, store, stage, recipe)
    assert tuple(filter(found.caches_tokens, SPLITS)) == tokens
    assert tuple(filter(found.caches_analysis, SPLITS)) == frames
    for split in SPLITS:
        assert (found.tokens(split) is not None) == (split in tokens)
        assert found.analysis(split) is not None or split not in frames
    assert {path.name for path in store.root.glob("*")} == (
        ({"tokens"} if tokens else set()) | ({"frames"} if frames else set())
    )


@pytest.mark.parametrize("cache", ["tokens", "frames"])
@pytest.mark.parametrize("stage", ["tokens", "frames"])
def test_a_second_epoch_and_another_run_open_no_audio(corpus, tokenizer, store, opened, cache, stage):
    kept = replace(corpus, cache=cache)
    first = cache_of(kept, tokenizer, store, stage)
    batches = {split: all_of(dataset(first, split)) for split in SPLITS}
    assert sorted(opened) == sorted(f"{split}{i}" for split, n in N_CLIPS.items() for i in range(n))
    for path in {path_of(clip) for clips in kept.clips.values() for clip in clips}:
        path.unlink()
    for again in (first, cache_of(kept, tokenizer, Store(store.root), stage)):
        for split in SPLITS:
            assert_same(all_of(dataset(again, split)), batches[split])


def test_kept_tokens_are_those_of_the_mel_frames(corpus, kept, tokenizer, store):
    cache = cache_of(kept, tokenizer, store)
    for split in SPLITS:
        plain = all_of(dataset_of(corpus, split, tokenizer.features))
        expected, lengths = tokenizer.read(plain["analysis"], plain["n_slices"], "tokens")
        for _ in range(2):
            batch = all_of(dataset(cache, split))
            assert batch["tokens"].dtype == torch.uint8
            assert torch.equal(batch["tokens"].long(), expected)
            assert torch.equal(batch["n_tokens"], lengths)
            for key in ("index", "seed", "targets"):
                assert torch.equal(batch[key], plain[key])
    assert len(expected.unique()) > 3


@pytest.mark.parametrize("cache", ["tokens", "frames"])
def test_kept_mel_frames_are_those_that_are_made(corpus, tokenizer, store, cache):
    found = cache_of(replace(corpus, cache=cache), tokenizer, store, "analysis")
    for split in SPLITS:
        for _ in range(2):
            assert_same(all_of(dataset(found, split)), all_of(dataset_of(corpus, split, tokenizer.features)))


def test_with_mel_frames_another_clustering_opens_no_audio(corpus, tokenizer, store):
    kept = replace(corpus, cache="frames")
    for split in SPLITS:
        all_of(dataset(cache_of(kept, tokenizer, store), split))
    poison(kept)
    other = build_tiny_tokenizer("product")
    other.features.fit(torch.randn(100, other.features.n_inputs))
    other.codebooks.fit(np.random.default_rng(0).standard_normal((400, 8)).astype(np.float32))
    for split in SPLITS:
        assert all_of(dataset(cache_of(kept, other, store), split))["tokens"].shape[1:] == (32, 4)


def test_mel_frames_that_lie_there_are_read_but_no_more_are_kept(kept, tokenizer, store, opened):
    """A run whose sound is augmented came first."""
    all_of(dataset(cache_of(kept, tokenizer, store, recipe=LOUD)))
    del opened[:]
    cache = cache_of(kept, tokenizer, store)
    for split in SPLITS:
        all_of(dataset(cache, split))
    assert sorted(opened) == sorted([f"val{i}" for i in range(5)] + [f"test{i}" for i in range(3)])
    frames = cache.analysis("train")
    assert frames is not None
    assert np.count_nonzero(frames.rows.lengths()) == 7


def test_more_centroids_than_a_byte_counts_take_two(kept, store):
    for n_clusters, dtype in ((256, np.uint8), (257, np.uint16)):
        tokenizer = build_tiny_tokenizer(n_clusters=n_clusters)
        tokenizer.features.fit(torch.randn(100, 48))
        codes = np.random.default_rng(0).standard_normal((1, n_clusters, 8)) * 10
        tokenizer.codebooks.load_arrays({"centroids": codes})
        cache = cache_of(kept, tokenizer, store)
        batch = all_of(dataset(cache))
        assert batch["tokens"].numpy().dtype == dtype
        assert_same(all_of(dataset(cache)), batch)


def test_without_a_cache_nothing_is_cached(corpus, tokenizer, store, opened):
    clips = dataset(cache_of(corpus, tokenizer, store))
    for _ in range(2):
        clips.__getitems__([0])
    assert opened == ["train0", "train0"]
    assert not store.root.exists()
    poison(corpus)
    with pytest.raises(UserError, match="could be read when it was inspected"):
        clips.__getitems__([0])


def test_what_is_absent_is_still_read_where_audio_has_broken(kept, tokenizer, store):
    clips = dataset(cache_of(kept, tokenizer, store))
    clips.__getitems__([0, 1])
    poison(kept)
    clips.__getitems__([1, 0, 1])
    with pytest.raises(UserError, match=r"train2\.wav could be read when it was inspected"):
        clips.__getitems__([1, 2])


def test_it_is_known_when_all_tokens_are_kept(kept, tokenizer, store):
    clips = dataset(cache_of(kept, tokenizer, store))
    for index in range(7):
        assert not clips.is_cached
        clips.__getitems__([index])
    assert clips.is_cached
    assert not dataset(cache_of(kept, tokenizer, store), random_crop=True).is_cached  # long clips vary
    assert not dataset(cache_of(kept, tokenizer, store, recipe=LOUD)).is_cached
    assert not dataset(cache_of(kept, tokenizer, store, "analysis")).is_cached


# ---- several processes ----


@pytest.mark.parametrize("recipe", [None, LOUD], ids=["tokens", "mel frames"])
def test_worker_processes_keep_what_they_read(kept, tokenizer, store, recipe):
    clips = dataset(cache_of(kept, tokenizer, store, recipe=recipe))
    loader: Any = DataLoader(clips, batch_size=2, num_workers=2, collate_fn=unchanged)
    first = list(loader)
    poison(kept)
    for one, other in zip(loader, first, strict=True):
        assert_same(one, other)


def fill(corpus: Corpus, tokenizer: Tokenizer, root: Path, barrier: Barrier | None) -> None:
    torch.set_num_threads(1)
    if barrier:
        barrier.wait(120)
    cache = cache_of(corpus, tokenizer, Store(root))
    for split in SPLITS:
        all_of(dataset(cache, split))


def test_processes_that_fill_one_cache_at_once_write_what_one_alone_would(kept, tokenizer, tmp_path):
    fork = multiprocessing.get_context("fork")
    barrier = fork.Barrier(2)
    arguments = (replace(kept, cache="frames"), tokenizer, tmp_path / "both", barrier)
    processes = [fork.Process(target=fill, args=arguments) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0]
    fill(replace(kept, cache="frames"), tokenizer, tmp_path / "alone", None)
    for kind in ("frames", "tokens"):
        [both] = (path for path in (tmp_path / "both" / kind).iterdir() if path.is_dir())
        for path in both.iterdir():
            alone = tmp_path / "alone" / path.relative_to(tmp_path / "both")
            assert path.read_bytes() == alone.read_bytes()


# ---- random crops ----


def test_random_crops_of_clips_that_are_too_long_are_not_kept(kept, tokenizer, store, opened):
    for stage in ("tokens", "analysis"):
        del opened[:]
        clips = dataset(cache_of(kept, tokenizer, store, stage), random_crop=True)
        for epoch in range(3):
            clips.__getitems__([Draw(index, 10 * epoch + index) for index in range(7)])
        is_long = [clip.seconds > kept.clip_seconds for clip in kept.clips["train"]]
        assert is_long == [False, False, True, False, False, True, False]
        counts = [opened.count(clip.id) for clip in kept.clips["train"]]
        assert counts == [3 if long else 1 for long in is_long]
    crops = [clips.__getitems__([Draw(2, seed)])["analysis"] for seed in (1, 2, 1)]
    assert torch.equal(crops[0], crops[2])
    assert not torch.equal(crops[0], crops[1])


def test_a_kept_middle_is_not_taken_for_a_random_crop(kept, corpus, tokenizer, store):
    middles = dataset(cache_of(kept, tokenizer, store, "analysis"))
    middle = middles.__getitems__([2])["analysis"]
    cropped = dataset(cache_of(kept, tokenizer, store, "analysis"), random_crop=True)
    uncached = dataset_of(corpus, "train", tokenizer.features, random_crop=True)
    assert_same(cropped.__getitems__([Draw(2, 1)]), uncached.__getitems__([Draw(2, 1)]))
    assert not torch.equal(cropped.__getitems__([Draw(2, 1)])["analysis"], middle)
    assert torch.equal(middles.__getitems__([2])["analysis"], middle)


# ---- the disk ----


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Pretend that so many bytes are free on every disk."""

    def pretend(n_bytes: float) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=n_bytes))

    return pretend


@pytest.mark.parametrize(
    ("cache", "recipe", "line"),
    [
        ("tokens", None, "data.cache=tokens caches the tokens of 15 clips (600 bytes)"),
        (
            "tokens",
            LOUD,
            "data.cache=tokens caches the mel frames of 7 clips (14 kB) "
            "and the tokens of 8 clips (320 bytes)",
        ),
        (
            "frames",
            None,
            "data.cache=frames caches the mel frames of 15 clips (30 kB) "
            "and the tokens of 15 clips (600 bytes)",
        ),
    ],
)
def test_what_will_be_kept_and_its_size_are_said_once_before(
    corpus,
    tokenizer,
    store,
    caplog,
    cache,
    recipe,
    line,
):
    with caplog.at_level("INFO"):
        found = cache_of(replace(corpus, cache=cache), tokenizer, store, recipe=recipe)
        assert not store.root.exists()
        for split in SPLITS:
            all_of(dataset(found, split))
    assert messages(caplog, logging.INFO) == [f"{line} in {store.root}."]


def test_where_any_order_is_slow_filling_is_recommended_once(kept, tokenizer, store, caplog, monkeypatch):
    monkeypatch.setattr(loader_cache, "_MANY", 15)
    parquet = {
        split: Catalogue.of(replace(clip, location=Location("parquet", "00.parquet", "0")) for clip in clips)
        for split, clips in kept.clips.items()
    }
    for clips, n_lines in ((kept.clips, 0), (parquet, 1)):
        caplog.clear()
        found = cache_of(replace(kept, clips=clips), tokenizer, store)
        for split in SPLITS:
            found.tokens(split)
        lines = messages(caplog, logging.WARNING)
        assert len(lines) == n_lines
    assert "data.layout=parquet reads a whole row group for each clip in random order" in lines[0]
    assert "the tokens of 15 clips are not cached yet" in lines[0]
    assert "fill=tokens" in lines[0]


def test_a_full_disk_is_said_once_and_what_is_there_is_still_read(
    kept,
    corpus,
    tokenizer,
    store,
    monkeypatch,
    caplog,
    opened,
):
    cache = cache_of(kept, tokenizer, store, recipe=LOUD)
    dataset(cache).__getitems__([0, 1])
    dataset(cache, "val").__getitems__([0, 1])
    fill_disk(monkeypatch)
    del opened[:]
    for _ in range(2):
        for split in SPLITS:
            batch = all_of(dataset(cache, split))
            plain = all_of(dataset_of(corpus, split, tokenizer.features))
            assert torch.equal(batch["targets"], plain["targets"])
    frames = cache.analysis("train")
    assert frames is not None
    [warning] = messages(caplog)
    assert warning.startswith(f"{frames.folder} cannot be written (No space left on device)")
    assert warning.endswith(AGAIN)
    # twice by the other dataset, and twice where nothing is kept
    assert [opened.count(f"train{i}") for i in range(7)] == [2, 2, 4, 4, 4, 4, 4]
    assert [opened.count(f"val{i}") for i in range(5)] == [2, 2, 4, 4, 4]


def test_a_full_disk_that_a_worker_finds_is_known_to_all(kept, tokenizer, store, monkeypatch, caplog):
    fill_disk(monkeypatch)
    clips = dataset(cache_of(kept, tokenizer, store))
    loader: Any = DataLoader(
        clips, batch_size=2, num_workers=1, multiprocessing_context="fork", collate_fn=unchanged
    )
    assert len(list(loader)) == 4
    clips.__getitems__([0])
    assert messages(caplog) == []  # the worker has said it


def test_a_disk_with_too_little_room_is_left_alone_and_said_so_once(
    kept,
    tokenizer,
    store,
    free,
    caplog,
    opened,
):
    dataset(cache_of(kept, tokenizer, store)).__getitems__([3])
    free(1e9)
    cache = cache_of(kept, tokenizer, store)
    for _ in range(2):
        for split in SPLITS:
            all_of(dataset(cache, split))
    [warning] = messages(caplog)
    assert warning.startswith("data.cache=tokens needs another 560 bytes for tokens in ")
    assert warning.endswith(AGAIN)
    assert opened.count("train3") == 1
    assert opened.count("train4") == 2


def test_tokens_are_kept_where_mel_frames_have_no_room(corpus, tokenizer, store, free, caplog):
    free(1e9 + 2000)
    cache = cache_of(replace(corpus, cache="frames"), tokenizer, store)
    for split in SPLITS:
        all_of(dataset(cache, split))
    [warning] = messages(caplog)
    assert "needs another 30 kB for mel frames in" in warning
    poison(corpus)
    assert dataset(cache).is_cached


def test_a_disk_that_is_full_does_not_matter_where_nothing_is_missing(kept, tokenizer, store, free, caplog):
    for split in SPLITS:
        all_of(dataset(cache_of(kept, tokenizer, store), split))
    free(0)
    assert dataset(cache_of(kept, tokenizer, store)).is_cached
    assert messages(caplog) == []


def test_a_folder_that_cannot_be_written_is_one_sentence(kept, tokenizer, tmp_path):
    (tmp_path / "file").touch()
    cache = cache_of(kept, tokenizer, Store(tmp_path / "file"))
    with pytest.raises(UserError) as raised:
        cache.tokens("train")
    assert re_sentence(str(raised.value), tmp_path / "file")


def re_sentence(message: str, folder: Path) -> bool:
    return message.startswith(f"cache_dir={folder} cannot be written") and "\n" not in message


# ---- the key and the sidecar ----


def folders(corpus: Corpus, store: Store, tokenizer: Tokenizer) -> tuple[str, str]:
    """Return the keys of the mel frames and of the tokens."""
    cache = cache_of(corpus, tokenizer, store)
    return cache._analysis.folder.name, cache._tokens.folder.name


ANALYSIS: list[dict[str, Any]] = [
    {"sample_rate": 8001},
    {"n_fft": 258},
    {"hop_length": 127},
    {"n_mels": 15},
    {"f_min": 20.0},
    {"f_max": 3000.0},
    {"floor_db": -90.0},
]


@pytest.mark.parametrize("changes", ANALYSIS, ids=str)
def test_analysis_settings_have_mel_frames_and_tokens_of_their_own(kept, store, changes):
    pairs = zip(
        folders(kept, store, build_tiny_tokenizer()),
        folders(kept, store, build_tiny_tokenizer(features=changes)),
        strict=True,
    )
    assert all(one != other for one, other in pairs)


@pytest.mark.parametrize(
    "other",
    [
        build_tiny_tokenizer(n_clusters=9),
        build_tiny_tokenizer("product"),
        build_tiny_tokenizer(features={"context": [3, 5], "n_components": [4, 4], "bands": [1, 2]}),
        build_tiny_tokenizer(features={"range_db": 60.0, "normalization": "clip_max"}),
    ],
)
def test_what_is_done_with_mel_frames_has_tokens_of_its_own(kept, store, other):
    frames, tokens = folders(kept, store, build_tiny_tokenizer())
    other_frames, other_tokens = folders(kept, store, other)
    assert frames == other_frames
    assert tokens != other_tokens


def test_centroids_that_were_fitted_otherwise_have_tokens_of_their_own(kept, store):
    one, other = build_tiny_tokenizer(), build_tiny_tokenizer()
    one.codebooks.load_arrays({"centroids": np.zeros((1, 8, 8))})
    other.codebooks.load_arrays({"centroids": np.full((1, 8, 8), 1e-7)})
    assert folders(kept, store, one)[1] != folders(kept, store, other)[1]


def test_clips_and_their_length_have_rows_of_their_own(kept, store, tokenizer):
    train = kept.clips["train"]

    def of(*clips: Clip) -> Corpus:
        return replace(kept, clips={**kept.clips, "train": Catalogue.of(clips)})

    corpora = [
        kept,
        of(*train[1:]),
        of(replace(train[0], digest=1), *train[1:]),
        replace(kept, clip_seconds=0.9),
    ]
    assert len({folders(corpus, store, tokenizer) for corpus in corpora}) == len(corpora)


def tokens_by_id(corpus: Corpus, tokenizer: Tokenizer, store: Store) -> dict[str, list[Any]]:
    cache = cache_of(corpus, tokenizer, store)
    return {
        clip.id: tokens
        for split in SPLITS
        for clip, tokens in zip(
            corpus.clips[split], all_of(dataset(cache, split))["tokens"].tolist(), strict=True
        )
    }


def test_splits_and_folds_of_the_same_clips_share_their_rows(kept, store, tokenizer):
    expected = tokens_by_id(kept, tokenizer, store)
    poison(kept)
    clips = [clip for clips in kept.clips.values() for clip in clips]
    folds = replace(
        kept,
        clips={
            "train": Catalogue.of(replace(clip, split="train") for clip in clips[3:]),
            "val": Catalogue.of(replace(clip, split="val") for clip in clips[:1]),
            "test": Catalogue.of(replace(clip, split="test") for clip in clips[1:3]),
        },
    )
    assert tokens_by_id(folds, tokenizer, store) == expected


def test_where_clips_lie_what_they_are_called_and_what_is_heard_in_them_does_not_matter(
    kept, store, tokenizer, tmp_path
):
    elsewhere = file_at(tmp_path / "elsewhere")
    moved = Catalogue.of(
        replace(clip, id=f"x{clip.id}", location=elsewhere, labels=(0,)) for clip in kept.clips["train"]
    )
    other = replace(kept, clips={**kept.clips, "train": moved})
    assert folders(other, store, tokenizer) == folders(kept, store, tokenizer)


def test_files_of_the_same_bytes_share_a_row(kept, store, tokenizer, make_clip, opened, tmp_path):
    one = make_clip("one")
    copied = shutil.copy(tmp_path / "one.wav", tmp_path / "two.wav")
    twins = [one, replace(one, id="two", location=file_at(copied))]
    clips = dataset(
        cache_of(replace(kept, clips={**kept.clips, "train": Catalogue.of(twins)}), tokenizer, store)
    )
    clips.__getitems__([0])
    clips.__getitems__([1])
    assert opened == ["one"]


def test_the_sidecar_says_what_rows_are_made_of(kept, store, tokenizer):
    cache = cache_of(replace(kept, cache="frames"), tokenizer, store)
    for found in (cache.analysis("train"), cache.tokens("train")):
        assert found is not None
        about = json.loads((found.folder / TOKENS.sidecar).read_text())
        assert about["made_of"] == found.made_of
        assert (about["made_of"]["clip_seconds"], about["made_of"]["n_clips"]) == (1, 15)


def change(**changes: Any) -> Callable[[Path], object]:
    def damage(folder: Path) -> None:
        about = json.loads((folder / TOKENS.sidecar).read_text())
        (folder / TOKENS.sidecar).write_text(json.dumps(about | changes))
        write_checksums(folder, HEADERS)

    return damage


def shorten(folder: Path) -> None:
    np.save(folder / "rows.npy", np.zeros((15, 3, 1), np.uint8))
    write_checksums(folder, HEADERS)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (change(version=0), f"the tokens have version 0, not {TOKENS.version}"),
        (lambda folder: (folder / TOKENS.sidecar).unlink(), "about.json is missing"),
        (lambda folder: (folder / TOKENS.sidecar).write_text("[]"), "about.json has another size"),
        (lambda folder: (folder / "rows.npy").unlink(), "rows.npy is missing"),
        (shorten, "the shape of these clips"),
        (lambda folder: (folder / "checksums.json").unlink(), "an earlier version made it"),
    ],
)
def test_broken_rows_are_ignored_and_this_is_said(
    kept,
    store,
    tokenizer,
    caplog,
    damage,
    words,
):
    first = cache_of(kept, tokenizer, store)
    expected = all_of(dataset(first))
    tokens = first.tokens("train")
    assert tokens is not None
    damage(tokens.folder)
    again = cache_of(kept, tokenizer, store)
    clips = dataset(again)
    assert not clips.is_cached
    [warning] = messages(caplog)
    assert words in warning
    assert warning.endswith("it is made again.")
    assert_same(all_of(clips), expected)
    assert dataset(cache_of(kept, tokenizer, store)).is_cached


def test_rows_of_another_version_lie_beside_these_and_stay(kept, store, tokenizer, monkeypatch, caplog):
    all_of(dataset(cache_of(kept, tokenizer, store)))
    with monkeypatch.context() as patch:
        patch.setitem(KINDS, "tokens", replace(TOKENS, version=TOKENS.version + 1))
        clips = dataset(cache_of(kept, tokenizer, store))
        assert not clips.is_cached
        all_of(clips)
    assert dataset(cache_of(kept, tokenizer, store)).is_cached
    assert len(store.entries("tokens")) == 2
    assert messages(caplog) == []


def test_rows_that_a_run_reads_are_not_removed(kept, store, tokenizer):
    cache = cache_of(kept, tokenizer, store)
    clips = dataset(cache)
    all_of(clips)
    [entry] = Store(store.root).entries()
    assert not Store(store.root).remove(entry)
    del cache, clips
    assert Store(store.root).remove(entry)
    assert Store(store.root).entries() == []
