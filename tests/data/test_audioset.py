import shutil
from pathlib import Path

import pytest
from tiny import file_at, path_of, tiny_source

from audiotok.data.clip import Tally
from audiotok.data.layout.folders import Folders
from audiotok.data.layout.segments import CLASS_TABLE, SEGMENTS
from audiotok.data.validation import Validation
from audiotok.errors import UserError


def write_metadata(root: Path, **rows: str) -> None:
    """Write a class table of three mids and the rows of each set."""
    (root / "metadata").mkdir(parents=True)
    table = 'index,mid,display_name\n0,/m/09x0r,Speech\n1,/t/dd00088,"Gush, spill"\n2,/m/0a,Low tone\n'
    (root / "metadata" / CLASS_TABLE).write_text(table)
    for name, text in rows.items():
        (root / "metadata" / SEGMENTS[name]).write_text(text)


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


# ---- the listing ----


def test_tiny_corpus_is_read_as_its_metadata_says(tiny_audioset):
    listing = tiny_source(tiny_audioset).read()
    assert [c.name for c in listing.classes] == ["Low tone", "Middle tone", "High tone"]
    splits = [clip.split for clip in listing.clips]
    assert (splits.count("train"), splits.count("val"), splits.count("test")) == (18, 6, 8)
    assert all(clip.location is not None and clip.id in clip.location.path for clip in listing.clips)
    assert {clip.id[0] for clip in listing.clips if clip.split == "val"} == set("ABCDEF")
    assert {clip.labels for clip in listing.clips} == {(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)}


def test_several_training_sets_are_read_one_after_the_other(tiny_audioset):
    listing = tiny_source(tiny_audioset, train_sets=["bal_train", "unbal_train"]).read()
    assert len(listing.clips) == 24 + 6 + 8
    assert sum(clip.split == "val" for clip in listing.clips) == 6 + 2
    folders = {path_of(clip).parents[1].name for clip in listing.clips if clip.split != "test"}
    assert folders == {"bal_train", "unbal_train"}


def test_test_clips_never_validate(tiny_audioset):
    listing = tiny_source(tiny_audioset).read()
    assert {"A", "C"} <= {clip.id[0] for clip in listing.clips if clip.split == "test"}


def test_folders_may_be_absolute(tiny_audioset, tmp_path):
    folders = {
        name: str(tiny_audioset / name.partition("_")[0]) for name in ("metadata_folder", "audio_folder")
    }
    assert tiny_source(tmp_path, **folders).read() == tiny_source(tiny_audioset).read()


def test_clip_without_a_file_is_listed_without_a_location(tmp_path):
    write_metadata(tmp_path, bal_train='abcdefghijk, 1, 2, "/m/0a"\n', eval='zzzzzzzzzzz, 1, 2, "/m/0a"\n')
    path = touch(tmp_path / "audio" / "bal_train" / "ab" / "abcdefghijk.flac")
    listing = tiny_source(tmp_path).read()
    assert [clip.location for clip in listing.clips] == [file_at(path), None]


def test_file_of_another_set_is_not_taken(tmp_path):
    write_metadata(tmp_path, bal_train='abcdefghijk, 1, 2, "/m/0a"\n', eval='zzzzzzzzzzz, 1, 2, "/m/0a"\n')
    for id_ in ("abcdefghijk", "zzzzzzzzzzz"):
        touch(tmp_path / "audio" / "eval" / f"{id_}.flac")
    assert tiny_source(tmp_path).read().clips[0].location is None


ROWS = {
    "bal_train": 'aaaaaaaaaaa, 1, 2, "/m/0a"\nbbbbbbbbbbb, 1, 2, "/m/0a,/m/09x0r"\n',
    "eval": 'zzzzzzzzzzz, 1, 2, "/t/dd00088,/m/0a"\n',
}


def test_table_keeps_every_class(tmp_path):
    write_metadata(tmp_path, **ROWS)
    listing = tiny_source(tmp_path, classes="table").read()
    assert [c.id for c in listing.classes] == ["/m/09x0r", "/t/dd00088", "/m/0a"]
    assert [clip.labels for clip in listing.clips] == [(2,), (0, 2), (1, 2)]


