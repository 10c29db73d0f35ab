from pathlib import Path

import pytest
from tiny import LIMITS, path_of

from audiotok.data.clip import SoundClass
from audiotok.data.esc50 import ESC50
from audiotok.data.validation import Validation
from audiotok.errors import UserError

HEADER = "filename,fold,target,category,esc10,src_file,take\n"
CATEGORIES = {"dog": "True", "chainsaw": "True", "sea_waves": "False", "clapping": "False"}


def rows() -> str:
    """List two takes of each of two recordings, for every class and fold."""
    return "".join(
        f"{fold}-{source}{fold}{target}-{take}-{target}.wav,{fold},{target},{name},{esc10},{source}{fold}{target},{take}\n"
        for fold in range(1, 6)
        for target, (name, esc10) in enumerate(CATEGORIES.items())
        for source in (100, 200)
        for take in "AB"
    )


def write_table(root: Path, table: str = "meta/esc50.csv", text: str | None = None) -> Path:
    path = root / table
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HEADER + (rows() if text is None else text))
    return path


def source(root: Path | str | None, **changes) -> ESC50:
    arguments = {
        "root": None if root is None else str(root),
        "subset": "esc50",
        "test_fold": 1,
        "clip_seconds": 5.0,
        "validation": Validation("", 0.3, 0),
        "limits": LIMITS,
        "check": "decode",
        "scan": "always",
        "cache": "none",
    }
    return ESC50(**(arguments | changes))


@pytest.mark.parametrize("table", ["meta/esc50.csv", "meta.csv", "esc50.csv"])
def test_table_is_found_where_the_releases_put_it(tmp_path, table):
    write_table(tmp_path, table)
    listing = source(tmp_path).read()
    assert len(listing.clips) == 80
    assert all(path_of(clip) == tmp_path / "audio" / clip.id for clip in listing.clips)


def test_classes_are_sorted_and_named_for_people(tmp_path):
    write_table(tmp_path)
    assert source(tmp_path).read().classes == (
        SoundClass("chainsaw", "chainsaw"),
        SoundClass("clapping", "clapping"),
        SoundClass("dog", "dog"),
        SoundClass("sea_waves", "sea waves"),
    )


def test_every_clip_has_the_class_of_its_row(tmp_path):
    write_table(tmp_path)
    listing = source(tmp_path).read()
    category = dict(enumerate(CATEGORIES))
    for clip in listing.clips:
        [label] = clip.labels
        assert listing.classes[label].id == category[int(clip.id[:-4].rsplit("-", 1)[1])]


@pytest.mark.parametrize("fold", [1, 2, 3, 4, 5])
def test_one_fold_is_tested_on_and_no_other_clip(tmp_path, fold):
    write_table(tmp_path)
    clips = source(tmp_path, test_fold=fold).read().clips
    assert {clip.id[0] for clip in clips if clip.split == "test"} == {str(fold)}
    assert {clip.id[0] for clip in clips if clip.split != "test"} == set("12345") - {str(fold)}
    assert sum(clip.split == "test" for clip in clips) == 16


def test_clips_cut_from_one_recording_stay_together(tmp_path):
    write_table(tmp_path)
    splits: dict[str, set[str]] = {}
    for clip in source(tmp_path).read().clips:
        splits.setdefault(clip.id.split("-")[1], set()).add(clip.split)
    assert all(len(sides) == 1 for sides in splits.values())
    assert {"train", "val", "test"} == set.union(*splits.values())


def test_esc10_has_its_own_classes_and_clips_alone(tmp_path):
    write_table(tmp_path)
    listing = source(tmp_path, subset="esc10").read()
    assert [c.id for c in listing.classes] == ["chainsaw", "dog"]
    assert len(listing.clips) == 40


@pytest.mark.parametrize("fold", [0, 6])
def test_fold_that_does_not_exist_is_refused(tmp_path, fold):
    write_table(tmp_path)
    with pytest.raises(UserError, match=rf"data\.test_fold={fold} is not in .*esc50\.csv"):
        source(tmp_path, test_fold=fold).read()


@pytest.mark.parametrize("root", [None, "", "/no/such/folder"])
def test_missing_root_is_one_sentence_that_says_what_belongs_there(root):
    with pytest.raises(UserError) as raised:
        source(root).read()
    message = str(raised.value)
    assert message.startswith(f"data.root={root} ")
    assert "meta/esc50.csv" in message
    assert "audio/" in message
    assert "\n" not in message


@pytest.mark.parametrize("row", ["1-1-A-0.wav,1", "1-1-A-0.wav,1,0,,True,1,A", ",1,0,dog,True,1,A"])
def test_broken_row_is_refused_with_file_and_line(tmp_path, row):
    path = write_table(tmp_path, text=f"1-2-A-0.wav,1,0,dog,True,2,A\n{row}\n")
    with pytest.raises(UserError) as raised:
        source(tmp_path).read()
    assert str(raised.value).startswith(f"{path}:3: ")
