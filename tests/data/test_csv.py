from pathlib import Path

import pytest
from tiny import LIMITS, file_at, path_of

from audiotok.data.clip import Clip
from audiotok.data.csv import CSV
from audiotok.data.validation import Validation
from audiotok.errors import UserError

TABLE = """path,labels,split
a.wav,dog;cat,train
b/b.flac,cat,train
c.ogg,bird,val
d.wav,cow; dog ,test
"""


def write(folder: Path, text: str = TABLE, encoding: str = "utf-8") -> Path:
    path = folder / "clips.csv"
    path.write_text(text, encoding=encoding)
    return path


def source(path: Path | str | None, **changes) -> CSV:
    arguments = {
        "root": None if path is None else str(path),
        "audio_folder": None,
        "path_column": "path",
        "labels_column": "labels",
        "split_column": "split",
        "classes": "table",
        "clip_seconds": 5.0,
        "validation": Validation("", 0.5, 0),
        "limits": LIMITS,
        "check": "decode",
        "scan": "always",
        "cache": "none",
    }
    return CSV(**(arguments | changes))


def class_names(listing) -> list[str]:
    return [sound_class.name for sound_class in listing.classes]


def test_every_row_is_a_clip_beside_the_csv(tmp_path):
    listing = source(write(tmp_path)).read()
    assert class_names(listing) == ["bird", "cat", "cow", "dog"]
    assert listing.clips == (
        Clip("a.wav", file_at(tmp_path / "a.wav"), (1, 3), "train"),
        Clip("b/b.flac", file_at(tmp_path / "b/b.flac"), (1,), "train"),
        Clip("c.ogg", file_at(tmp_path / "c.ogg"), (0,), "val"),
        Clip("d.wav", file_at(tmp_path / "d.wav"), (2, 3), "test"),
    )


def test_audio_may_lie_elsewhere_and_paths_may_be_absolute(tmp_path):
    path = write(tmp_path, "path,labels,split\na.wav,x,train\n/abs/b.wav,x,train\n")
    listing = source(path, audio_folder="/audio").read()
    assert [path_of(clip) for clip in listing.clips] == [Path("/audio/a.wav"), Path("/abs/b.wav")]
    below = source(path, audio_folder="sounds").read()
    assert [path_of(clip) for clip in below.clips] == [tmp_path / "sounds/a.wav", Path("/abs/b.wav")]


def test_a_label_that_a_row_repeats_counts_once(tmp_path):
    listing = source(write(tmp_path, "path,labels,split\na.wav,x;y; x,train\n")).read()
    assert [clip.labels for clip in listing.clips] == [(0, 1)]


def test_present_keeps_the_classes_of_the_training_clips(tmp_path):
    listing = source(write(tmp_path), classes="present").read()
    assert class_names(listing) == ["cat", "dog"]
    assert [clip.labels for clip in listing.clips] == [(0, 1), (0,), (), (1,)]


def test_columns_and_separator_are_configurable(tmp_path):
    path = write(tmp_path, 'file,tags,part,more\na.wav,"dog, cat",train,1\n')
    listing = source(
        path, path_column="file", labels_column="tags", split_column="part", label_separator=","
    ).read()
    assert class_names(listing) == ["cat", "dog"]


def test_clip_may_have_no_label(tmp_path):
    rows = "a.wav,,train\nb.wav, ; ,train\nc.wav,,val\nd.wav,,test\n"
    listing = source(write(tmp_path, "path,labels,split\n" + rows)).read()
    assert [clip.labels for clip in listing.clips] == [()] * 4
    assert listing.classes == ()


def test_without_validation_clips_training_clips_are_set_aside(tmp_path):
    rows = "".join(f"{n}.wav,x,{'train' if n % 3 else 'test'}\n" for n in range(60))
    clips = source(write(tmp_path, "path,labels,split\n" + rows)).read().clips
    assert all((clip.split == "test") == (n % 3 == 0) for n, clip in enumerate(clips))
    assert [clip.split for clip in clips].count("val") == 20


def test_with_validation_clips_no_training_clip_is_set_aside(tmp_path):
    rows = "".join(f"{n}.wav,x,train\n" for n in range(60)) + "v.wav,x,val\nt.wav,x,test\n"
    clips = source(write(tmp_path, "path,labels,split\n" + rows)).read().clips
    assert [clip.split for clip in clips] == ["train"] * 60 + ["val", "test"]


def test_path_listed_twice_is_one_clip(tmp_path):
    rows = "a.wav,x,train\na.wav,y,test\na.wav,x,train\nb.wav,x,test\nc.wav,x,val\n"
    listing = source(write(tmp_path, "path,labels,split\n" + rows)).read()
    assert [(clip.id, clip.split) for clip in listing.clips] == [
        ("a.wav", "train"),
        ("b.wav", "test"),
        ("c.wav", "val"),
    ]
    assert listing.findings.listed_twice.n == 2


def test_csv_that_excel_has_saved_is_read(tmp_path):
    assert len(source(write(tmp_path, encoding="utf-8-sig")).read().clips) == 4


@pytest.mark.parametrize("root", [None, "", "/no/such.csv", "."])
def test_missing_file_is_one_sentence_that_says_what_belongs_there(root):
    with pytest.raises(UserError) as raised:
        source(root).read()
    message = str(raised.value)
    assert message.startswith(f"data.root={root} ")
    assert "path, labels and split" in message
    assert "\n" not in message


@pytest.mark.parametrize("key", ["path_column", "labels_column", "split_column"])
def test_missing_column_is_named_with_those_that_are_there(tmp_path, key):
    with pytest.raises(UserError) as raised:
        source(write(tmp_path), **{key: "nope"}).read()
    message = str(raised.value)
    assert message.startswith(f"data.{key}=nope ")
    assert "path, labels, split" in message


@pytest.mark.parametrize("row", ["a.wav,dog", "a.wav,dog,nope", ",dog,train", "a.wav", "a\0.wav,dog,train"])
def test_broken_row_is_refused_with_file_and_line(tmp_path, row):
    path = write(tmp_path, f"path,labels,split\nb.wav,dog,train\n{row}\n")
    with pytest.raises(UserError) as raised:
        source(path).read()
    assert str(raised.value).startswith(f"{path}:3: ")


@pytest.mark.parametrize("n_rows", [100, 20_000])  # with so many, the field is longer than csv takes
def test_a_quote_that_is_not_closed_is_one_short_sentence(tmp_path, n_rows):
    path = write(tmp_path, 'path,labels,split\n"a.wav,dog,train\n' + "b.wav,dog,train\n" * n_rows)
    with pytest.raises(UserError) as raised:
        source(path).read()
    assert str(raised.value).startswith(str(path))
    assert len(str(raised.value)) < len(str(path)) + 300


def test_a_file_without_a_row_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"data\.path_column=path .* none"):
        source(write(tmp_path, "")).read()


def test_file_that_is_not_utf8_is_refused_by_name(tmp_path):
    path = write(tmp_path, "path,labels,split\na.wav,Bär,train\n", encoding="latin-1")
    with pytest.raises(UserError) as raised:
        source(path).read()
    assert str(path) in str(raised.value)