def test_present_keeps_the_classes_of_the_training_sets_in_the_tables_order(tmp_path):
    write_metadata(tmp_path, **ROWS)
    listing = tiny_source(tmp_path, classes="present").read()
    assert [c.id for c in listing.classes] == ["/m/09x0r", "/m/0a"]
    assert [clip.labels for clip in listing.clips] == [(1,), (0, 1), (1,)]


def test_segment_listed_twice_is_one_clip(tmp_path):
    write_metadata(
        tmp_path,
        bal_train='aaaaaaaaaaa, 1, 2, "/m/0a"\naaaaaaaaaaa, 1, 2, "/m/09x0r"\n',
        eval='aaaaaaaaaaa, 1, 2, "/m/0a"\nzzzzzzzzzzz, 1, 2, "/m/0a"\n',
    )
    listing = tiny_source(tmp_path).read()
    assert [(clip.id, clip.labels, clip.split) for clip in listing.clips] == [
        ("aaaaaaaaaaa", (2,), "train"),
        ("zzzzzzzzzzz", (2,), "test"),
    ]
    assert listing.findings.listed_twice.n == 2


def test_segments_of_one_video_are_clips_of_their_own(tmp_path):
    write_metadata(
        tmp_path,
        bal_train='Aaaaaaaaaaa, 1, 11, "/m/0a"\nAaaaaaaaaaa, 30, 40, "/m/0a"\nAaaaaaaaaaa, 50, 60, "/m/0a"\n',
        eval='zzzzzzzzzzz, 1, 2, "/m/0a"\nAaaaaaaaaaa, 70, 80, "/m/0a"\n',
    )
    names = {
        "Aaaaaaaaaaa": "bal_train",
        "YAaaaaaaaaaa_30_40": "bal_train",
        "YAaaaaaaaaaa_70.000_80.000": "eval",
    }
    files = {name: touch(tmp_path / "audio" / folder / f"{name}.wav") for name, folder in names.items()}
    other = touch(tmp_path / "audio" / "bal_train" / "YAaaaaaaaaaa_90_100.wav")
    listing = tiny_source(tmp_path).read()
    assert {clip.id: (clip.location, clip.split) for clip in listing.clips} == {
        "Aaaaaaaaaaa": (file_at(files["Aaaaaaaaaaa"]), "val"),
        "Aaaaaaaaaaa_30-40": (file_at(files["YAaaaaaaaaaa_30_40"]), "val"),
        "Aaaaaaaaaaa_50-60": (None, "val"),
        "zzzzzzzzzzz": (None, "test"),
        "Aaaaaaaaaaa_70-80": (file_at(files["YAaaaaaaaaaa_70.000_80.000"]), "test"),
    }
    assert (listing.findings.listed_twice.n, listing.findings.found_twice.n) == (0, 0)
    assert other.exists()


def test_validation_by_fraction_takes_no_test_clip(tmp_path):
    rows = {
        name: "".join(f'{name[0]}{n:010d}, 1, 2, "/m/0a"\n' for n in range(40))
        for name in ("bal_train", "eval")
    }
    write_metadata(tmp_path, **rows)
    splits = [clip.split for clip in tiny_source(tmp_path, validation=Validation("", 0.5, 0)).read().clips]
    assert splits[40:] == ["test"] * 40
    assert 8 < splits[:40].count("val") < 32
    assert set(splits[:40]) == {"train", "val"}


# ---- labels that a layout carries ----


CARRIED = {"aaaaaaaaaaa": ("/m/0a", "/m/none"), "bbbbbbbbbbb": (), "zzzzzzzzzzz": ("/m/09x0r",)}


class Carrying(Folders):
    """Files whose labels are known without a CSV."""

    def find(self, files, folder, source_set):
        for found in super().find(files, folder, source_set):
            yield found._replace(labels=CARRIED[found.name.removeprefix("Y")])


@pytest.fixture
def carrying(tmp_path, monkeypatch):
    """A folder in which labels are carried, and a class table; one clip lies there twice."""
    monkeypatch.setattr("audiotok.data.audioset.choose_layout", lambda *_: Carrying())
    write_metadata(tmp_path)
    for name in (
        "bal_train/aaaaaaaaaaa",
        "bal_train/x/Yaaaaaaaaaaa",
        "bal_train/bbbbbbbbbbb",
        "eval/Yzzzzzzzzzzz",
    ):
        touch(tmp_path / "audio" / f"{name}.flac")
    return tmp_path


