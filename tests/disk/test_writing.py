"""Files are replaced in one step."""

import json

import pytest

from audiotok.disk.writing import replacing, write_json, write_text


def test_a_failure_leaves_the_file_of_before_and_nothing_beside_it(tmp_path):
    path = tmp_path / "metrics.json"
    write_text(path, "before")

    def fail():
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_json_is_replaced(tmp_path):
    path = tmp_path / "metrics.json"
    write_json(path, {"a": 1})
    write_json(path, {"b": [2.5]})
    assert json.loads(path.read_text()) == {"b": [2.5]}
    assert list(tmp_path.iterdir()) == [path]
