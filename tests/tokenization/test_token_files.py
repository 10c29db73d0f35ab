"""`audiotok tokens`: files of tokens hold what the tokenizer says, in every format and arrangement."""

import io
import json
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from pyarrow import parquet
from runs import SYNTHETIC, TINY, command
from tiny import SAMPLE_RATE, path_of, tones
from typer.testing import CliRunner

from audiotok import Tokenizer
from audiotok.cli import app
from audiotok.data.corpus.corpus import open_corpus
from audiotok.data.synthetic import Synthetic
from audiotok.disk.checksum import write_checksums
from audiotok.experiment.tokenizer import open_tokenizer
from audiotok.loader import waveforms
from audiotok.run.folder import RunFolder
from audiotok.store import Store
from audiotok.tokens import patterns
from audiotok.tokens.sidecar import SIDECAR

NAMES = ("a.b.wav", "deep/c.wav", "long.flac")


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tiny_tokenizer, tiny_corpus) -> Path:
    """A folder with a tokenizer of 4 x 8 centroids, and sounds of 1, 0.6 and 2.5 s."""
    folder = tmp_path_factory.mktemp("tokens")
    files = [path_of(clip) for clip in tiny_corpus.clips["train"]]
    tiny_tokenizer("product").fit(files, clip_seconds=1.0).save(folder / "tokenizer")
    rng = np.random.default_rng(0)
    for name, seconds in zip(NAMES, (1.0, 0.6, 2.5), strict=True):
        path = folder / "sounds" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, tones([rng.uniform(200, 3000)], rng, seconds), SAMPLE_RATE)
    return folder


@pytest.fixture(scope="module")
def expected(folder) -> dict[str, np.ndarray]:
    tokenizer = Tokenizer.load(folder / "tokenizer")
    return {name: tokenizer.encode(folder / "sounds" / name).numpy() for name in NAMES}


def tokens(*arguments: object) -> str:
    """Call the verb, which must succeed, and return what it prints."""
    result = CliRunner().invoke(app, ["tokens", *map(str, arguments)])
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output


def refused(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["tokens", *map(str, arguments)])
    assert result.exit_code == 1, (result.output, result.exception)
    return " ".join(result.output.split())


def read(path: Path) -> dict[str, tuple[np.ndarray, list[int] | None]]:
    """Read a file with what others read it with: numbers and run lengths of each sound."""
    about = json.loads(path.with_name(f"{path.name}.about.json").read_text())
    if path.suffix == ".npz":
        found = np.load(path)
        ends = found["lengths"].cumsum()[:-1]
        runs = np.split(found["runs"], ends) if "runs" in found else [None] * len(found["ids"])
        numbers = np.split(found["tokens"], ends)
        return {id_: (numbers[i], runs[i]) for i, id_ in enumerate(found["ids"].tolist())}
    if path.suffix == ".jsonl":
        rows = [json.loads(line) for line in path.read_text().splitlines()]
    elif path.suffix == ".parquet":
        rows = parquet.read_table(path).to_pylist()
    elif path.suffix == ".km":
        lines = path.read_text().splitlines()
        return {about["ids"][i]: (np.array(line.split(), int), None) for i, line in enumerate(lines)}
    else:
        with tarfile.open(path) as archive:
            members = {member.name: archive.extractfile(member).read() for member in archive}
        keys = [name.partition(".")[0] for name in members if name.endswith(".json")]
        rows = [
            {**json.loads(members[f"{key}.json"]), "tokens": np.load(io.BytesIO(members[f"{key}.npy"]))}
            for key in keys
        ]
    return {row["id"]: (np.array(row["tokens"]), row.get("runs")) for row in rows}


