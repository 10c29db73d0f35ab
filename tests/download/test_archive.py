"""Unpacking: whole or in parts, interrupted, damaged, or meant to harm."""

import shutil
import stat
import subprocess
import zipfile

import pytest
from archives import MEMBERS, contents, split_zip, zip_of

from audiotok.download.archive import unpack
from audiotok.errors import UserError


def write(folder, parts):
    paths = [folder / f"a.z{i:02}" for i in range(1, len(parts))] + [folder / "a.zip"]
    for path, part in zip(paths, parts, strict=True):
        path.write_bytes(part)
    return paths


@pytest.mark.parametrize("n_bytes", [None, 700, 4000, 17_003])
def test_an_archive_becomes_a_folder_of_the_same_bytes(tmp_path, n_bytes):
    parts = split_zip(MEMBERS, n_bytes) if n_bytes else [zip_of(MEMBERS)]
    assert unpack(write(tmp_path, parts), tmp_path / "Corpus", tmp_path / "work") == len(MEMBERS)
    assert contents(tmp_path / "Corpus") == dict(sorted(MEMBERS.items()))


@pytest.mark.skipif(
    not shutil.which("zip"), reason="the command zip, which splits archives, is not installed"
)
def test_an_archive_that_info_zip_has_split_is_read(tmp_path):
    content = {f"Corpus/{i}": MEMBERS[f"Corpus/audio/{i}.wav"] * 10 for i in range(12)}
    for name, data in content.items():
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(data)
    subprocess.run(["zip", "-q0rs", "64k", "../a.zip", "Corpus"], cwd=tmp_path / "in", check=True)
    parts = [*sorted(tmp_path.glob("a.z[0-9]*")), tmp_path / "a.zip"]
    assert len(parts) > 3
    unpack(parts, tmp_path / "Corpus", tmp_path / "work")
    assert contents(tmp_path / "Corpus") == dict(sorted(content.items()))


def test_the_folder_gets_the_name_that_is_wanted(tmp_path):
    unpack(write(tmp_path, [zip_of(MEMBERS)]), tmp_path / "Other", tmp_path / "work")
    assert (tmp_path / "Other" / "meta" / "table.csv").is_file()


def test_what_an_earlier_attempt_unpacked_is_not_unpacked_again(tmp_path, monkeypatch):
    paths = write(tmp_path, [zip_of(MEMBERS)])
    opened, whole = [], zipfile.ZipFile.open

    def open_some(self, member, *arguments):
        opened.append(member.filename)
        if len(opened) == 5:
            raise KeyboardInterrupt
        return whole(self, member, *arguments)

    monkeypatch.setattr(zipfile.ZipFile, "open", open_some)
    with pytest.raises(KeyboardInterrupt):
        unpack(paths, tmp_path / "Corpus", tmp_path / "work")
    assert not (tmp_path / "Corpus").exists()
    unpack(paths, tmp_path / "Corpus", tmp_path / "work")
    assert len(opened) == len(MEMBERS) + 1  # the fifth twice
    assert contents(tmp_path / "Corpus") == dict(sorted(MEMBERS.items()))


@pytest.mark.parametrize("name", ["../evil", "Corpus/../../evil", "/evil", "Corpus\\..\\evil", "C:/evil/x"])
def test_a_member_outside_of_the_folder_is_refused(tmp_path, name):
    paths = write(tmp_path, [zip_of({**MEMBERS, name: b"evil"})])
    with pytest.raises(UserError, match="would be written outside"):
        unpack(paths, tmp_path / "in" / "Corpus", tmp_path / "in" / "work")
    assert not [path for path in tmp_path.rglob("*") if "evil" in path.name]


def test_a_link_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        link = zipfile.ZipInfo("Corpus/link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(UserError, match="would be written outside"):
        unpack([tmp_path / "a.zip"], tmp_path / "Corpus", tmp_path / "work")


@pytest.mark.parametrize("members", [{}, {"file": b"x"}, {"a/x": b"x", "b/x": b"x"}])
def test_an_archive_of_something_else_is_told(tmp_path, members):
    with pytest.raises(UserError, match="not one folder"):
        unpack(write(tmp_path, [zip_of(members)]), tmp_path / "Corpus", tmp_path / "work")


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-30], lambda b: b[:3000] + b"\0" * 50 + b[3050:], lambda _: b""]
)
@pytest.mark.parametrize("n_bytes", [None, 40_000])
def test_a_damaged_archive_is_told_and_leaves_no_folder(tmp_path, damage, n_bytes):
    parts = split_zip(MEMBERS, n_bytes) if n_bytes else [zip_of(MEMBERS)]
    if n_bytes:
        parts = [*parts[:-1], parts[-1]] if len(parts) > 1 else [parts[0][:100], parts[0][100:]]
    parts[-1] = damage(parts[-1])
    with pytest.raises(UserError, match=r"a.zip cannot be unpacked .*; delete it and start again"):
        unpack(write(tmp_path, parts), tmp_path / "Corpus", tmp_path / "work")
    assert not (tmp_path / "Corpus").exists()


def test_an_archive_that_would_fill_the_disk_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    paths = write(tmp_path, [zip_of({"Corpus/zeros": bytes(1_000_000)})])
    with pytest.raises(UserError, match=r"a\.zip unpacks to 0\.0 GB, where .* is too much"):
        unpack(paths, tmp_path / "Corpus", tmp_path / "work", most_bytes=100_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(1000, 0, 1000))
    with pytest.raises(UserError, match=r"which is more than the disk of .* has"):
        unpack(paths, tmp_path / "Corpus", tmp_path / "work")
    assert not (tmp_path / "Corpus").exists()
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize("name", [".", "./.", "a"])
def test_a_member_without_a_place_in_a_folder_is_refused(tmp_path, name):
    with pytest.raises(UserError, match=r"a\.zip "):
        unpack(write(tmp_path, [zip_of({name: b"x"})]), tmp_path / "Corpus", tmp_path / "work")


def test_an_encrypted_archive_is_refused(tmp_path):
    content = bytearray(zip_of({"Corpus/a": b"x"}))
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(mark) + place] |= 1
    with pytest.raises(UserError, match=r"cannot be unpacked .*encrypted"):
        unpack(write(tmp_path, [bytes(content)]), tmp_path / "Corpus", tmp_path / "work")
