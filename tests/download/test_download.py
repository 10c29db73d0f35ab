"""Whole corpora, from the command line: what is printed, what is left, what a second call asks for."""

import hashlib
import json
import shutil
from collections import namedtuple

import pytest
from archives import MEMBERS, contents, split_zip, zip_of
from filelock import FileLock
from tiny import write_tiny_audioset
from typer.testing import CliRunner

from audiotok.cli import app
from audiotok.data.layout.segments import CLASS_TABLE, SEGMENTS
from audiotok.download.download import RELEASES
from audiotok.download.release import Archive, Release, Remote


def md5(content):
    return f"md5:{hashlib.md5(content).hexdigest()}"


@pytest.fixture
def call(server, tmp_path):
    """Run `audiotok download NAME` into a folder of its own and return what came of it."""

    def call(name, *options, mirror=True):
        arguments = ["download", name, "--to", str(tmp_path / "data"), *options]
        return CliRunner().invoke(app, [*arguments, *(["--mirror", server.url] if mirror else [])])

    return call


@pytest.fixture
def split_corpus(server, monkeypatch):
    """A corpus of one archive in three parts, as `fsd50k`, with another file of tables as it comes."""
    parts = split_zip(MEMBERS, 9000)
    names = [f"a.z{i:02}" for i in range(1, len(parts))] + ["a.zip"]
    server.files = {f"/{name}": part for name, part in zip(names, parts, strict=True)}
    remotes = tuple(Remote(name, md5(part), len(part)) for name, part in zip(names, parts, strict=True))
    source = Release("Corpus", server.url, (Archive(remotes, "Corpus", 50_000),), data="data=fsd50k")
    monkeypatch.setitem(RELEASES, "fsd50k", source)
    return source


def test_a_corpus_in_parts_is_fetched_checked_and_unpacked(call, server, split_corpus, tmp_path):
    server.cut_after = [5000]
    result = call("fsd50k")
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[-1] == f"python train.py data=fsd50k data.root={tmp_path / 'data'}"
    assert contents(tmp_path / "data" / "Corpus") == dict(sorted(MEMBERS.items()))
    record = json.loads((tmp_path / "data" / "download.json").read_text())
    assert record["folders"]["Corpus"]["files"] == len(MEMBERS)
    assert record["files"]["a.zip"]["checksum_from"] == "its publisher"


def test_a_corpus_that_is_there_is_asked_for_no_more(call, server, split_corpus):
    call("fsd50k")
    n_requests = len(server.requests)
    assert call("fsd50k").exit_code == 0
    assert len(server.requests) == n_requests


def test_archives_go_once_they_are_unpacked(call, split_corpus, tmp_path):
    call("fsd50k")
    left = {path.name for path in (tmp_path / "data").rglob("*") if path.is_file()}
    assert left == {path.rpartition("/")[2] for path in MEMBERS} | {"download.json", "lock"}


def test_a_wrong_checksum_ends_with_one_sentence(call, server, split_corpus, tmp_path):
    server.files["/a.zip"] = server.files["/a.zip"][:-1] + b"x"
    result = call("fsd50k")
    assert result.exit_code == 1
    assert "/a.zip sent a file with the checksum" in result.output
    assert not (tmp_path / "data" / "Corpus").exists()
    assert not list((tmp_path / "data").rglob("a.zip"))
    assert (tmp_path / "data" / ".download" / "a.z01").exists()  # what is right need not come again


def test_the_mirror_may_come_from_the_environment(call, split_corpus, server, monkeypatch):
    monkeypatch.setenv("AUDIOTOK_MIRROR", f"{server.url}/elsewhere")
    assert "/elsewhere/a.z01 was refused (404" in call("fsd50k", mirror=False).output


def test_a_folder_that_is_not_ours_is_left_alone(call, split_corpus, tmp_path):
    (tmp_path / "data" / "Corpus").mkdir(parents=True)
    result = call("fsd50k")
    assert result.exit_code == 1
    assert "has a folder Corpus that was not made by this command" in result.output


