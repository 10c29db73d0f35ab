"""Checksums of a folder find whatever is done to its files."""

import json
import os
from pathlib import Path

import pytest

from audiotok.disk.checksum import CHECKSUMS, check_checksums, crc32_of, write_checksums


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "a").write_bytes(b"some bytes")
    (tmp_path / "b").write_bytes(b"header, and what is filled later")
    (tmp_path / "empty").touch()
    write_checksums(tmp_path, {"b": 6})
    return tmp_path


def test_what_was_not_changed_is_sound_and_files_may_be_added(folder):
    (folder / "added").touch()
    check_checksums(folder)
    found = json.loads((folder / CHECKSUMS).read_text())["files"]
    assert {name: sizes[:2] for name, sizes in found.items()} == {
        "b": [32, 6],
        "empty": [0, 0],
        "inner/a": [10, 10],
    }


def test_every_flipped_bit_is_found(folder):
    for name, n_bytes in (("inner/a", 10), ("b", 6)):
        path = folder / name
        sound = path.read_bytes()
        for bit in range(8 * n_bytes):
            content = bytearray(sound)
            content[bit // 8] ^= 1 << bit % 8
            path.write_bytes(content)
            with pytest.raises(ValueError, match=f"{name} does not match its checksum"):
                check_checksums(folder)
        path.write_bytes(sound)
    check_checksums(folder)


def test_what_is_filled_later_may_change_but_not_in_size(folder):
    (folder / "b").write_bytes(b"header, AND WHAT IS FILLED LATER")
    check_checksums(folder)
    os.truncate(folder / "b", 31)
    with pytest.raises(ValueError, match="b has another size"):
        check_checksums(folder)


def test_a_lost_file_a_pipe_and_lost_checksums_are_found(folder):
    (folder / "empty").unlink()
    with pytest.raises(FileNotFoundError):
        check_checksums(folder)
    os.mkfifo(folder / "empty")
    with pytest.raises(ValueError, match="empty has another size"):
        check_checksums(folder)
    (folder / CHECKSUMS).unlink()
    with pytest.raises(FileNotFoundError, match=CHECKSUMS):
        check_checksums(folder)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"files": 3}',
        '{"files": {"b": [1, 2]}}',
        '{"files": {"../b": [32, 6, 0]}}',
        '{"files": {"/etc/passwd": [32, 6, 0]}}',
        '{"files": {"b": [32, 33, 0]}}',
        '{"files": {"b": [32, -1, 0]}}',
    ],
)
def test_damaged_checksums_are_said_to_be(folder, text):
    (folder / CHECKSUMS).write_text(text)
    with pytest.raises(ValueError, match=f"{CHECKSUMS} is damaged"):
        check_checksums(folder)


def test_a_file_that_ends_early_is_said_to_be_cut(tmp_path):
    (tmp_path / "a").write_bytes(b"1234")
    with pytest.raises(ValueError, match="a is cut short"):
        crc32_of(tmp_path / "a", 5)