@pytest.mark.parametrize("kind", ["npz", "jsonl", "parquet", "tar"])
def test_every_format_holds_the_tokens_of_files(folder, expected, tmp_path, kind):
    assert "3 files are in" in tokens(folder / "tokenizer", folder / "sounds", "--to", tmp_path / f"x.{kind}")
    found = read(tmp_path / f"x.{kind}")
    assert found.keys() == expected.keys()
    for name, (numbers, runs) in found.items():
        np.testing.assert_array_equal(numbers, expected[name])
        assert runs is None
    about = json.loads((tmp_path / f"x.{kind}.about.json").read_text())
    assert (about["n_codebooks"], about["n_clusters"], about["vocabulary_size"]) == (4, 8, 8)


def test_patterns_and_units_are_those_of_the_module(folder, expected, tmp_path):
    where = (folder / "tokenizer", folder / "sounds", "--to")
    tokens(*where, tmp_path / "delay.npz", "--pattern", "delay", "--offsets")
    tokens(*where, tmp_path / "units.parquet", "--units")
    tokens(*where, tmp_path / "flat.km", "--units", "--pattern", "flatten", "--offsets")
    delayed, found, flat = (read(tmp_path / name) for name in ("delay.npz", "units.parquet", "flat.km"))
    for name, made in expected.items():
        np.testing.assert_array_equal(patterns.without_offsets(patterns.undelay(delayed[name][0]), 8), made)
        np.testing.assert_array_equal(patterns.ununit(*found[name]), made)
        written = patterns.unflatten(flat[name][0], 4)
        np.testing.assert_array_equal(patterns.without_offsets(written, 8), patterns.units(made)[0])
    about = json.loads((tmp_path / "delay.npz.about.json").read_text())
    assert (about["vocabulary_size"], about["pad"]) == (33, 32)


def test_a_command_that_was_stopped_goes_on(folder, expected, tmp_path, monkeypatch):
    (tmp_path / "bad.wav").write_bytes(b"no sound")
    sounds = [folder / "sounds", tmp_path / "bad.wav"]
    to = tmp_path / "x.npz"
    first = refused(folder / "tokenizer", *sounds, "--to", to)
    assert "bad.wav cannot be read as audio" in first
    monkeypatch.setattr(Tokenizer, "encode_recording", lambda *_: pytest.fail("a file is read again"))
    assert "3 of 3 files are done already" in tokens(folder / "tokenizer", sounds[0], "--to", to)
    assert len(read(to)) == 3


def test_what_cannot_be_is_refused_in_a_sentence(folder, tmp_path):
    where = (folder / "tokenizer", folder / "sounds", "--to")
    for arguments, words in (
        ((*where, tmp_path / "x.txt"), "choose npz, jsonl, parquet, tar, km"),
        ((*where, tmp_path / "x.km"), "this tokenizer has 4 codebooks; add --pattern flatten"),
        ((*where, tmp_path / "x.npz", "--pattern", "x"), "choose parallel, flatten, delay"),
        ((*where, tmp_path / "x.npz", "--pattern", "delay", "--units"), "do not go together"),
        ((*where, tmp_path / "none" / "x.npz"), "in a folder that does not exist"),
        ((folder / "sounds", *where[1:], tmp_path / "x.npz"), "has no vocabulary.json"),
        ((*where[:2], "data=synthetic", "--to", tmp_path / "x.npz"), "give files, or data=OPTION"),
        ((where[0], "data.root=x", "--to", tmp_path / "x.npz"), "needs data; add data=OPTION"),
        ((where[0], "data=synthetik", "--to", tmp_path / "x.npz"), "did you mean data=synthetic"),
    ):
        assert words in refused(*arguments)
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def old(plain_run, tmp_path_factory) -> Path:
    """A run whose vocabulary says no more than those of before format 1."""
    run_of_before = RunFolder(tmp_path_factory.mktemp("old"))
    run_of_before.vocabulary.mkdir()
    for path in [*RunFolder(plain_run[0]).vocabulary.iterdir(), RunFolder(plain_run[0]).config]:
        to = run_of_before.path / path.relative_to(plain_run[0])
        to.write_bytes(path.read_bytes())
    about = json.loads((run_of_before.vocabulary / SIDECAR).read_text())
    kept = {key: about[key] for key in ("key", "shapes", "checksum", "settings", "report")}
    (run_of_before.vocabulary / SIDECAR).write_text(json.dumps(kept))
    write_checksums(run_of_before.vocabulary)
    return run_of_before.path


