"""Files here and at URLs: what is said of one kind holds for the other."""

from pathlib import Path

import fsspec
import pytest

from audiotok.data.reading.files import Files, is_url
from audiotok.errors import UserError

CONTENT = {"b.txt": b"beta", "a/c.txt": b"", "a/a.txt": b"alpha", "-_x/Y.txt": b"y"}


@pytest.fixture(params=["here", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A folder with `CONTENT`."""
    if request.param == "memory":
        root = f"memory://{tmp_path}"
        for name, content in CONTENT.items():
            fsspec.filesystem("memory").pipe(f"{root}/{name}", content)
        return root
    for name, content in CONTENT.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    return str(tmp_path)


def test_a_walk_lists_every_file_once_with_its_size_and_time(folder):
    entries = list(Files().walk(folder))
    assert {entry.path: entry.size for entry in entries} == {
        f"{folder}/{name}": len(content) for name, content in CONTENT.items()
    }
    assert len(entries) == len(CONTENT)
    assert all(entry.version > 10**18 for entry in entries)
    assert [entry.path for entry in entries] == [entry.path for entry in Files().walk(folder)]


def test_a_file_has_the_same_size_and_time_alone(folder):
    for entry in Files().walk(folder):
        assert Files().stat(entry.path) == entry


def test_stretches_are_read(folder):
    path = f"{folder}/a/a.txt"
    assert Files().read(path) == b"alpha"
    assert Files().read(path, 1) == b"lpha"
    assert Files().read(path, 1, 3) == b"lph"
    assert Files().read(path, 4, 100) == b"a"


def test_what_is_not_there_is_not_there(folder):
    assert list(Files().walk(f"{folder}/none")) == []
    assert Files().stat(f"{folder}/none") is None
    assert Files().stat(f"{folder}/a") is None
    assert not Files().exists(f"{folder}/none")
    assert Files().exists(f"{folder}/a")
    assert Files().exists(f"{folder}/b.txt")
    with pytest.raises(FileNotFoundError):
        Files().read(f"{folder}/none")


def test_a_link_to_nowhere_is_passed_over(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "none")
    (tmp_path / "file").touch()
    assert [entry.path for entry in Files().walk(str(tmp_path))] == [str(tmp_path / "file")]


def test_a_url_whose_protocol_is_unknown_is_one_sentence():
    with pytest.raises(UserError, match=r"^nope://x/y cannot be opened: .*nope.*\.$"):
        Files().exists("nope://x/y")


def test_a_protocol_whose_package_is_missing_is_one_sentence_with_the_line_that_installs_it(monkeypatch):
    def refuse(url):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec.core, "url_to_fs", refuse)
    with pytest.raises(
        UserError, match=r"^s3://x/y cannot be opened: .*pip install 'audiotok\[s3\]', or .*\.$"
    ):
        Files().exists("s3://x/y")


def test_folders_that_are_not_entered_are_not_listed(folder):
    entries = Files().walk(folder, enters=lambda name: name != "a")
    assert {entry.path for entry in entries} == {f"{folder}/b.txt", f"{folder}/-_x/Y.txt"}


def test_links_to_folders_are_followed_but_not_round_in_circles(tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "file").touch()
    (tmp_path / "near" / "sub").mkdir(parents=True)
    (tmp_path / "near" / "link").symlink_to(tmp_path / "far")
    (tmp_path / "near" / "sub" / "up").symlink_to(tmp_path / "near")
    walk = Files().walk(str(tmp_path / "near"))
    assert [entry.path for entry in walk] == [str(tmp_path / "near" / "link" / "file")]


@pytest.mark.parametrize(("path", "expected"), [("/a/b", False), ("a:b", False), ("s3://a/b", True)])
def test_urls_are_told_from_paths(path, expected):
    assert is_url(path) == expected
