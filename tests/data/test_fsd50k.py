from pathlib import Path

import pytest
from tiny import LIMITS

from audiotok.data.clip import Location, SoundClass
from audiotok.data.corpus.manifest import made_of
from audiotok.data.fsd50k import FSD50K
from audiotok.data.validation import Validation
from audiotok.errors import UserError

VOCABULARY = "0,Bark,/m/05tny_\n1,Electric_guitar,/m/02sgy\n2,Music,/m/04rlf\n"
DEV = (
    "fname,labels,mids,split\n"
    '64760,"Electric_guitar,Music","/m/02sgy,/m/04rlf",train\n'
    "345111,Bark,/m/05tny_,val\n"
    '16399,"Music,Electric_guitar","/m/04rlf,/m/02sgy",train\n'
)
EVAL = "fname,labels,mids\n37199,Bark,/m/05tny_\n"


def write(root: Path, **changes: str) -> Path:
    folder = root / "FSD50K.ground_truth"
    folder.mkdir()
    for name, text in ({"vocabulary": VOCABULARY, "dev": DEV, "eval": EVAL} | changes).items():
        (folder / f"{name}.csv").write_text(text)
    return folder


def source(root: Path | None, **changes) -> FSD50K:
    arguments = {
        "root": None if root is None else str(root),
        "clip_seconds": 10.0,
        "validation": None,
        "limits": LIMITS,
        "check": "decode",
        "scan": "always",
        "cache": "none",
    }
    return FSD50K(**(arguments | changes))


def test_clips_of_both_sets_are_listed_with_their_files(tmp_path):
    write(tmp_path)
    listing = source(tmp_path).read()
    assert [(clip.id, clip.split, clip.labels) for clip in listing.clips] == [
        ("64760", "train", (1, 2)),
        ("345111", "val", (0,)),
        ("16399", "train", (1, 2)),
        ("37199", "test", (0,)),
    ]
    folders = {"test": "FSD50K.eval_audio"}
    for clip in listing.clips:
        folder = folders.get(clip.split, "FSD50K.dev_audio")
        assert clip.location == Location("folders", str(tmp_path / folder / f"{clip.id}.wav"))


def test_classes_come_in_the_order_of_the_vocabulary_and_are_named_for_people(tmp_path):
    write(tmp_path)
    assert source(tmp_path).read().classes == (
        SoundClass("/m/05tny_", "Bark"),
        SoundClass("/m/02sgy", "Electric guitar"),
        SoundClass("/m/04rlf", "Music"),
    )


def test_validation_may_be_chosen_otherwise(tmp_path):
    write(tmp_path)
    listing = source(tmp_path, validation=Validation("6", 0.0, 0)).read()
    assert [clip.split for clip in listing.clips] == ["val", "train", "train", "test"]


def test_a_change_of_a_table_or_of_a_file_changes_the_fingerprint(tmp_path):
    tables = write(tmp_path)
    before = [made_of(source(tmp_path))]
    for path in (tables / "vocabulary.csv", tables / "eval.csv", tmp_path / "FSD50K.dev_audio" / "1.wav"):
        path.parent.mkdir(exist_ok=True)
        path.write_text("changed")
        assert made_of(source(tmp_path)) not in before
        before.append(made_of(source(tmp_path)))


@pytest.mark.parametrize("root", [None, "none", "."])
def test_root_without_the_tables_is_refused(tmp_path, root):
    with pytest.raises(UserError, match=r"data\.root=.* has no folder FSD50K\.ground_truth"):
        source(None if root is None else tmp_path / root).read()


@pytest.mark.parametrize("name", ["vocabulary", "dev", "eval"])
def test_table_that_is_missing_is_named(tmp_path, name):
    (write(tmp_path) / f"{name}.csv").unlink()
    with pytest.raises(UserError) as raised:
        source(tmp_path).read()
    assert str(raised.value).startswith(f"{tmp_path / 'FSD50K.ground_truth' / name}.csv cannot be read")


@pytest.mark.parametrize(
    ("name", "row", "word"),
    [
        ("dev", "1,Bark,/m/05tny_,test", "fname,labels,mids,split"),
        ("dev", "1,Bark,/m/05tny_", "fname,labels,mids,split"),
        ("dev", ",Bark,/m/05tny_,val", "fname,labels,mids,split"),
        ("eval", "1,Bark,", "fname,labels,mids"),
        ("eval", "1,Meow,/m/07qrkrw", "label /m/07qrkrw of clip 1"),
        ("vocabulary", "3,Meow", "index,name,mid"),
    ],
)
def test_broken_row_is_refused_with_file_and_line(tmp_path, name, row, word):
    path = write(tmp_path) / f"{name}.csv"
    lines = len(path.read_text().splitlines())
    path.write_text(f"{path.read_text()}{row}\n")
    with pytest.raises(UserError) as raised:
        source(tmp_path).read()
    assert str(raised.value).startswith(f"{path}:{lines + 1}: ")
    assert word in str(raised.value)


@pytest.mark.parametrize("text", ["", "fname,labels\n1,Bark\n"])
def test_table_without_its_columns_is_refused(tmp_path, text):
    write(tmp_path, eval=text)
    with pytest.raises(UserError, match=r"eval\.csv has no column"):
        source(tmp_path).read()