def test_a_run_of_before_has_a_tokenizer(plain_run, old):
    new = Tokenizer.load(plain_run[0])
    for path in (old, old / "vocabulary"):
        found = open_tokenizer(path)
        assert (found.clip_seconds, found.checksum(), found.key) == (1.0, new.checksum(), new.key)


def test_the_tokens_of_a_corpus_come_from_the_cache(plain_run, old, tmp_path, monkeypatch):
    monkeypatch.setattr(waveforms, "read_mono", lambda *_: pytest.fail("a clip is read again"))
    tokens(old, "data=synthetic", *SYNTHETIC, "engine.n_workers=1", "--to", tmp_path / "x.parquet")
    rows = parquet.read_table(tmp_path / "x.parquet").to_pylist()
    assert sorted({row["split"] for row in rows}) == ["test", "train", "val"]
    assert len(rows) == 36
    tokens(old, "data=synthetic", *SYNTHETIC, "split=test", "--to", tmp_path / "x.npz")
    found = np.load(tmp_path / "x.npz")
    of_test = [row for row in rows if row["split"] == "test"]
    assert found["ids"].tolist() == [row["id"] for row in of_test]
    assert found["labels"].tolist() == ["\t".join(row["labels"]) for row in of_test]
    np.testing.assert_array_equal(found["tokens"], np.concatenate([row["tokens"] for row in of_test]))
    corpus = open_corpus(
        Synthetic(
            n_train_clips=24, n_test_clips=12, clip_seconds=1.0, cache_dir=os.environ["AUDIOTOK_CACHE"]
        ),
        Store(os.environ["AUDIOTOK_CACHE"]),
    )
    tokenizer = Tokenizer.load(plain_run[0])
    for clip in corpus.clips["test"][:3]:
        expected = tokenizer.encode(path_of(clip)).tolist()
        assert expected == next(row["tokens"] for row in rows if row["id"] == clip.id)
    assert "exists; give another file" in refused(old, "data=synthetic", "--to", tmp_path / "x.npz")


def test_a_tokenizer_is_fitted_without_training_and_trained_with(tmp_path):
    tiny = [part for part in TINY if part.partition(".")[0].partition("=")[0] in ("features", "clustering")]
    command(f"hydra.run.dir={tmp_path}/fit", *tiny, *SYNTHETIC, f"to={tmp_path}/own", verb="fit")
    own = Tokenizer.load(tmp_path / "own")
    figures = json.loads((tmp_path / "fit" / "metrics.json").read_text())
    assert (figures["centroid_key"], figures["vocab_size"]) == (own.key, 24 * 8)
    rest = [part for part in TINY if part not in tiny]
    command(
        f"hydra.run.dir={tmp_path}/run", *rest, *SYNTHETIC, "logger=none", f"tokenizer={tmp_path}/own",
        "data.n_train_clips=30",
    )  # fmt: skip
    used = Tokenizer.load(tmp_path / "run")
    assert (used.key, used.checksum()) == (own.key, own.checksum())
    assert RunFolder(tmp_path / "run").read_config()["features"]["sample_rate"] == 8000


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (("features.n_mels=32",), "features.n_mels=32 contradicts tokenizer="),
        (("model.init_from=x",), "both bring a vocabulary"),
        ((), "give the folder of a tokenizer"),
    ],
)
def test_a_tokenizer_that_contradicts_is_refused(folder, tmp_path, overrides, words):
    path = folder / "tokenizer" if overrides else tmp_path
    with pytest.raises(SystemExit):
        command(f"hydra.run.dir={tmp_path}/run", f"tokenizer={path}", *overrides)
    assert words in (tmp_path / "run" / "error.txt").read_text()
