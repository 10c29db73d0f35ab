"""Files are replaced in one step, and an error of writing names the place and who chose it."""

import errno
import json
import os
from pathlib import Path

import pytest

from audiotok.disk import writing
from audiotok.disk.writing import (
    clear_parts,
    complaint,
    replacing,
    replacing_folder,
    write_json,
    write_rows,
    write_text,
)


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


def test_an_error_of_an_open_file_names_the_path(tmp_path):
    with pytest.raises(OSError, match="No space") as raised, replacing(tmp_path / "metrics.json"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert (raised.value.errno, raised.value.filename) == (errno.ENOSPC, str(tmp_path / "metrics.json"))


def test_an_error_about_another_file_is_left_alone(tmp_path):
    with pytest.raises(FileNotFoundError) as raised, replacing(tmp_path / "copy"):
        (tmp_path / "original").read_bytes()
    assert raised.value.filename == str(tmp_path / "original")


def test_an_unwritable_folder_is_an_error_that_names_the_path(tmp_path):
    with pytest.raises(FileNotFoundError) as raised:
        write_text(tmp_path / "missing" / "metrics.json", "x")
    assert raised.value.filename == str(tmp_path / "missing" / "metrics.json")


def test_a_link_is_followed_and_a_device_is_written_to(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "page.html")
    write_text(tmp_path / "link", "page")
    assert (tmp_path / "page.html").read_text() == "page"
    assert (tmp_path / "link").is_symlink()
    write_text(Path(os.devnull), "nothing")
    assert not Path(os.devnull).is_file()


def test_a_table_has_the_line_ends_of_csv(tmp_path):
    write_rows(tmp_path / "table.csv", [["a", "b"], [1, "x,y"]])
    assert (tmp_path / "table.csv").read_bytes() == b'a,b\r\n1,"x,y"\r\n'


def write_folder(path, *names):
    with replacing_folder(path) as temporary:
        for name in names:
            (temporary / name).write_text(name)


@pytest.mark.parametrize("exchanges", [True, False])
def test_a_folder_is_exchanged_whole(tmp_path, monkeypatch, exchanges):
    if not exchanges:
        monkeypatch.setattr(writing, "_exchange", lambda one, other: False)
    path = tmp_path / "vocabulary"
    write_folder(path, "centroids", "mean")
    write_folder(path, "centroids", "components")
    assert sorted(file.name for file in path.iterdir()) == ["centroids", "components"]
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_the_folder_of_before(tmp_path):
    path = tmp_path / "vocabulary"
    write_folder(path, "centroids")
    with pytest.raises(OSError, match="full"), replacing_folder(path):
        raise OSError("full")
    assert [file.name for file in path.iterdir()] == ["centroids"]
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_a_kill_left_under_another_name_returns(tmp_path):
    path = tmp_path / "vocabulary"
    write_folder(path, "centroids")
    path.rename(tmp_path / ".vocabulary.before")  # where two renames are needed, between them
    with pytest.raises(OSError, match="full"), replacing_folder(path):
        raise OSError("full")
    assert [file.name for file in path.iterdir()] == ["centroids"]


def test_parts_are_cleared(tmp_path):
    for name in (".metrics.json.0a1b2c3d.part", "metrics.json", "a.part"):
        (tmp_path / name).touch()
    (tmp_path / ".vocabulary.0a1b2c3d.part").mkdir()
    clear_parts(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.part", "metrics.json"]


def full(path=None, number=errno.ENOSPC):
    return OSError(number, os.strerror(number), None if path is None else str(path))


def test_a_complaint_names_the_key_and_the_place(tmp_path):
    places = {"hydra.run.dir": tmp_path / "run", "cache_dir": tmp_path / "cache"}
    said = complaint(full(tmp_path / "cache" / "rows.npy"), places)
    assert said == (
        f"cache_dir={tmp_path / 'cache'} cannot be written (No space left on device); free some space there, "
        "or choose another place."
    )
    said = complaint(full(tmp_path / "run", errno.EACCES), places)
    assert said.startswith(f"hydra.run.dir={tmp_path / 'run'} cannot be written (Permission denied); choose")
    assert "ulimit -f" in complaint(full(tmp_path / "run" / "log", errno.EFBIG), places)


def test_a_complaint_about_an_open_file_names_the_first_place(tmp_path):
    places = {"hydra.run.dir": tmp_path / "run", "cache_dir": tmp_path / "cache"}
    assert complaint(full(), places).startswith(f"hydra.run.dir={tmp_path / 'run'} ")


def test_a_complaint_about_the_disk_that_has_no_room(tmp_path, monkeypatch):
    places = {"hydra.run.dir": tmp_path / "run", "cache_dir": tmp_path / "cache"}
    monkeypatch.setattr(writing, "_is_full", lambda place: place.name == "cache")
    assert complaint(full(), places).startswith(f"cache_dir={tmp_path / 'cache'} ")


def test_a_complaint_about_temporary_files_names_their_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(writing.tempfile, "tempdir", str(tmp_path / "tmp"))
    said = complaint(full(tmp_path / "tmp" / "x"), {"hydra.run.dir": tmp_path / "run"})
    assert said.startswith(f"TMPDIR={tmp_path / 'tmp'} cannot be written")
    none = FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']")
    assert complaint(none, {"hydra.run.dir": tmp_path / "run"}).startswith("TMPDIR=")


def test_other_errors_are_no_complaint(tmp_path):
    places = {"hydra.run.dir": tmp_path / "run"}
    assert complaint(full(tmp_path / "data" / "clip.wav", errno.EACCES), places) is None
    assert complaint(full(None, errno.EINVAL), places) is None
