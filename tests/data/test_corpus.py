import csv
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import soundfile
from sklearn.metrics import average_precision_score
from tiny import file_at, targets_of, tiny_source

from audiotok.data.clip import Clip, Listing, Location, SoundClass
from audiotok.data.corpus.catalogue import Catalogue
from audiotok.data.corpus.corpus import Corpus, open_corpus
from audiotok.data.limits import Limits
from audiotok.data.reading.files import Files, fingerprint
from audiotok.data.source import Cache, Source
from audiotok.errors import UserError
from audiotok.store import Store

RATE = 8000
CLASSES = (SoundClass("a", "A"), SoundClass("b", "B"), SoundClass("c", "C"))


@dataclass(frozen=True)
class Listed(Source):
    """A source whose listing is given."""

    clips: list[Clip]
    classes: tuple[SoundClass, ...] = CLASSES
    clip_seconds: float = field(default=1.0, kw_only=True)
    cache: Cache = field(default="none", kw_only=True)

    def fingerprint_of_tables(self) -> str:
        return ""

    def fingerprint_of_audio(self) -> str:
        return fingerprint(Files().stat(clip.location.path) for clip in self.clips if clip.location)

    def read(self) -> Listing:
        return Listing(self.classes, tuple(self.clips))


@pytest.fixture
def sound(tmp_path: Path):
    """Write noise of some seconds and return where it is."""

    def write(name: str, seconds: float = 1.0, level: float = 0.1) -> Location:
        wave = level * np.random.default_rng(0).standard_normal(round(seconds * RATE))
        soundfile.write(tmp_path / name, wave, RATE)
        return file_at(tmp_path / name)

    return write


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache")


def corpus_of(labels: dict[str, list[tuple[int, ...]]]) -> Corpus:
    """Build a corpus of clips that have labels and no sound."""
    clips = {
        split: Catalogue.of(Clip(f"{split}{n:04}", None, of, split) for n, of in enumerate(labels[split]))
        for split in labels
    }
    return Corpus(CLASSES, clips, 1.0)


# ---- counts and chance ----


def test_clips_of_each_class_are_counted():
    corpus = corpus_of({"train": [(0, 2), (), (2,)], "val": []})
    assert corpus.class_counts("train").tolist() == [1, 0, 2]
    assert corpus.class_counts("val").tolist() == [0, 0, 0]


def test_chance_is_the_mean_prevalence_of_the_classes_that_occur():
    corpus = corpus_of({"test": [(0,), (0,), (0, 1), ()]})
    assert corpus.chance("test") == pytest.approx((3 / 4 + 1 / 4) / 2)


def test_chance_is_the_average_precision_of_a_guess():
    rng = np.random.default_rng(0)
    labels = [tuple(np.flatnonzero(rng.random(3) < (0.1, 0.3, 0.7)).tolist()) for _ in range(4000)]
    corpus = corpus_of({"test": labels})
    guess = average_precision_score(
        targets_of(corpus.clips["test"], 3), rng.random((4000, 3)), average="macro"
    )
    assert corpus.chance("test") == pytest.approx(guess, rel=0.05)


# ---- opening ----


def test_tiny_corpus_is_usable_as_a_whole(tiny_corpus):
    assert {split: len(clips) for split, clips in tiny_corpus.clips.items()} == {
        "train": 18,
        "val": 6,
        "test": 8,
    }
    assert len(tiny_corpus.skipped) == 0
    assert all(clip.seconds == 1.0 and clip.digest > 0 for clip in tiny_corpus.clips["train"])


def test_usable_clips_know_their_length_and_size(sound, store):
    paths = {split: sound(f"{split}.wav", 0.75) for split in ("train", "val", "test")}
    corpus = open_corpus(Listed([Clip(s, paths[s], (0,), s) for s in paths]), store)
    assert [clip.seconds for clip in corpus.clips["train"]] == [0.75]
    assert corpus.clips["train"][0].digest > 0


@pytest.mark.parametrize("cache", ["none", "frames"])
def test_a_corpus_knows_what_is_to_be_kept_of_its_clips(tiny_audioset, store, cache):
    assert open_corpus(tiny_source(tiny_audioset, cache=cache), store).cache == cache


@pytest.fixture
def mixed(sound, store, tmp_path, caplog) -> Corpus:
    """Open a corpus with every kind of clip."""
    (tmp_path / "text.wav").write_text("no sound")
    (tmp_path / "empty.wav").touch()
    clips = [
        Clip("train", sound("train.wav"), (0,), "train"),
        Clip("padded", sound("padded.wav", 0.9), (0,), "train"),
        Clip("cropped", sound("cropped.wav", 1.2), (0, 1), "val"),
        Clip("test", sound("test.wav"), (1,), "test"),
        Clip("none", None, (0,), "train"),
        Clip("gone", file_at(tmp_path / "gone.wav"), (0,), "test"),
        Clip("text", file_at(tmp_path / "text.wav"), (0,), "train"),
        Clip("empty", file_at(tmp_path / "empty.wav"), (0,), "train"),
        Clip("short", sound("short.wav", 0.4), (0,), "train"),
        Clip("long", sound("long.wav", 2.5), (0,), "train"),
        Clip("silent", sound("silent.wav", 1.0, 0.0), (0,), "val"),
    ]
    with caplog.at_level("INFO"):
        return open_corpus(Listed(clips, limits=Limits(0.5, 2.0, -80.0)), store)


