"""Tables as people have them: separators, names of columns, labels, splits, folds, times, paths."""

import json
import logging
import unicodedata
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import path_of

from audiotok.data.csv import CSV
from audiotok.data.reading.labels import UndecidedError, splitter_of
from audiotok.data.reading.listed import seconds_of
from audiotok.data.recognition import option_of
from audiotok.errors import UserError


def table(folder: Path, *lines: str, name: str = "clips.csv") -> Path:
    (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / name


def rows_of(n: int, row: str, classes: str = "abc") -> list[str]:
    return [row.format(n=i, c=classes[i % len(classes)]) for i in range(n)]


def read(path: Path, **settings):
    return CSV(root=str(path), **settings).read()


def classes_of(listing) -> list[str]:
    return [sound_class.id for sound_class in listing.classes]


@pytest.mark.parametrize(
    "header",
    [
        "path,labels",
        "File Name;Category",
        "fname\tclass",
        "id;FILENAME;Species",
        "audio_path,primary_label,note",
        "Sound File\tTags",
    ],
)
def test_usual_names_of_columns_and_separators_are_found(tmp_path, header):
    separator = next(mark for mark in ";\t," if mark in header)
    before = header.lower().startswith("id")
    cells = [*(["1"] if before else []), "{n}.wav", "{c}", *(["x"] if "note" in header else [])]
    listing = read(table(tmp_path, header, *rows_of(30, separator.join(cells))))
    assert classes_of(listing) == ["a", "b", "c"]
    assert [clip.id for clip in listing.clips] == [f"{n}.wav" for n in range(30)]
    assert Counter(clip.split for clip in listing.clips) == {"train": 21, "val": 3, "test": 6}


def test_the_order_of_rows_changes_no_split(tmp_path):
    rows = rows_of(40, "{n}.wav,{c}")
    one = {clip.id: clip.split for clip in read(table(tmp_path, "path,labels", *rows)).clips}
    other = {clip.id: clip.split for clip in read(table(tmp_path, "path,labels", *rows[::-1])).clips}
    assert one == other


def test_a_column_that_is_named_is_taken_alone(tmp_path):
    path = table(tmp_path, "file,label,kind", *rows_of(30, "{n}.wav,x,{c}"))
    assert classes_of(read(path, labels_column="kind")) == ["a", "b", "c"]
    with pytest.raises(
        UserError, match=r"data\.labels_column=genus is not a column of .* file, label, kind;"
    ):
        read(path, labels_column="genus")


@pytest.mark.parametrize(
    ("words", "splits"),
    [
        ("training valid testing", "train val test"),
        ("TRAIN dev eval", "train val test"),
        ("train validation evaluation", "train val test"),
    ],
)
def test_words_for_splits_are_understood(tmp_path, words, splits):
    path = table(tmp_path, "path,labels,subset", *(f"{word}.wav,x,{word}" for word in words.split()))
    assert [clip.split for clip in read(path, classes="table").clips] == splits.split()


def test_what_lacks_test_or_validation_clips_is_given_some(tmp_path):
    rows = [*rows_of(30, "{n}.wav,{c},train"), "v.wav,a,val"]
    assert Counter(c.split for c in read(table(tmp_path, "path,labels,split", *rows)).clips) == {
        "train": 24,
        "val": 1,
        "test": 6,
    }


@pytest.mark.parametrize("header", ["path,labels,fold", "path,labels,split"])
@pytest.mark.parametrize("cell", ["{}", "{}.0", "fold{}"])
def test_folds_are_for_testing_in_turn(tmp_path, header, cell, caplog):
    caplog.set_level(logging.INFO)
    rows = [f"{n}.wav,{'ab'[n % 2]},{cell.format(n % 5)}" for n in range(50)]
    path = table(tmp_path, header, *rows)
    tested = [
        {clip.id for clip in read(path, test_fold=fold).clips if clip.split == "test"} for fold in range(5)
    ]
    assert tested == [{f"{n}.wav" for n in range(fold, 50, 5)} for fold in range(5)]
    assert {clip.id for clip in read(path).clips if clip.split == "test"} == tested[0]
    assert {clip.split for clip in read(path).clips} == {"train", "val", "test"}
    (tmp_path / "0.wav").touch()
    CSV(root=str(path)).check_tables()
    assert "fold 0 is for testing, the others for training (data.test_fold), validation" in caplog.text
    with pytest.raises(UserError, match=r"data\.test_fold=7 is not in .*\[0, 1, 2, 3, 4\]"):
        read(path, test_fold=7)


def test_a_column_of_splits_counts_before_folds_unless_a_fold_is_asked_for(tmp_path):
    rows = [f"{n}.wav,{'ab'[n % 2]},{'train' if n else 'test'},{n % 2}" for n in range(20)]
    path = table(tmp_path, "path,labels,split,fold", *rows)
    assert [clip.split for clip in read(path).clips].count("test") == 1
    assert [clip.split for clip in read(path, test_fold=1).clips].count("test") == 10
    with pytest.raises(UserError, match=r"data\.test_fold=1 needs a column of folds"):
        read(path, test_fold=1, fold_column=None)


@pytest.mark.parametrize(
    ("cells", "labels"),
    [
        (["dog;cat", "bird"], ["dog", "cat"]),
        (["Male speech, man speaking|dog", "x"], ["Male speech, man speaking", "dog"]),
        (["a,b", "c"], ["a", "b"]),
        (["a, b", "b", "a"], ["a", "b"]),
        (["['a', \"b c\"]", "[]", "['d']"], ["a", "b c"]),
        (['["a", "b, c"]', '["d"]'], ["a", "b, c"]),
        (["[a, b c]", "[]"], ["a", "b c"]),
        (["dog", "Hubschrauber [Luft]"], ["dog"]),
        ([""], []),
    ],
)
def test_labels_are_separated_as_all_rows_agree(cells, labels):
    assert splitter_of(cells)(cells[0]) == labels


@pytest.mark.parametrize("cells", [["Male speech, man speaking", "dog"], ["a;b", "c|d"], ["['a']", "b"]])
def test_labels_that_may_be_one_or_several_are_asked_for(cells, tmp_path):
    with pytest.raises(UndecidedError):
        splitter_of(cells)
    path = table(
        tmp_path, "path\tlabels\tsplit", *(f"{n}.wav\t{cell}\ttrain" for n, cell in enumerate(cells))
    )
    with pytest.raises(
        UserError, match=r"clips\.csv:\d: .*may be one label or several; .*data\.label_separator"
    ):
        read(path)
    rows = [
        f"{n}.wav\t{cell}\t{split}" for n, split in enumerate(("train", "val", "test")) for cell in cells[:1]
    ]
    assert classes_of(read(table(tmp_path, "path\tlabels\tsplit", *rows), label_separator="")) == cells[:1]


@given(st.lists(st.text(alphabet="ab ,'\"\\[]äü", max_size=6)))
def test_lists_of_python_and_json_are_read_as_these_do(labels):
    expected = [stripped for label in labels if (stripped := label.strip())]
    for cell in (repr(labels), json.dumps(labels), json.dumps(labels, ensure_ascii=False)):
        assert splitter_of([cell])(cell) == expected


def test_rows_of_one_clip_add_their_labels(tmp_path):
    rows = [row for n in range(12) for row in (f"{n}.wav,a", f"{n}.wav,{'bc'[n % 2]}")]
    listing = read(table(tmp_path, "file,label", *rows))
    assert len(listing.clips) == 12
    assert all(len(clip.labels) == 2 for clip in listing.clips)
    assert listing.findings.listed_twice.n == 0


@pytest.mark.parametrize(
    ("header", "times"),
    [
        ("start,end", "1.5,3"),
        ("onset,offset", "1.5,3"),
        ("Begin Time (s),End Time", "1.5,3"),
        ("offset,duration", "1.5,1.5"),
        ("start_time,duration", "0:01.5,1.5"),
    ],
)
def test_rows_with_times_are_stretches_of_recordings(tmp_path, header, times):
    rows = [f"r{n}.wav,{'ab'[n % 2]},{times}" for n in range(8)]
    rows += [f"r{n}.wav,{'ab'[n % 2]},{times}".replace("1.5,", "2,") for n in range(8)]
    listing = read(table(tmp_path, f"path,label,{header}", *rows))
    assert len({clip.id for clip in listing.clips}) == 16
    assert listing.clips[0].id == "r0.wav@1.5-3"
    location = listing.clips[0].location
    assert (location.path, location.start, location.end) == (str(tmp_path / "r0.wav"), 1.5, 3)
    splits: dict[Path, set[str]] = {}
    for clip in listing.clips:
        splits.setdefault(path_of(clip), set()).add(clip.split)
    assert all(len(found) == 1 for found in splits.values())
    whole = read(table(tmp_path, f"path,label,{header}", *rows), start_column=None)
    assert {clip.id for clip in whole.clips} == {f"r{n}.wav" for n in range(8)}


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("a.wav,x,3,1", "starts at 3 s and ends at 1 s"),
        ("a.wav,x,soon,1", "soon and 1 are not times"),
        ("a.wav,x,-1,1", "-1 and 1 are not times"),
        ("a.wav,x,1,", "1 and  are not times"),
        (",x,1,2", "has no path"),
    ],
)
def test_times_that_cannot_be_are_told_by_line(tmp_path, row, words):
    with pytest.raises(UserError, match=rf"clips\.csv:2: .*{words}"):
        read(table(tmp_path, "path,label,start,end", row))


