import shutil
import string
from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from tiny import file_at, path_of, tiny_source

from audiotok.data.clip import Findings, Location, SoundClass, Tally
from audiotok.data.files import Files
from audiotok.data.layout.folders import Folders
from audiotok.data.segments import CLASS_TABLE, SEGMENTS, Segment, read_class_table, read_segments
from audiotok.data.spelling import id_of_stem, locate
from audiotok.data.validation import Validation
from audiotok.errors import UserError

MIDS = {"/m/09x0r", "/t/dd00088", "/m/0a"}
ODD_IDS = [
    "--PJHxphWEs",
    "_0AbCdEfGhI",
    "YabcdefghiJ",
    "Y_-Y_-Y_-Y_",
    "abc_30_40_5",
    "-----------",
    "0123456789_",
]

characters = string.ascii_letters + string.digits + "-_"
ids = st.text(characters, min_size=11, max_size=11)
# Ids made of what file names are made of collide far more often than random ones.
tricky_ids = st.text("Y_-05", min_size=11, max_size=11)
numbers = st.integers(0, 999).map(str) | st.integers(0, 999_999).map(lambda n: f"{n / 1000:.3f}")
suffixes = st.just("") | numbers.map("_{}".format) | st.builds("_{}-{}".format, numbers, numbers)
prefixes = st.sampled_from(["", "Y"])


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


def locations(root: Path, ids: set[str]) -> dict[str, Location]:
    """Locate clips among the files of bal_train."""
    return locate(Folders().find(Files(), str(root), "bal_train"), ids, Findings(), {})


# ---- the segments ----


def test_segments_are_read_with_three_header_lines_and_quoted_lists(tmp_path):
    path = tmp_path / "segments.csv"
    path.write_text(
        "# Segments csv created Sun Mar  5 10:54:31 2017\n"
        "# num_ytids=22160, num_segs=22160, num_unique_labels=527, num_positive_labels=52882\n"
        "# YTID, start_seconds, end_seconds, positive_labels\n"
        '--PJHxphWEs, 30.000, 40.000, "/m/09x0r,/t/dd00088"\n'
        "\n"
        '_0AbCdEfGhI, 0.000, 10.000, "/m/0a"\n'
    )
    assert list(read_segments(str(path), MIDS)) == [
        Segment("--PJHxphWEs", ("/m/09x0r", "/t/dd00088")),
        Segment("_0AbCdEfGhI", ("/m/0a",)),
    ]


@pytest.mark.parametrize("id_", ODD_IDS)
def test_odd_ids_come_through_unchanged(tmp_path, id_):
    (tmp_path / "s.csv").write_text(f'# YTID\n{id_}, 30.000, 40.000, "/m/0a"\n')
    assert list(read_segments(str(tmp_path / "s.csv"), MIDS)) == [Segment(id_, ("/m/0a",))]


@pytest.mark.parametrize(
    "row",
    ["abc, 30.000, 40.000", 'abc, 30.000, 40.000, "/m/0a", 5', "abc", ', 1, 2, "/m/0a"', 'abc, 1, 2, ""'],
)
def test_broken_row_is_refused_with_file_and_line(tmp_path, row):
    path = tmp_path / "s.csv"
    path.write_text(f'# one\n# two\n# three\ngood_id_000, 1, 2, "/m/0a"\n{row}\n')
    with pytest.raises(UserError) as raised:
        list(read_segments(str(path), MIDS))
    assert str(raised.value).startswith(f"{path}:5: ")


def test_label_that_the_table_lacks_is_refused_with_file_and_line(tmp_path):
    path = tmp_path / "s.csv"
    path.write_text('# one\ngood_id_000, 1, 2, "/m/0a"\nbad__id_000, 1, 2, "/m/0a,/m/none"\n')
    with pytest.raises(UserError) as raised:
        list(read_segments(str(path), MIDS))
    assert str(raised.value).startswith(f"{path}:3: label /m/none of clip bad__id_000 ")


def test_quote_that_is_never_closed_is_refused_with_the_line_where_it_opens(tmp_path):
    path = tmp_path / "s.csv"
    rows = [f'id_{n:08d}, 1, 2, "/m/0a"' for n in range(9)]
    path.write_text("\n".join(["# one", 'bad__id_000, 1, 2, "/m/0a', *rows]) + "\n")
    with pytest.raises(UserError) as raised:
        list(read_segments(str(path), MIDS))
    assert str(raised.value).startswith(f"{path}:2: ")


def test_quote_that_swallows_a_large_file_is_refused_with_the_file(tmp_path):
    path = tmp_path / "s.csv"
    path.write_text('bad__id_000, 1, 2, "/m/0a\n' + "id_00000000, 1, 2, /m/0a\n" * 8000)
    with pytest.raises(UserError) as raised:
        list(read_segments(str(path), MIDS))
    assert str(raised.value).startswith(str(path))


# ---- the class table ----