def test_unusable_clips_are_left_out_and_counted(mixed):
    assert {split: [clip.id for clip in clips] for split, clips in mixed.clips.items()} == {
        "train": ["padded", "train"],
        "val": ["cropped"],
        "test": ["test"],
    }
    skipped = mixed.skipped.table()
    assert dict(zip(skipped["id"].to_pylist(), skipped["status"].to_pylist(), strict=True)) == {
        "none": "missing",
        "gone": "missing",
        "text": "broken",
        "empty": "empty",
        "short": "short",
        "long": "long",
        "silent": "silent",
    }


def test_summary_counts_clips(mixed, tiny_corpus):
    summary = mixed.summary()
    for words in ("2 train, 1 val, 1 test", "3 classes", "1 shorter than 1 s", "1 longer"):
        assert words in summary
    assert "7 skipped (2 missing, 1 broken, 1 empty, 1 long, 1 short, 1 silent)" in summary
    assert "none skipped" in tiny_corpus.summary()


def test_opening_logs_the_summary(mixed, caplog):
    assert f"Found {mixed.summary()}" in [record.getMessage() for record in caplog.get_records("setup")]


def test_skipped_clips_are_written_with_id_path_and_reason(mixed, tmp_path):
    mixed.write_skipped(tmp_path / "skipped.csv")
    with (tmp_path / "skipped.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["id", "path", "reason"]
    table = {id_: (path, reason) for id_, path, reason in rows[1:]}
    assert len(table) == 7
    assert table["none"] == ("", "missing")
    assert table["gone"] == (str(tmp_path / "gone.wav"), "missing")
    assert table["empty"] == (str(tmp_path / "empty.wav"), "empty")
    assert table["short"] == (str(tmp_path / "short.wav"), "short: 0.40 s")
    assert table["long"][1] == "long: 2.50 s"
    assert table["silent"][1] == "silent: peak 0.0e+00"
    assert table["text"][1].startswith("broken: ")
    assert "not recognised" in table["text"][1]


def test_reason_does_not_repeat_the_path(mixed, tmp_path):
    assert not any(str(tmp_path) in detail for detail in mixed.skipped.table()["detail"].to_pylist())


# ---- what is refused ----


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_split_without_listed_clips_is_refused(sound, store, split):
    path = sound("a.wav")
    clips = [Clip(s, path, (0,), s) for s in ("train", "val", "test") if s != split]
    with pytest.raises(UserError, match=f"The {split} split has no clips") as raised:
        open_corpus(Listed(clips), store)
    assert ("data.validation" in str(raised.value)) == (split == "val")


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_split_without_a_usable_clip_is_refused_with_an_example(sound, store, tmp_path, split):
    path = sound("a.wav")
    clips = [Clip(s, path, (0,), s) for s in ("train", "val", "test") if s != split]
    clips += [Clip(f"lost{n}", file_at(tmp_path / "lost.wav"), (0,), split) for n in range(3)]
    with pytest.raises(UserError) as raised:
        open_corpus(Listed(clips), store)
    message = str(raised.value)
    assert f"The {split} split has no usable clip: all 3" in message
    assert "lost0 (missing" in message
    assert "\n" not in message


@pytest.mark.parametrize("split", ["val", "test"])
def test_split_whose_clips_have_no_class_is_refused(sound, store, split):
    path = sound("a.wav")
    clips = [Clip(s, path, () if s == split else (0,), s) for s in ("train", "val", "test")]
    with pytest.raises(UserError, match=r"data\.classes"):
        open_corpus(Listed(clips), store)


def test_fewer_than_two_classes_are_refused(sound, store):
    path = sound("a.wav")
    clips = [Clip(s, path, (0,), s) for s in ("train", "val", "test")]
    with pytest.raises(UserError, match="1 class"):
        open_corpus(Listed(clips, classes=CLASSES[:1]), store)
    assert len(open_corpus(Listed(clips, classes=CLASSES[:2]), store).classes) == 2


def test_corpus_without_its_audio_is_one_sentence(tiny_audioset, store, tmp_path):
    with pytest.raises(UserError, match="has no usable clip: all 18"):
        open_corpus(tiny_source(tiny_audioset, audio_folder=str(tmp_path / "none")), store)


# ---- what a run says ----


def test_what_is_listed_and_not_used_is_said_with_counts(tmp_path, sound, store, caplog):
    clips = [Clip(f"{n}", sound(f"{n}.wav"), (n % 2,), ("train", "val", "test")[n % 3]) for n in range(6)]
    clips += [Clip("6", sound("6.wav"), (), "train"), Clip("7", file_at(tmp_path / "none.wav"), (0,), "test")]
    caplog.set_level("INFO")
    open_corpus(Listed(clips), store, tmp_path / "skipped.csv")
    assert "1 training clips without a label, 1 of 3 classes without a training clip" in caplog.text
    assert f"listed in {tmp_path / 'skipped.csv'}" in caplog.text


def test_a_corpus_of_which_all_is_used_is_said_in_one_line(sound, store, caplog):
    clips = [Clip(f"{n}", sound(f"{n}.wav"), (0, 1, 2), ("train", "val", "test")[n % 3]) for n in range(6)]
    caplog.set_level("INFO")
    open_corpus(Listed(clips), store)
    assert "Not used" not in caplog.text


def test_rows_and_files_too_many_are_counted(tiny_audioset, tmp_path, store, caplog):
    root = shutil.copytree(tiny_audioset, tmp_path / "corpus")
    (root / "audio" / "bal_train" / "unlisted.wav").touch()
    table = root / "metadata" / "eval_segments.csv"
    rows = table.read_text()
    table.write_text(rows + rows.splitlines()[-1] + "\n")
    caplog.set_level("INFO")
    open_corpus(tiny_source(root), store)
    assert "Not used or incomplete: 1 rows that repeat an id, 1 files that are not listed;" in caplog.text