def test_a_start_without_an_end_is_told(tmp_path):
    with pytest.raises(UserError, match=r"not where they end; .*data\.end_column"):
        read(table(tmp_path, "path,label,start", "a.wav,x,1"))


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("1:30", 90), ("1:00:01,5", 3601.5), ("1:-2", None), ("x", None)]
)
def test_times_may_have_minutes_and_hours(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("rule", ["site", r"^(\w)\d+"])
def test_recordings_stay_in_one_split(tmp_path, rule):
    rows = [f"{r}{n}.wav,{'ab'[n % 2]},{r}" for r in "klmnopqrst" for n in range(4)]
    clips = read(table(tmp_path, "file,label,site", *rows), group=rule).clips
    splits = {letter: {clip.split for clip in clips if clip.id[0] == letter} for letter in "klmnopqrst"}
    assert all(len(found) == 1 for found in splits.values())
    assert set.union(*splits.values()) == {"train", "val", "test"}


@pytest.mark.parametrize(
    ("listed", "there"),
    [
        ("a.wav", "a.wav"),
        ("a.wav", "audio/a.wav"),
        ("a.wav", "../audio/a.wav"),
        ("sub\\a.wav", "sub/a.wav"),
        ("a", "audio/a.WAV"),
        (unicodedata.normalize("NFC", "ä.wav"), unicodedata.normalize("NFD", "ä.wav")),
    ],
)
def test_files_are_found_where_people_have_them(tmp_path, listed, there):
    folder = tmp_path / "meta"
    folder.mkdir()
    (folder / there).parent.mkdir(exist_ok=True)
    (folder / there).touch()
    [clip, *_] = read(
        table(
            folder,
            "file,label,split",
            *(f"{listed},x,{s}" for s in ("train",)),
            "b.wav,x,val",
            "c.wav,x,test",
        )
    ).clips
    assert path_of(clip).resolve() == (folder / there).resolve()


def test_home_is_understood(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    rows = ["~/a.wav,x,train", "b.wav,x,val", "c.wav,x,test"]
    assert path_of(read(table(tmp_path, "file,label,split", *rows)).clips[0]) == tmp_path / "a.wav"


def check(path: Path, **settings) -> str:
    with pytest.raises(UserError) as raised:
        CSV(root=str(path), **settings).check_tables()
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_tables_that_cannot_be_used_are_told_before_any_sound_is_read(tmp_path):
    rows = rows_of(30, "{n}.wav,{c}")
    assert "none of the files exists, for example" in check(table(tmp_path, "file,label", *rows))
    assert "is not a header; put a line" in check(table(tmp_path, *rows))
    assert "has 1 class (a)" in check(table(tmp_path, "file,label", *rows_of(30, "{n}.wav,a")))
    assert "data.path_column=path is not a column" in check(table(tmp_path, "date,weather", "1,2"))
    assert "is a folder without tables of selections; " in check(tmp_path)
    assert "too few" in check(table(tmp_path, "file,label", "a.wav,a", "b.wav,b"))


# ---- selections ----

AUDACITY = [f"{n}.0\t{n}.9\t{'ab'[n % 2]}" for n in range(20)]


def test_a_label_file_of_audacity_is_about_the_recording_beside_it(tmp_path):
    (tmp_path / "night 1.WAV").touch()
    path = table(tmp_path, *AUDACITY, name="night 1.txt")
    assert "of too few recordings" in check(path)
    clips = read(path, group=".+").clips
    assert {path_of(clip) for clip in clips} == {tmp_path / "night 1.WAV"}
    assert clips[3].id == "night 1@3-3.9"
    assert Counter(clip.split for clip in clips) == {"train": 14, "val": 2, "test": 4}


def test_a_selection_table_of_raven_names_its_recordings(tmp_path):
    lines = ["Selection\tView\tBegin Path\tBegin Time (s)\tEnd Time (s)\tSpecies"]
    lines += [f"{n}\tSpectrogram\tC:\\birds\\r{n % 6}.wav\t{n}\t{n + 1}\t{'ab'[n % 2]}" for n in range(24)]
    clips = read(table(tmp_path, *lines, name="x.selections.txt")).clips
    assert {path_of(clip) for clip in clips} == {tmp_path / f"r{n}.wav" for n in range(6)}
    assert {clip.split for clip in clips} == {"train", "val", "test"}


def folder_of_recordings(folder: Path) -> None:
    """Recordings in two folders, each with a table of a program beside it, and files that are not tables."""
    lines = {
        "r{n}.txt": ["0.5\t1\ta", "1\t2\tb"],
        "r{n}.Table.1.selections.txt": ["Begin Time (s)\tEnd Time (s)\tSpecies", "1\t2\ta", "3\t4\tb"],
        "r{n}.BirdNET.results.csv": [
            "Start (s),End (s),Common name,Confidence,File",
            *("1,2,a,0.9,/x/r{n}.wav", "3,4,b,0.9,/x/r{n}.wav"),
        ],
    }
    for n in range(12):
        place = folder / "night one" / f"site {n % 2}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"r{n}.wav").touch()
        name, rows = [*lines.items()][n % 3]
        table(place, *(row.format(n=n) for row in rows), name=name.format(n=n))
    (folder / "notes.txt").write_bytes(b"caf\xe9")
    (folder / "night one" / "._r0.txt").write_text("1\t2\tz\n")


def test_a_folder_may_have_tables_of_selections_beside_its_recordings(tmp_path):
    folder_of_recordings(tmp_path)
    listing = read(tmp_path)
    assert classes_of(listing) == ["a", "b"]
    assert [clip.id for clip in listing.clips][:2] == [
        f"night one/site 0/r0.wav@{times}" for times in ("0.5-1", "1-2")
    ]
    assert {path_of(clip) for clip in listing.clips} == {*tmp_path.rglob("*.wav")}
    assert Counter(clip.split for clip in listing.clips).keys() == {"train", "val", "test"}
    splits = {(path_of(clip), clip.split) for clip in listing.clips}
    assert len(splits) == 12  # the selections of a recording stay together
    assert "none of the files exists" not in check(tmp_path, test_fraction=0.0)
    assert option_of(str(tmp_path)) == "csv"


def test_a_folder_of_classes_with_a_stray_label_file_stays_one(tmp_path):
    for n in range(6):
        (tmp_path / "ab"[n % 2]).mkdir(exist_ok=True)
        (tmp_path / "ab"[n % 2] / f"{n}.wav").touch()
    table(tmp_path / "a", "0\t1\tx", name="0.txt")
    assert option_of(str(tmp_path)) == "folder"


def test_two_tables_about_one_recording_add_their_labels(tmp_path):
    (tmp_path / "r.wav").touch()
    table(tmp_path, "1\t2\ta", name="r.txt")
    table(tmp_path, "Start (s),End (s),Common name,File", "1,2,b,r.wav", name="r.BirdNET.results.csv")
    [clip] = CSV(root=str(tmp_path), group=".+").read().clips
    assert (clip.id, clip.labels) == ("r.wav@1-2", (0, 1))
