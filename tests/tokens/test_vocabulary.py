import json
import multiprocessing
import shutil
from collections import Counter
from dataclasses import replace
from multiprocessing.synchronize import Barrier
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny import CLUSTERINGS, file_at, fit_vocabulary, path_of, tiny_source, write_tiny_audioset

from audiotok.data.corpus.catalogue import Catalogue
from audiotok.data.corpus.corpus import Corpus, open_corpus
from audiotok.disk.checksum import CHECKSUMS, write_checksums
from audiotok.errors import UserError
from audiotok.loader import waveforms
from audiotok.loader.training_clips import CorpusClips
from audiotok.store import Store
from audiotok.tokens.measures import REPORTED, token_counts, token_use
from audiotok.tokens.sample import draw_sample
from audiotok.tokens.sidecar import SIDECAR
from audiotok.tokens.tokenizer import Tokenizer
from audiotok.tokens.vocabulary import (
    Vocabulary,
    copy_vocabulary,
    load_run_vocabulary,
    vocabulary_key,
)

N_FRAMES = 18 * 32  # of all training clips of the tiny corpus
CONTEXTS = {"context": [3, 7], "n_components": [3, 5], "bands": [1, 1], "deltas": 1}
KINDS = {
    **{clustering: (clustering, {}) for clustering in CLUSTERINGS},
    "whitened": ("kmeans", {"features": {"whiten": True}}),
    "not projected": ("product", {"features": {"n_components": None}}),
    "of the corpus's scale": ("kmeans", {"features": {"normalization": "corpus", "n_components": None}}),
    "bands": ("product", {"features": {"bands": 4}}),
    "several contexts": ("product", {"features": CONTEXTS}),
}
every_kind = pytest.mark.parametrize(("clustering", "changes"), KINDS.values(), ids=KINDS)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache")


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The audio files that are opened."""
    paths: list[Path] = []
    read_mono = waveforms.read_mono

    def noted(path: Path, *arguments):
        paths.append(path)
        return read_mono(path, *arguments)

    monkeypatch.setattr(waveforms, "read_mono", noted)
    return paths


def with_clips(corpus: Corpus, **clips) -> Corpus:
    return replace(corpus, clips={**corpus.clips, **clips})


def arrays(vocabulary: Vocabulary) -> list[np.ndarray]:
    projection = vocabulary.tokenizer.features.projection
    tensors = (*vocabulary.tokenizer.codebooks.buffers(), projection.mean, projection.components)
    return [tensor.numpy().copy() for tensor in tensors]


def key_of(tokenizer: Tokenizer, corpus: Corpus) -> str:
    return vocabulary_key(tokenizer, CorpusClips(corpus, tokenizer.features))


def assert_same(one: list[np.ndarray], other: list[np.ndarray]) -> None:
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


# ---- fitted once, on training clips ----


@every_kind
def test_the_vocabulary_of_the_run_before_is_taken_where_it_has_the_same_key(
    tmp_path, store, tiny_corpus, tiny_tokenizer, clustering, changes
):
    fitted = fit_vocabulary(tiny_tokenizer(clustering, **changes), tiny_corpus, store)
    moved = {name: array + np.float32(1) for name, array in fitted.tokenizer.arrays().items()}
    fitted.tokenizer.load_arrays(moved)
    fitted.tokenizer.write(tmp_path / "before")
    for changed, is_taken in (({}, True), ({"seed": 1}, False)):
        tokenizer = tiny_tokenizer(clustering, **{**changes, **changed})
        found = fit_vocabulary(tokenizer, tiny_corpus, store, before=tmp_path / "before").tokenizer.arrays()
        assert all(np.array_equal(found[name], moved[name]) for name in moved) == is_taken
    none = fit_vocabulary(tiny_tokenizer(clustering, **changes), tiny_corpus, store, before=tmp_path / "none")
    assert none.key == fitted.key


def test_only_training_clips_are_opened(store, tiny_tokenizer, tiny_corpus, opened, tmp_path):
    nowhere = file_at(tmp_path / "must not be opened")
    poison = {
        split: Catalogue.of(replace(clip, location=nowhere) for clip in tiny_corpus.clips[split])
        for split in ("val", "test")
    }
    vocabulary = fit_vocabulary(tiny_tokenizer(), with_clips(tiny_corpus, **poison), store)
    assert sorted(opened) == sorted(path_of(clip) for clip in tiny_corpus.clips["train"])
    assert vocabulary.tokenizer.codebooks.centroids.shape == (1, 8, 8)


def test_sounds_of_other_splits_do_not_move_centroids(tmp_path, tiny_tokenizer, tiny_corpus):
    found = arrays(fit_vocabulary(tiny_tokenizer(), tiny_corpus, Store(tmp_path / "a")))
    swapped = with_clips(tiny_corpus, val=tiny_corpus.clips["test"], test=tiny_corpus.clips["val"])
    assert key_of(tiny_tokenizer(), swapped) == key_of(tiny_tokenizer(), tiny_corpus)
    assert_same(arrays(fit_vocabulary(tiny_tokenizer(), swapped, Store(tmp_path / "b"))), found)


@every_kind
def test_second_call_reuses_without_opening_audio(
    store, tiny_tokenizer, tiny_corpus, opened, caplog, clustering, changes
):
    with caplog.at_level("INFO"):
        first = fit_vocabulary(tiny_tokenizer(clustering, **changes), tiny_corpus, store)
        assert len(opened) == 18
        second = fit_vocabulary(tiny_tokenizer(clustering, **changes), tiny_corpus, store)
    assert len(opened) == 18
    assert_same(arrays(second), arrays(first))
    assert (second.key, second.report) == (first.key, first.report)
    lines = [message.split() for message in caplog.messages if "centroids used" in message]
    assert [line[0] for line in lines] == ["Fitted", "Reused"]
    assert lines[0][1:] == lines[1][1:]


@every_kind
def test_reused_tokenizer_says_the_same_tokens(store, tiny_tokenizer, tiny_corpus, clustering, changes):
    waves, n_samples = torch.randn(2, 8000), torch.tensor([8000, 8000])
    one = fit_vocabulary(tiny_tokenizer(clustering, **changes), tiny_corpus, store).tokenizer
    other = fit_vocabulary(tiny_tokenizer(clustering, **changes), tiny_corpus, store).tokenizer
    assert one is not other
    assert torch.equal(one(waves, n_samples)[0], other(waves, n_samples)[0])


def test_worker_processes_change_nothing(tmp_path, tiny_tokenizer, tiny_corpus):
    alone = fit_vocabulary(tiny_tokenizer(), tiny_corpus, Store(tmp_path / "a"), n_workers=0)
    helped = fit_vocabulary(tiny_tokenizer(), tiny_corpus, Store(tmp_path / "b"), n_workers=2)
    assert_same(arrays(helped), arrays(alone))


def test_fitting_and_reusing_leave_the_global_generators_alone(store, tiny_tokenizer, tiny_corpus):
    for _ in ("fit", "reuse"):
        torch.manual_seed(0)
        np.random.seed(0)
        fit_vocabulary(tiny_tokenizer(), tiny_corpus, store)
        assert torch.initial_seed() == 0
        assert torch.rand(1).item() == pytest.approx(0.49625659)
        assert np.random.rand() == pytest.approx(0.54881350)


# ---- the key ----


@pytest.mark.parametrize(
    ("clustering", "changes"),
    [
        ("kmeans", {"n_clusters": 9}),
        ("kmeans", {"n_iter": 6}),
        ("kmeans", {"seed": 1}),
        ("kmeans", {"n_frames": 500}),
        ("kmeans", {"n_clips": 17}),
        ("product", {}),
        ("product", {"n_codebooks": 2}),
        *[(clustering, {}) for clustering in CLUSTERINGS if clustering not in {"kmeans", "product"}],
        ("random", {"code_dimensions": 7}),
        *[
            ("kmeans", {"features": {key: value}})
            for key, value in {
                "sample_rate": 8001,
                "n_fft": 258,
                "hop_length": 127,
                "n_mels": 15,
                "f_min": 20.0,
                "f_max": 3000.0,
                "floor_db": -90.0,
                "range_db": 80.0,
                "normalization": "clip_minmax",
                "deltas": 1,
                "context": 2,
                "stride": 3,
                "n_components": 7,
                "bands": 2,
                "whiten": True,
            }.items()
        ],
    ],
    ids=str,
)
def test_every_setting_changes_the_key(tiny_tokenizer, tiny_corpus, clustering, changes):
    base = {key_of(tiny_tokenizer(c), tiny_corpus) for c in ("kmeans", "product")}
    found = key_of(tiny_tokenizer(clustering, **changes), tiny_corpus)
    assert (found in base) == (clustering == "product" and not changes)
    assert len(base) == 2


@pytest.mark.parametrize("normalization", ["none", "clip_minmax", "clip_max", "corpus"])
@pytest.mark.parametrize("context", [3, [3, 5]], ids=str)
def test_normalizations_and_contexts_have_a_key_each(tiny_tokenizer, tiny_corpus, normalization, context):
    def key(normalization, context):
        single = isinstance(context, int)
        sizes = {"n_components": 8, "bands": 1} if single else {"n_components": [4, 4], "bands": [1, 1]}
        changes = {"normalization": normalization, "context": context, **sizes}
        return key_of(tiny_tokenizer(features=changes), tiny_corpus)

    every = [key(n, c) for n in ("none", "clip_minmax", "clip_max", "corpus") for c in (3, [3, 5], [5, 3])]
    assert every.count(key(normalization, context)) == 1
    assert len(set(every)) == len(every)


def test_what_is_cached_of_decoded_clips_does_not_change_the_key(tiny_tokenizer, tiny_corpus):
    kept = replace(tiny_corpus, cache="frames")
    assert key_of(tiny_tokenizer(), kept) == key_of(tiny_tokenizer(), tiny_corpus)


def test_training_clips_and_clip_length_change_the_key(tiny_tokenizer, tiny_corpus):
    train = tiny_corpus.clips["train"]
    corpora = [
        tiny_corpus,
        with_clips(tiny_corpus, train=train[1:]),
        with_clips(tiny_corpus, train=Catalogue.of([*train, tiny_corpus.clips["val"][0]])),
        with_clips(tiny_corpus, train=Catalogue.of([replace(train[0], id="another__id"), *train[1:]])),
        with_clips(tiny_corpus, train=Catalogue.of([replace(train[0], digest=1), *train[1:]])),
        replace(tiny_corpus, clip_seconds=0.9),
    ]
    assert len({key_of(tiny_tokenizer(), corpus) for corpus in corpora}) == len(corpora)


def test_another_root_does_not_change_the_key(tmp_path, tiny_tokenizer, tiny_corpus, store, opened):
    write_tiny_audioset(tmp_path / "elsewhere")
    moved = open_corpus(tiny_source(tmp_path / "elsewhere"), store)
    assert key_of(tiny_tokenizer(), moved) == key_of(tiny_tokenizer(), tiny_corpus)
    first = fit_vocabulary(tiny_tokenizer(), tiny_corpus, store)
    del opened[:]
    assert_same(arrays(fit_vocabulary(tiny_tokenizer(), moved, store)), arrays(first))
    assert opened == []


def test_other_sounds_of_the_same_names_and_sizes_change_the_key(tmp_path, tiny_tokenizer, tiny_audioset):
    shutil.copytree(tiny_audioset, tmp_path / "corpus")
    before = open_corpus(tiny_source(tmp_path / "corpus"), Store(tmp_path / "a"))
    rng = np.random.default_rng(0)
    for path in (tmp_path / "corpus" / "audio").rglob("*.wav"):  # not compressed: the size stays
        soundfile.write(path, 0.1 * rng.standard_normal(8000), 8000)
    after = open_corpus(tiny_source(tmp_path / "corpus"), Store(tmp_path / "b"))
    assert [clip.id for clip in after.clips["train"]] == [clip.id for clip in before.clips["train"]]
    assert key_of(tiny_tokenizer(), after) != key_of(tiny_tokenizer(), before)


# ---- corrupt and foreign files ----


def edit(**changes):
    def damage(folder: Path) -> None:
        sidecar = json.loads((folder / SIDECAR).read_text())
        (folder / SIDECAR).write_text(json.dumps(sidecar | changes))

    return damage


def change_a_setting(folder: Path) -> None:
    sidecar = json.loads((folder / SIDECAR).read_text())
    sidecar["settings"]["features.hop_length"] = 64
    (folder / SIDECAR).write_text(json.dumps(sidecar))


def truncate(name: str, share: float):
    def damage(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: int(share * len(content))])

    return damage


def permute_centroids(folder: Path) -> None:
    np.save(folder / "centroids.npy", np.load(folder / "centroids.npy")[:, ::-1])


def swap_random_projections(folder: Path) -> None:
    np.save(folder / "projections.npy", np.load(folder / "projections.npy")[::-1])


def swap_files(folder: Path) -> None:
    (folder / "mean.npy").rename(folder / "x.npy")
    (folder / "components.npy").rename(folder / "mean.npy")
    (folder / "x.npy").rename(folder / "components.npy")


def pickle_centroids(folder: Path) -> None:
    np.save(folder / "centroids.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)


DAMAGES = {
    "centroids of other bytes": lambda folder: (folder / "centroids.npy").write_bytes(b"no array at all"),
    "centroids empty": truncate("centroids.npy", 0),
    "centroids truncated": truncate("centroids.npy", 0.7),
    "centroids gone": lambda folder: (folder / "centroids.npy").unlink(),
    "centroids permuted": permute_centroids,
    "centroids pickled": pickle_centroids,
    "mean gone": lambda folder: (folder / "mean.npy").unlink(),
    "mean and components swapped": swap_files,
    "sidecar truncated": truncate(SIDECAR, 0.5),
    "sidecar empty": truncate(SIDECAR, 0),
    "sidecar gone": lambda folder: (folder / SIDECAR).unlink(),
    "sidecar a list": lambda folder: (folder / SIDECAR).write_text("[]"),
    "sidecar of bytes": lambda folder: (folder / SIDECAR).write_bytes(b"\xff\xfe{}"),
    "sidecar of other settings": change_a_setting,
    "sidecar of another key": edit(key="0" * 16),
    "sidecar of another checksum": edit(checksum="0" * 16),
    "sidecar without shapes": edit(shapes={}),
    "sidecar without a report": edit(report={}),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_vocabulary_is_fitted_again_with_a_warning(
    store, tiny_tokenizer, tiny_corpus, opened, caplog, damage
):
    first = fit_vocabulary(tiny_tokenizer(), tiny_corpus, store)
    folder = store.folder("centroids", first.key)
    damage(folder)
    del opened[:]
    second = fit_vocabulary(tiny_tokenizer(), tiny_corpus, store)
    assert len(opened) == 18
    assert_same(arrays(second), arrays(first))
    [warning] = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert "made again" in warning
    assert str(folder) in warning
    del opened[:]
    fit_vocabulary(tiny_tokenizer(), tiny_corpus, store)
    assert opened == []


FURTHER_DAMAGES = {
    "lengths gone": ("spherical", lambda folder: (folder / "lengths.npy").unlink()),
    "lengths truncated": ("spherical", truncate("lengths.npy", 0.7)),
    "projections permuted": ("random", swap_random_projections),
    "codes those of the centroids": (
        "random",
        lambda folder: shutil.copy(folder / "centroids.npy", folder / "codes.npy"),
    ),
}


@pytest.mark.parametrize(("clustering", "damage"), FURTHER_DAMAGES.values(), ids=FURTHER_DAMAGES)
def test_damage_to_the_further_arrays_of_a_clustering_is_found(
    store, tiny_tokenizer, tiny_corpus, opened, caplog, clustering, damage
):
    first = fit_vocabulary(tiny_tokenizer(clustering), tiny_corpus, store)
    damage(store.folder("centroids", first.key))
    del opened[:]
    second = fit_vocabulary(tiny_tokenizer(clustering), tiny_corpus, store)
    assert len(opened) == 18
    assert_same(arrays(second), arrays(first))
    assert "made again" in caplog.text


def test_warning_names_the_setting_that_differs(store, tiny_tokenizer, tiny_corpus, caplog):
    vocabulary = fit_vocabulary(tiny_tokenizer(), tiny_corpus, store)
    change_a_setting(store.folder("centroids", vocabulary.key))
    write_checksums(store.folder("centroids", vocabulary.key))
    fit_vocabulary(tiny_tokenizer(), tiny_corpus, store)
    assert "features.hop_length is 64, not 128" in caplog.text


@every_kind
def test_files_are_plain_arrays_and_json(store, tiny_tokenizer, tiny_corpus, clustering, changes):
    vocabulary = fit_vocabulary(tiny_tokenizer(clustering, **changes), tiny_corpus, store)
    folder = store.folder("centroids", vocabulary.key)
    sidecar = json.loads((folder / SIDECAR).read_text())
    names = {f"{name}.npy" for name in sidecar["shapes"]}
    assert {path.name for path in folder.iterdir()} == names | {SIDECAR, CHECKSUMS}
    for name, shape in sidecar["shapes"].items():
        array = np.load(folder / f"{name}.npy", allow_pickle=False)
        assert list(array.shape) == shape
        assert array.dtype == np.float32
    assert sidecar["settings"] == vocabulary.tokenizer.settings
    assert sidecar["key"] == vocabulary.key == key_of(vocabulary.tokenizer, tiny_corpus)


# ---- the copy in a run's folder ----


def test_copy_in_a_run_is_read_without_the_corpus(store, tiny_tokenizer, tiny_corpus, tmp_path):
    vocabulary = fit_vocabulary(tiny_tokenizer("product"), tiny_corpus, store)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "left over").touch()
    copy_vocabulary(vocabulary, tmp_path / "run")
    shutil.rmtree(store.root)
    again = load_run_vocabulary(tiny_tokenizer("product"), tmp_path / "run")
    assert_same(arrays(again), arrays(vocabulary))
    assert (again.key, again.report, again.size) == (vocabulary.key, vocabulary.report, 4 * 8)
    assert not (tmp_path / "run" / "left over").exists()


def test_copy_of_other_settings_is_refused_in_a_sentence(store, tiny_tokenizer, tiny_corpus, tmp_path):
    copy_vocabulary(fit_vocabulary(tiny_tokenizer(), tiny_corpus, store), tmp_path / "run")
    with pytest.raises(UserError) as raised:
        load_run_vocabulary(tiny_tokenizer(features={"hop_length": 64}), tmp_path / "run")
    message = str(raised.value)
    assert str(tmp_path / "run") in message
    assert "features.hop_length is 128, not 64" in message
    assert "\n" not in message


def test_missing_copy_is_refused_in_a_sentence(tiny_tokenizer, tmp_path):
    with pytest.raises(UserError, match="cannot be read") as raised:
        load_run_vocabulary(tiny_tokenizer(), tmp_path / "none")
    assert "\n" not in str(raised.value)


# ---- several processes ----


def fit_in_a_process(tokenizer: Tokenizer, corpus: Corpus, folder: Path, barrier: Barrier) -> None:
    torch.set_num_threads(1)
    read_mono = waveforms.read_mono

    def noted(path: Path, *arguments):
        with (folder / "opened").open("a") as file:
            file.write(f"{path.name}\n")
        return read_mono(path, *arguments)

    waveforms.read_mono = noted
    barrier.wait(120)
    vocabulary = fit_vocabulary(tokenizer, corpus, Store(folder / "cache"))
    with (folder / "checksums").open("a") as file:
        file.write(f"{vocabulary.tokenizer.codebooks.centroids.double().sum().item()}\n")


def test_of_two_processes_at_once_one_fits_and_both_read(tmp_path, tiny_tokenizer, tiny_corpus):
    fork = multiprocessing.get_context("fork")
    barrier = fork.Barrier(2)
    arguments = (tiny_tokenizer(), tiny_corpus, tmp_path, barrier)
    processes = [fork.Process(target=fit_in_a_process, args=arguments) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(180)
    assert [process.exitcode for process in processes] == [0, 0]
    counts = Counter((tmp_path / "opened").read_text().split())
    assert set(counts) == {path_of(clip).name for clip in tiny_corpus.clips["train"]}
    assert set(counts.values()) == {1}
    checksums = (tmp_path / "checksums").read_text().split()
    assert len(checksums) == 2
    assert len(set(checksums)) == 1


# ---- the report ----


@every_kind
def test_report_can_be_recomputed(store, tiny_tokenizer, tiny_corpus, clustering, changes):
    vocabulary = fit_vocabulary(tiny_tokenizer(clustering, **changes), tiny_corpus, store)
    tokenizer, report = vocabulary.tokenizer, vocabulary.report
    frames = torch.from_numpy(
        draw_sample(
            tokenizer.features,
            tokenizer.codebooks,
            tokenizer.sampling,
            CorpusClips(tiny_corpus, tokenizer.features),
        ).project()
    ).double()
    tokens = tokenizer.codebooks.encode(frames.float())
    residual = (frames - tokenizer.codebooks.decode(tokens)).square().sum()
    total = (frames - frames.mean(0)).square().sum()
    assert report["variance_kept"] == pytest.approx(1 - (residual / total).item(), abs=1e-3)
    assert 0 < report["variance_kept"] < 1
    n_codebooks, n_clusters = tokenizer.codebooks.n_codebooks, tokenizer.codebooks.n_clusters
    used = [len(set(codes.tolist())) for codes in tokens.T]
    assert report["centroids_used"] == pytest.approx(np.mean(used) / n_clusters, abs=1e-4)
    assert report["dead_centroids"] == [n_clusters - n for n in used]
    shares = [np.array(list(Counter(codes.tolist()).values())) / len(codes) for codes in tokens.T]
    perplexity = [np.prod(share**-share) for share in shares]
    assert report["perplexity_per_codebook"] == pytest.approx(perplexity, abs=0.01)
    assert report["perplexity"] == pytest.approx(np.mean(perplexity), abs=0.01)
    assert (report["n_frames"], report["n_clips"]) == (N_FRAMES, 18)
    assert vocabulary.size == n_codebooks * n_clusters


def test_masked_tokens_are_not_counted():
    tokens = torch.tensor([[0, 2], [-1, 2], [1, -1], [-1, -1]])
    assert token_counts(tokens, 3).tolist() == [[1, 1, 0], [0, 0, 2]]
    assert token_counts(torch.full((4, 2), -1), 3).tolist() == [[0, 0, 0], [0, 0, 0]]


def test_report_is_flat_json_of_the_reported_names(store, tiny_tokenizer, tiny_corpus):
    report = fit_vocabulary(tiny_tokenizer("product"), tiny_corpus, store).report
    assert report.keys() == REPORTED
    for value in report.values():
        for number in value if isinstance(value, list) else [value]:
            assert isinstance(number, int | float)


def test_centroids_that_no_frame_has_are_counted_and_logged(store, tiny_tokenizer, tiny_corpus, caplog):
    """In half of the codebooks, all centroids but the first are moved out of reach of any frame."""
    tokenizer = tiny_tokenizer("product")
    fit = tokenizer.codebooks.fit

    def fit_badly(frames: np.ndarray) -> None:
        fit(frames)
        tokenizer.codebooks.centroids[2:, 1:] = 1e6

    tokenizer.codebooks.fit = fit_badly
    with caplog.at_level("INFO"):
        report = fit_vocabulary(tokenizer, tiny_corpus, store).report
    dead = report["dead_centroids"]
    assert dead[2:] == [7, 7]
    assert report["perplexity_per_codebook"][2:] == [1, 1]
    assert f"({sum(dead)} dead), mean perplexity {report['perplexity']:.0f}." in caplog.text


def test_more_centroids_keep_more_variance(tmp_path, tiny_tokenizer, tiny_corpus):
    kept = [
        fit_vocabulary(tiny_tokenizer(n_clusters=k), tiny_corpus, Store(tmp_path)).report["variance_kept"]
        for k in (1, 4, 16)
    ]
    assert kept[0] == pytest.approx(0, abs=1e-3)
    assert kept[0] < kept[1] < kept[2]


@pytest.mark.parametrize("n_clusters", [1, 2, 500])
def test_perplexity_of_uniform_counts_is_the_number_of_centroids(n_clusters):
    used, perplexity = token_use(torch.full((3, n_clusters), 7))
    assert used == 1
    assert perplexity == pytest.approx(n_clusters)


def test_perplexity_of_a_single_centroid_is_one():
    counts = torch.zeros(2, 8, dtype=torch.int64)
    counts[:, 3] = 100
    used, perplexity = token_use(counts)
    assert used == 1 / 8
    assert perplexity == pytest.approx(1)


def test_use_is_the_mean_over_codebooks():
    counts = torch.tensor([[5, 5, 5, 5], [9, 0, 0, 0]])
    used, perplexity = token_use(counts)
    assert used == pytest.approx((1 + 1 / 4) / 2)
    assert perplexity == pytest.approx((4 + 1) / 2)


@given(st.lists(st.integers(0, 50), min_size=2, max_size=10).filter(any))
def test_perplexity_is_the_exponential_of_the_entropy(counts):
    shares = [n / sum(counts) for n in counts if n]
    expected = np.prod([share**-share for share in shares])
    used, perplexity = token_use(torch.tensor([counts]))
    assert perplexity == pytest.approx(expected)
    assert used == pytest.approx(len(shares) / len(counts))


@given(st.lists(st.lists(st.integers(0, 5), min_size=3, max_size=3), min_size=1, max_size=30))
def test_counts_are_how_often_each_centroid_occurs(rows):
    counts = token_counts(torch.tensor(rows), 6)
    assert counts.shape == (3, 6)
    for q in range(3):
        for k in range(6):
            assert counts[q, k] == sum(row[q] == k for row in rows)


# ---- what is refused ----


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"n_clusters": N_FRAMES + 1}, f"clustering.n_clusters={N_FRAMES + 1} exceeds the {N_FRAMES} frames"),
        ({"n_frames": 9, "n_clusters": 10}, "clustering.n_clusters=10 exceeds the 9 frames"),
        ({"n_frames": 7, "n_clusters": 2}, "features.n_components=8 exceeds the 7 frames"),
    ],
    ids=str,
)
def test_too_few_frames_are_refused_and_leave_nothing(store, tiny_tokenizer, tiny_corpus, changes, words):
    with pytest.raises(UserError, match=words):
        fit_vocabulary(tiny_tokenizer(**changes), tiny_corpus, store)
    assert [path for path in store.root.glob("centroids/*") if path.suffix != ".lock"] == []


def test_clip_that_has_vanished_is_named_and_not_blamed_on_the_cache(
    store, tiny_tokenizer, tiny_corpus, tmp_path
):
    train = tiny_corpus.clips["train"]
    gone = replace(train[0], location=file_at(tmp_path / "lost.wav"))
    lost = with_clips(tiny_corpus, train=Catalogue.of([*train[1:], gone]))
    with pytest.raises(UserError) as raised:
        fit_vocabulary(tiny_tokenizer(), lost, store)
    assert str(tmp_path / "lost.wav") in str(raised.value)
    assert "cache_dir" not in str(raised.value)
