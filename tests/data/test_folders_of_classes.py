import unicodedata
from pathlib import Path

import pytest
from tiny import path_of

from audiotok.data.folder import Folder
from audiotok.errors import UserError

NFD = unicodedata.normalize("NFD", "Tür")


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return root


def numbered(*folders: str, n: int = 10) -> list[str]:
    return [f"{folder}/{number}.wav" for folder in folders for number in range(n)]


def read(root: Path, **settings):
    return Folder(root=str(root), **settings).read()


def class_names(listing) -> list[str]:
    return [sound_class.id for sound_class in listing.classes]


def test_folders_are_classes_and_ids_are_paths(tmp_path):
    touch(tmp_path, *numbered("dog", "cats/Große Katze", NFD), "dog/a b.WAV", "dog/puppy/1.mp3", "Tür/x.flac")
    listing = read(tmp_path)
    assert class_names(listing) == ["Tür", "cats/Große Katze", "dog", "dog/puppy"]
    by_id = {clip.id: clip for clip in listing.clips}
    assert len(by_id) == 33
    assert all(path_of(clip).is_file() for clip in listing.clips)
    assert {"dog/a b.WAV", "dog/puppy/1.mp3", "Tür/x.flac", "Tür/0.wav"} <= set(by_id)
    assert path_of(by_id["Tür/0.wav"]) == tmp_path / NFD / "0.wav"
    assert by_id["Tür/x.flac"].labels == by_id["Tür/0.wav"].labels == (0,)


def test_names_that_differ_in_their_normal_form_alone_are_two_clips(tmp_path):
    touch(tmp_path, *numbered("dog", "cat"), f"dog/{NFD}.wav", "dog/Tür.wav")
    assert len({clip.id for clip in read(tmp_path).clips}) == 22


def test_hidden_and_system_files_are_passed_over_and_others_told(tmp_path):
    touch(
        tmp_path, *numbered("dog", "cat"), "dog/._0.wav", ".git/x.wav", "__MACOSX/dog/0.wav", "dog/Thumbs.db"
    )
    touch(tmp_path, "dog/desktop.ini", "dog/.DS_Store", "notes.txt", "dog/cover.jpg", "loose.wav")
    listing = read(tmp_path)
    assert len(listing.clips) == 20
    assert (listing.findings.not_audio.n, listing.findings.not_audio.examples) == (
        2,
        ["dog/cover.jpg", "notes.txt"],
    )
    assert listing.findings.outside.examples == ["loose.wav"]


@pytest.mark.parametrize(
    "names", [("train", "val", "test"), ("Training", "VALID", "Evaluation"), ("train", "dev", "eval")]
)
def test_folders_of_splits_are_splits(tmp_path, names):
    touch(tmp_path, *(file for name in names for file in numbered(f"{name}/dog", f"{name}/cat/big", n=2)))
    listing = read(tmp_path)
    assert class_names(listing) == ["cat/big", "dog"]
    assert {clip.split: clip.id.split("/")[0] for clip in listing.clips} == dict(
        zip(("train", "val", "test"), names, strict=True)
    )


def test_what_lies_beside_folders_of_splits_is_not_used(tmp_path):
    touch(tmp_path, *numbered("train/dog", "train/cat", "test/dog", "unlabelled", n=5), "train/x.wav")
    listing = read(tmp_path)
    assert class_names(listing) == ["cat", "dog"]
    assert listing.findings.outside.n == 6
    assert {clip.split for clip in listing.clips if clip.id.startswith("train")} == {"train", "val"}


def test_a_class_may_be_called_train(tmp_path):
    touch(tmp_path, *numbered("train", "car", "plane"))
    assert class_names(read(tmp_path)) == ["car", "plane", "train"]


def test_a_folder_that_holds_all_is_no_class(tmp_path):
    touch(tmp_path, *numbered("data/audio/dog", "data/audio/cat/big"))
    assert class_names(read(tmp_path)) == ["cat/big", "dog"]


def test_recordings_stay_together(tmp_path):
    touch(
        tmp_path,
        *(f"{name}/{name}{r}_{n}.wav" for name in ("dog", "cat") for r in range(6) for n in range(4)),
    )
    splits: dict[str, set[str]] = {}
    for clip in read(tmp_path, group=r"\w+(?=_)").clips:
        splits.setdefault(clip.id.split("_")[0], set()).add(clip.split)
    assert all(len(found) == 1 for found in splits.values())
    assert set.union(*splits.values()) == {"train", "val", "test"}


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([], "has no files; give a folder"),
        (["a/x.txt", "y.pdf"], r"has 2 files, of which none is audio \(for example"),
        (["a.wav", "b.wav"], "none of its 2 audio files is in the folder of a class, for example a.wav"),
        (numbered("dog"), r"has 1 class \(dog\)"),
        (["dog/1.wav", "cat/1.wav"], "2 clips of too few recordings"),
        (["eval/-0/-0aBcDeFgHi.flac", "eval/x9/x9aBcDeFgHi.flac"], "folders of AudioSet.*data=audioset"),
    ],
)
def test_folders_that_cannot_be_used_are_told(tmp_path, names, words):
    touch(tmp_path, *names)
    with pytest.raises(UserError, match=words):
        Folder(root=str(tmp_path)).check_tables()


def test_what_is_no_folder_is_told(tmp_path):
    touch(tmp_path, "x.csv")
    for root, words in [
        (None, "is not a folder"),
        ("/nowhere", "is not a folder"),
        (f"{tmp_path}/x.csv", "is a file"),
    ]:
        with pytest.raises(UserError, match=rf"^data\.root={root} {words}"):
            Folder(root=root).check_tables()