def test_without_segments_labels_and_sets_are_those_of_the_layout(carrying):
    listing = tiny_source(carrying).read()
    assert [c.id for c in listing.classes] == ["/m/09x0r", "/t/dd00088", "/m/0a"]
    assert {clip.id: (clip.labels, clip.split) for clip in listing.clips} == {
        "aaaaaaaaaaa": ((2,), "train"),
        "bbbbbbbbbbb": ((), "train"),
        "zzzzzzzzzzz": ((0,), "test"),
    }
    assert listing.findings.unknown_labels == Tally(1, ["/m/none"])
    assert listing.findings.found_twice == Tally(1, ["aaaaaaaaaaa"])


def test_names_that_only_look_like_ids_and_times_stay_what_they_are(carrying, monkeypatch):
    """Eleven characters, an underscore and a number: recordings of one speaker, not one clip."""
    names = ["speaker_001_0000", "speaker_001_0001", "aaaaaaaaaaa_30"]
    for name in names:
        monkeypatch.setitem(CARRIED, name, ("/m/0a",))
    shutil.rmtree(carrying / "audio/bal_train")
    for name in names:
        touch(carrying / "audio/bal_train" / f"{name}.flac")
    ids = [clip.id for clip in tiny_source(carrying).read().clips]
    assert sorted(ids) == ["aaaaaaaaaaa", "speaker_001_0000", "speaker_001_0001", "zzzzzzzzzzz"]


def test_a_label_that_is_carried_twice_counts_once(carrying, monkeypatch):
    monkeypatch.setitem(CARRIED, "zzzzzzzzzzz", ("/m/0a", "/m/0a"))
    assert [clip.labels for clip in tiny_source(carrying).read().clips][-1] == (2,)


def test_without_any_table_classes_are_the_labels(carrying):
    shutil.rmtree(carrying / "metadata")
    listing = tiny_source(carrying).read()
    assert [c.id for c in listing.classes] == ["/m/09x0r", "/m/0a", "/m/none"]
    assert {clip.id: clip.labels for clip in listing.clips}["aaaaaaaaaaa"] == (1, 2)


def test_segments_decide_where_they_are_there(carrying):
    rows = 'aaaaaaaaaaa, 1, 2, "/t/dd00088"\n'
    (carrying / "metadata" / SEGMENTS["bal_train"]).write_text(rows)
    listing = tiny_source(carrying).read()
    assert {clip.id: clip.labels for clip in listing.clips} == {"aaaaaaaaaaa": (1,), "zzzzzzzzzzz": (0,)}
    assert listing.findings.not_listed.n == 1


# ---- what is refused ----


@pytest.mark.parametrize("root", [None, "", "/no/such/folder"])
def test_missing_root_is_one_sentence_that_says_what_belongs_there(root):
    with pytest.raises(UserError) as raised:
        tiny_source(root).read()
    message = str(raised.value)
    assert message.startswith(f"data.root={root} ")
    assert "\n" not in message
    for wanted in ("metadata/", "audio/", CLASS_TABLE, *SEGMENTS.values(), "bal_train"):
        assert wanted in message


@pytest.mark.parametrize("name", [CLASS_TABLE, *SEGMENTS.values()])
def test_missing_csv_is_named(tmp_path, name):
    write_metadata(tmp_path, bal_train="", unbal_train="", eval="")
    (tmp_path / "metadata" / name).unlink()
    with pytest.raises(UserError) as raised:
        tiny_source(tmp_path, train_sets=["bal_train", "unbal_train"]).read()
    assert str(raised.value).startswith(str(tmp_path / "metadata" / name))


def test_csv_of_a_set_that_is_not_used_may_be_missing(tmp_path):
    write_metadata(tmp_path, **ROWS)
    assert len(tiny_source(tmp_path).read().clips) == 3


def test_set_that_is_both_trained_and_tested_on_is_refused():
    with pytest.raises(UserError, match=r"data\.test_sets=.*bal_train.*data\.train_sets"):
        tiny_source("anywhere", train_sets=["bal_train", "unbal_train"], test_sets=["eval", "bal_train"])
