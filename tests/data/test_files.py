"""Files here and at URLs: what is said of one kind holds for the other."""

import inspect
import os
import sys
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


def test_links_that_lead_to_each_other_end(tmp_path):
    for name, other in (("a", "b"), ("b", "a")):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.wav").touch()
        (tmp_path / name / "link").symlink_to(tmp_path / other)
    names = [entry.path.rpartition("/")[2] for entry in Files().walk(str(tmp_path))]
    assert set(names) == {"a.wav", "b.wav"}
    assert len(names) <= 4


def test_a_folder_deeper_than_python_calls_itself_is_walked(tmp_path):
    deepest = tmp_path.joinpath(*["d"] * 40)
    deepest.mkdir(parents=True)
    (deepest / "x.wav").touch()
    frames = len(inspect.stack())
    limit = sys.getrecursionlimit()
    try:
        sys.setrecursionlimit(frames + 30)
        found = [entry.path for entry in Files().walk(str(tmp_path))]
    finally:
        sys.setrecursionlimit(limit)
    assert found == [f"{deepest}/x.wav"]


def test_a_sub_folder_that_cannot_be_read_is_passed_over_with_a_word(tmp_path, monkeypatch, caplog):
    (tmp_path / "lost+found").mkdir()
    (tmp_path / "z.wav").touch()
    scan = os.scandir

    def refuse(folder: str):
        if folder.endswith("lost+found"):
            raise PermissionError(13, "Permission denied")
        return scan(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    for _ in range(2):
        assert [entry.path for entry in Files().walk(str(tmp_path))] == [str(tmp_path / "z.wav")]
    assert caplog.text.count("lost+found is passed over, because it cannot be read (Permission denied)") == 1
    with pytest.raises(UserError, match="make it readable"):
        list(Files().walk(str(tmp_path / "lost+found")))


def test_pipes_and_devices_are_no_files(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    assert list(Files().walk(str(tmp_path))) == []
    for path in (str(tmp_path / "pipe.wav"), "/dev/zero"):
        assert Files().stat(path) is None
        with pytest.raises(OSError, match="not a regular file"):
            Files().read(path)


def test_a_path_that_no_system_has_is_not_there():
    assert Files().stat("a\0b") is None
    assert not Files().exists("a\0b")
    with pytest.raises(OSError, match="null"):
        Files().read("a\0b")


def test_a_name_that_is_not_utf8_is_passed_over_with_a_word(tmp_path, caplog):
    (tmp_path / "a.wav").touch()
    try:
        (tmp_path / os.fsdecode(b"B\xe4r.wav")).touch()
    except OSError:
        pytest.skip("this file system takes only UTF-8")
    assert [entry.path for entry in Files().walk(str(tmp_path))] == [str(tmp_path / "a.wav")]
    assert "names are not UTF-8" in caplog.text


def test_more_than_a_file_holds_is_not_asked_of_memory(tmp_path):
    (tmp_path / "a").write_bytes(b"alpha")
    assert Files().read(str(tmp_path / "a"), 2, 2**62) == b"pha"