def test_a_disk_that_is_too_small_is_told_before_anything_comes(call, split_corpus, server, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(100_000, 50_000, 50_000))
    result = call("fsd50k")
    assert result.exit_code == 1
    assert "has less than 0.0 GB free, which Corpus needs" in result.output
    assert server.requests == []


def test_two_downloads_into_one_folder_do_not_meet(call, split_corpus, tmp_path):
    (tmp_path / "data" / ".download").mkdir(parents=True)
    with FileLock(tmp_path / "data" / ".download" / "lock"):
        result = call("fsd50k")
    assert result.exit_code == 1
    assert "is in use by another audiotok download" in result.output


def test_the_tables_of_audioset_come_as_they_are_and_are_read(call, server, tmp_path, monkeypatch):
    write_tiny_audioset(tmp_path / "there")
    tables = {path.name: path.read_bytes() for path in (tmp_path / "there" / "metadata").iterdir()}
    server.files = {f"/{name}": content for name, content in tables.items()}
    result = call("audioset-csv")
    assert result.exit_code == 1  # the class table is held to what the world has
    assert f"/{CLASS_TABLE} sent a file with the checksum" in result.output
    source = RELEASES["audioset-csv"]
    files = tuple(Remote(name) for name in (CLASS_TABLE, *SEGMENTS.values()))
    monkeypatch.setitem(
        RELEASES, "audioset-csv", Release(source.title, "", (), files, source.files_folder, "", source.data)
    )
    result = call("audioset-csv")
    assert result.exit_code == 0, result.output
    assert {p.name: p.read_bytes() for p in (tmp_path / "data" / "metadata").iterdir()} == tables
    assert f"python train.py data=audioset data.root={tmp_path / 'data'}" in result.output
    n_requests = len(server.requests)
    assert call("audioset-csv").exit_code == 0
    assert len(server.requests) == n_requests


def test_esc50_is_one_pinned_archive(call, server, monkeypatch, tmp_path):
    [archive] = RELEASES["esc50"].archives
    [remote] = archive.parts
    content = zip_of({f"ESC-50-{remote.name[:-4]}/meta/esc50.csv": b"filename\n"})
    server.files[f"/{remote.name}"] = content
    pinned = Archive((Remote(remote.name, md5(content), len(content)),), archive.folder, 100)
    source = Release("ESC-50", "", (pinned,), root="ESC-50", data="data=esc50")
    monkeypatch.setitem(RELEASES, "esc50", source)
    assert f"data=esc50 data.root={tmp_path / 'data' / 'ESC-50'}" in call("esc50").output
    assert (tmp_path / "data" / "ESC-50" / "meta" / "esc50.csv").is_file()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["esc51"], "esc51 is not a corpus for download; choose one of esc50, fsd50k, "),
        (["esc50", "--set", "eval"], "--set=eval applies only to audioset"),
        (["audioset", "--set", "evil"], "--set=evil is not a set of AudioSet; choose from bal_train"),
    ],
)
def test_what_cannot_be_asked_for_is_told(call, arguments, sentence):
    result = call(*arguments)
    assert result.exit_code == 1
    assert sentence in result.output


@pytest.mark.parametrize("to", ["data", "data/below"])
def test_a_destination_that_cannot_be_a_folder_is_told(server, tmp_path, to):
    (tmp_path / "data").write_text("")
    result = CliRunner().invoke(app, ["download", "esc50", "--to", str(tmp_path / to)])
    assert result.exit_code == 1
    assert "cannot be written" in result.output


def test_help_names_every_corpus():
    output = CliRunner().invoke(app, ["download", "--help"]).output
    assert all(name in output for name in RELEASES)


@pytest.mark.parametrize("source", RELEASES.values(), ids=RELEASES)
def test_every_published_checksum_is_of_a_known_kind(source):
    for remote in (*source.files, *(part for archive in source.archives for part in archive.parts)):
        kind, _, digits = remote.checksum.partition(":")
        assert len(digits) == {"": 0, "md5": 32, "sha256": 64}[kind]
        assert bool(remote.size) == bool(remote.checksum)
