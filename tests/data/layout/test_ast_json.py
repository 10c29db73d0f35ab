import json

import pytest
from layouts import write_ast_json

from audiotok.data.clip import Location
from audiotok.data.layout.ast_json import ASTJSON
from audiotok.data.reading.files import Files
from audiotok.errors import UserError


def find(folder, source_set="bal_train"):
    return list(ASTJSON().find(Files(), str(folder), source_set))


def test_absolute_paths_and_labels_are_taken_as_they_are(tmp_path):
    write_ast_json(tmp_path / "balanced_train_data.json", [("/far/Y-_0123456-_.wav", "/m/0a, /m/0b")])
    (found,) = find(tmp_path)
    assert found == ("Y-_0123456-_", Location("folders", "/far/Y-_0123456-_.wav"), ("/m/0a", "/m/0b"))


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
