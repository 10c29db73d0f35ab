import json
import os

import pytest
from layouts import write_ast_json

from audiotok.data.clip import Location
from audiotok.data.layout.ast_json import ASTJSON, leaves
from audiotok.data.layout.layout import Found
from audiotok.data.reading.files import Files
from audiotok.errors import UserError


def find(folder, source_set="bal_train"):
    return list(ASTJSON().find(Files(), str(folder), source_set))


def test_absolute_paths_and_labels_are_taken_as_they_are(tmp_path):
    write_ast_json(tmp_path / "balanced_train_data.json", [("/far/Y-_0123456-_.wav", "/m/0a, /m/0b")])
    (found,) = find(tmp_path)
    assert found == Found("Y-_0123456-_", Location("folders", "/far/Y-_0123456-_.wav"), ("/m/0a", "/m/0b"))


@pytest.mark.parametrize("beside", ["lists", ""])
def test_relative_paths_count_from_the_json_or_from_the_audio_folder(tmp_path, beside):
    (tmp_path / beside / "wavs").mkdir(parents=True)
    (tmp_path / beside / "wavs" / "b.wav").write_bytes(b"sound")
    write_ast_json(tmp_path / "lists" / "eval_data.json", [("wavs/a.wav", "/m/0a"), ("wavs/b.wav", "/m/0a")])
    missing, there = find(tmp_path, "eval")
    assert missing.location.path == str(tmp_path / beside / "wavs" / "a.wav")
    assert ASTJSON().read(there.location) == b"sound"


def test_relative_paths_of_which_none_is_there_count_from_the_json(tmp_path):
    write_ast_json(tmp_path / "lists" / "eval.json", [("a.wav", "/m/0a")])
    assert find(tmp_path, "eval")[0].location.path == str(tmp_path / "lists" / "a.wav")


def test_what_is_found_depends_on_the_json_and_on_the_files_in_it(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"sound")
    write_ast_json(
        tmp_path / "lists" / "eval.json", [(f"{tmp_path}/a.wav", "/m/0a"), ("/none/b.wav", "/m/0a")]
    )
    json_, there, missing = ASTJSON().entries(Files(), str(tmp_path), "eval")
    assert json_.path == str(tmp_path / "lists" / "eval.json")
    assert there == Files().stat(str(tmp_path / "a.wav"))
    assert missing == ("/none/b.wav", 0, 0)


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        '{"data": 3}',
        '{"data": [{"wav": "a.wav"}]}',
        '{"data": [{"wav": "a.wav", "labels": 1}]}',
        "1",
    ],
)
def test_json_of_something_else_is_refused(tmp_path, content):
    (tmp_path / "eval_data.json").write_text(content)
    with pytest.raises(UserError) as raised:
        find(tmp_path, "eval")
    assert str(raised.value).startswith(f"{tmp_path / 'eval_data.json'} is not ")


def test_json_of_another_set_is_not_opened(tmp_path):
    (tmp_path / "eval_data.json").write_text("{")
    write_ast_json(tmp_path / "train_data.json", [("/a.wav", "/m/0a")])
    assert [clip.name for clip in find(tmp_path)] == ["a"]
    assert json.loads((tmp_path / "train_data.json").read_text())["data"]


@pytest.mark.parametrize(
    ("wav", "folder"),
    [
        ("http://169.254.169.254/latest/a.wav", "/corpus"),
        ("file:///dev/zero", "/corpus"),
        ("simplecache::http://host/a.wav", "/corpus"),
        ("http://host/a.wav", "s3://bucket/audio"),
        ("s3://bucket/audio-of-others/a.wav", "s3://bucket/audio"),
        ("s3://bucket/audio/../other/a.wav", "s3://bucket/audio"),
        ("s3://bucket/audio/x::http://host/a.wav", "s3://bucket/audio"),
        ("../../other/a.wav", "s3://bucket/audio"),
    ],
)
def test_a_url_outside_the_folder_is_not_requested(wav, folder):
    assert leaves(wav, folder)


@pytest.mark.parametrize(
    ("wav", "folder"),
    [
        ("../a.wav", "/corpus"),
        ("/far/a.wav", "/corpus"),
        ("/far/a.wav", "s3://bucket/audio"),
        ("s3://bucket/audio/x/a.wav", "s3://bucket/audio/"),
        ("x/a.wav", "s3://bucket/audio"),
    ],
)
def test_paths_and_urls_of_the_corpus_are_taken(wav, folder):
    assert not leaves(wav, folder)


def test_a_list_with_a_url_of_elsewhere_is_refused_by_name(tmp_path):
    write_ast_json(tmp_path / "eval_data.json", [("http://user:secret@host/a.wav", "/m/0a")])
    with pytest.raises(UserError, match=r"eval_data\.json lists http://user:\*\*\*@host/a\.wav") as raised:
        find(tmp_path, "eval")
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    "place", ["/dev/zero", "/dev/stdin", "a\0b.wav", "x" * 5000, "\ud800.wav", "pipe.wav"]
)
def test_a_place_that_is_no_file_is_missing(tmp_path, place):
    os.mkfifo(tmp_path / "pipe.wav")
    write_ast_json(tmp_path / "eval_data.json", [(place, "/m/0a, ,\ud800")])
    (found,) = find(tmp_path, "eval")
    assert Files().stat(found.location.path) is None
    assert found.labels == ("/m/0a", "?")
    assert len(list(ASTJSON().entries(Files(), str(tmp_path), "eval"))) == 2