def test_classes_come_in_the_order_of_the_index(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text('index,mid,display_name\n1,/m/05zppz,"Male speech, man speaking"\n0,/m/09x0r,Speech\n')
    assert read_class_table(str(path)) == [
        SoundClass("/m/09x0r", "Speech"),
        SoundClass("/m/05zppz", "Male speech, man speaking"),
    ]


@pytest.mark.parametrize("row", ["1,/m/0a", "one,/m/0a,Low tone", "1,/m/0a,Low,tone"])
def test_broken_row_of_the_table_is_refused_with_file_and_line(tmp_path, row):
    path = tmp_path / "table.csv"
    path.write_text(f"index,mid,display_name\n0,/m/09x0r,Speech\n{row}\n")
    with pytest.raises(UserError) as raised:
        read_class_table(str(path))
    assert str(raised.value).startswith(f"{path}:3: ")


def test_table_without_rows_is_refused(tmp_path):
    (tmp_path / "table.csv").write_text("index,mid,display_name\n")
    with pytest.raises(UserError, match="lists no classes"):
        read_class_table(str(tmp_path / "table.csv"))


# ---- file names ----


@given(st.lists(ids | tricky_ids, min_size=1, max_size=5, unique=True), prefixes, suffixes, st.data())
@example(["YabcdefghiJ"], "", "_30", None)
@example(["abcdefghij_"], "Y", "_30-40", None)
def test_every_way_to_spell_a_file_leads_to_its_id(listed, prefix, suffix, data):
    id_ = data.draw(st.sampled_from(listed)) if data else listed[0]
    stem = prefix + id_ + suffix
    assume(stem not in set(listed) - {id_})
    assert id_of_stem(stem, set(listed)) == id_


def spellings(stem: str) -> set[str]:
    """List by brute force the ids that a file name can stand for: [Y]<id>[_<start>[-<end>]]."""

    def is_number(text: str) -> bool:
        whole, dot, rest = text.partition(".")
        return whole.isdecimal() and (not dot or rest.isdecimal())

    def is_suffix(text: str) -> bool:
        start, dash, end = text[1:].partition("-")
        return text == "" or (text[0] == "_" and is_number(start) and (not dash or is_number(end)))

    starts = [0, 1] if stem.startswith("Y") else [0]
    return {stem[n : n + 11] for n in starts if len(stem) >= n + 11 and is_suffix(stem[n + 11 :])}


@given(
    st.builds("{}{}{}".format, prefixes, ids | tricky_ids, suffixes | st.text("Y_-.05", max_size=4)),
    st.lists(tricky_ids, max_size=3),
)
@example("abcdefghij_5", [])
@example("Yabcdefghi_5", [])
def test_file_is_taken_for_no_id_that_its_name_does_not_spell(stem, others):
    windows = {stem[n : n + 11] for n in range(max(1, len(stem) - 10))}
    found = id_of_stem(stem, windows | set(others))
    assert found is None or found in spellings(stem)


@given(ids, st.lists(ids, max_size=3))
def test_file_that_is_not_listed_is_nobodys(id_, listed):
    assume(id_ not in listed)
    assert id_of_stem(id_, set(listed)) is None


@pytest.mark.parametrize("id_", ODD_IDS)
@pytest.mark.parametrize(
    "spelling",
    [
        "bal_train/{id:.2}/{id}.flac",
        "bal_train/{id}.wav",
        "bal_train/{id}.m4a",
        "bal_train/{id:.2}/Y{id}.ogg",
        "bal_train/Y{id}.mp3",
        "bal_train/{id}_30.opus",
        "bal_train/{id}_000030.wav",
        "bal_train/{id:.2}/{id}_30.000.FLAC",
        "bal_train/{id}_30-40.wav",
        "bal_train/Y{id}_30.000-40.000.wav",
        "balanced_train_segments/Y{id}.wav",
        "balanced_train_segments/balanced_train_segments_part00/Y{id}.wav",
    ],
)
def test_files_are_found_in_every_spelling(tmp_path, id_, spelling):
    path = touch(tmp_path / spelling.format(id=id_))
    assert locations(tmp_path, {id_, "another__id"}) == {id_: file_at(path)}


def test_id_that_is_not_youtubes_is_found_by_its_whole_name(tmp_path):
    path = touch(tmp_path / "bal_train" / "clip_7.wav")
    touch(tmp_path / "bal_train" / "Yclip_7.wav")
    assert locations(tmp_path, {"clip_7"}) == {"clip_7": file_at(path)}


def test_files_that_are_not_audio_or_not_listed_are_passed_over(tmp_path):
    for name in ("abcdefghijk.txt", "abcdefghijk", "abcdefghijk.wav.part", "zzzzzzzzzzz.wav", ".wav"):
        touch(tmp_path / "bal_train" / name)
    assert locations(tmp_path, {"abcdefghijk"}) == {}


def test_of_several_files_of_a_clip_the_first_extension_is_taken(tmp_path):
    for extension in ("m4a", "wav", "mp3", "flac", "ogg"):
        touch(tmp_path / "bal_train" / "ab" / f"abcdefghijk.{extension}")
    assert locations(tmp_path, {"abcdefghijk"})["abcdefghijk"].path.endswith(".flac")


def test_of_several_files_of_one_extension_the_first_by_name_is_taken(tmp_path):
    for name in ("b/abcdefghijk", "a/Yabcdefghijk_30", "c/abcdefghijk"):
        touch(tmp_path / "bal_train" / f"{name}.wav")
    assert locations(tmp_path, {"abcdefghijk"})["abcdefghijk"].path.endswith("a/Yabcdefghijk_30.wav")


def test_folder_that_is_not_there_has_no_files(tmp_path):
    assert locations(tmp_path / "none", {"abcdefghijk"}) == {}


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


def test_id_listed_twice_is_one_clip(tmp_path):
    write_metadata(
        tmp_path,
        bal_train='aaaaaaaaaaa, 1, 2, "/m/0a"\naaaaaaaaaaa, 30, 40, "/m/09x0r"\n',
        eval='aaaaaaaaaaa, 1, 2, "/m/0a"\nzzzzzzzzzzz, 1, 2, "/m/0a"\n',
    )
    listing = tiny_source(tmp_path).read()
    assert [(clip.id, clip.labels, clip.split) for clip in listing.clips] == [
        ("aaaaaaaaaaa", (2,), "train"),
        ("zzzzzzzzzzz", (2,), "test"),
    ]


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
