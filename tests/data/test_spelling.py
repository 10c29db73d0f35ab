import string
from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from tiny import ODD_IDS, file_at

from audiotok.data.clip import Findings, Location
from audiotok.data.layout.folders import Folders
from audiotok.data.layout.spelling import id_of_stem, locate
from audiotok.data.reading.files import Files

characters = string.ascii_letters + string.digits + "-_"
ids = st.text(characters, min_size=11, max_size=11)
# Ids made of what file names are made of collide far more often than random ones.
tricky_ids = st.text("Y_-05", min_size=11, max_size=11)
numbers = st.integers(0, 999).map(str) | st.integers(0, 999_999).map(lambda n: f"{n / 1000:.3f}")
suffixes = (
    st.just("")
    | numbers.map("_{}".format)
    | st.builds("_{}{}{}".format, numbers, st.sampled_from("-_"), numbers)
)
prefixes = st.sampled_from(["", "Y"])


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def locations(root: Path, ids: set[str]) -> dict[str, Location]:
    """Locate clips among the files of bal_train."""
    return locate(Folders().find(Files(), str(root), "bal_train"), ids, Findings(), {})


@given(st.lists(ids | tricky_ids, min_size=1, max_size=5, unique=True), prefixes, suffixes, st.data())
@example(["YabcdefghiJ"], "", "_30", None)
@example(["abcdefghij_"], "Y", "_30-40", None)
def test_every_way_to_spell_a_file_leads_to_its_id(listed, prefix, suffix, data):
    id_ = data.draw(st.sampled_from(listed)) if data else listed[0]
    stem = prefix + id_ + suffix
    assume(stem not in set(listed) - {id_})
    assert id_of_stem(stem, set(listed)) == id_


def spellings(stem: str) -> set[str]:
    """List by brute force the ids that a file name can stand for: [Y]<id>[_<start>[-<end>]],
    with a hyphen or an underscore before the end.
    """

    def is_number(text: str) -> bool:
        whole, dot, rest = text.partition(".")
        return whole.isdecimal() and (not dot or rest.isdecimal())

    def is_suffix(text: str) -> bool:
        start, dash, end = text[1:].replace("_", "-").partition("-")
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


def test_an_empty_file_is_taken_only_where_there_is_no_other(tmp_path):
    touch(tmp_path / "bal_train" / "abcdefghijk.flac")
    touch(tmp_path / "bal_train" / "abcdefghij_.flac")
    good = touch(tmp_path / "bal_train" / "abcdefghijk.ogg")
    good.write_bytes(b"sound")
    found = locations(tmp_path, {"abcdefghijk", "abcdefghij_"})
    assert found["abcdefghijk"] == file_at(good)
    assert found["abcdefghij_"].path.endswith(".flac")


@pytest.mark.parametrize("name", ["{}_30", "{}_30.000", "{}_000030", "Y{}_30.4-40", "{}_30000"])
def test_another_segment_of_a_video_is_not_taken(tmp_path, name):
    other = touch(tmp_path / "bal_train" / "abcdefghijk_10.wav")
    right = touch(tmp_path / "bal_train" / f"{name.format('abcdefghijk')}.wav")
    left_over: dict[str, str] = {}
    found = Folders().find(Files(), str(tmp_path), "bal_train")
    taken = locate(found, {"abcdefghijk"}, Findings(), left_over, {"abcdefghijk": 30.0})
    assert taken == {"abcdefghijk": file_at(right)}
    assert list(left_over) == [str(other)]


def test_numbers_that_mostly_disagree_with_the_list_are_no_starts(tmp_path):
    ids = [f"abcdefghij{n}" for n in range(5)]
    for id_ in ids:
        touch(tmp_path / "bal_train" / f"{id_}_0.wav")
    starts = {id_: 30.0 * n for n, id_ in enumerate(ids)}
    found = Folders().find(Files(), str(tmp_path), "bal_train")
    assert len(locate(found, set(ids), Findings(), {}, starts)) == 5
