import json
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from layouts import write_tar

from audiotok.data.audio import UnreadableError
from audiotok.data.clip import Location
from audiotok.data.layout.tar import Tar
from audiotok.data.reading.files import Files
from audiotok.errors import UserError

ids = st.text("Y_-05aZ", min_size=11, max_size=11)


def find(folder, source_set="bal_train"):
    return list(Tar().find(Files(), str(folder), source_set))


@given(
    st.dictionaries(ids, st.binary(max_size=1500), min_size=1, max_size=5), st.sampled_from(["", "audio/x/"])
)
def test_members_come_back_by_name_and_byte_for_byte(tmp_path_factory, files, folder):
    path = tmp_path_factory.mktemp("tar") / "bal_train00.tar"
    write_tar(path, {f"{folder}{id_}.flac": content for id_, content in files.items()})
    found = find(path.parent)
    assert [clip.name for clip in found] == list(files)
    assert [Tar().read(clip.location) for clip in found] == list(files.values())


def test_what_is_no_audio_is_passed_over(tmp_path):
    write_tar(tmp_path / "eval.tar", {"a.txt": b"a", "README": b"b", "dir/c.flac": b"c"})
    with tarfile.open(tmp_path / "eval.tar", "a") as tar:
        link = tarfile.TarInfo("d.flac")
        link.type, link.linkname = tarfile.SYMTYPE, "dir/c.flac"
        tar.addfile(link)
    assert [clip.name for clip in find(tmp_path, "eval")] == ["c"]


@pytest.mark.parametrize(
    ("described", "labels"),
    [
        ({"labels": ["/m/0a", "/m/0b"]}, ("/m/0a", "/m/0b")),
        ({"labels": "/m/0a, /m/0b"}, ("/m/0a", "/m/0b")),
        ({"labels": 3}, None),
        ({"text": "a dog"}, None),
        ([1], None),
    ],
)
@pytest.mark.parametrize("json_first", [True, False])
def test_json_of_webdataset_may_carry_labels(tmp_path, described, labels, json_first):
    files = {"abc.json": json.dumps(described).encode(), "abc.flac": b"sound", "def.flac": b"sound"}
    write_tar(tmp_path / "0.tar", files if json_first else dict(reversed(files.items())))
    assert {clip.name: clip.labels for clip in find(tmp_path)} == {"abc": labels, "def": None}


def test_json_that_is_broken_carries_no_labels(tmp_path):
    write_tar(tmp_path / "0.tar", {"abc.flac": b"sound", "abc.json": b"{"})
    assert find(tmp_path)[0].labels is None


@pytest.mark.parametrize("n_bytes", [10, 600, 1000, 1024, 1500, 2048, 2560])
def test_tar_that_was_cut_short_is_refused(tmp_path, n_bytes):
    path = tmp_path / "bal_train00.tar"
    write_tar(path, {"a.flac": bytes(range(256)) * 2, "b.flac": b"x" * 900})  # 0 + 1024, 1024 + 1536
    path.write_bytes(path.read_bytes()[:n_bytes])
    with pytest.raises(UserError) as raised:
        find(tmp_path)
    assert str(raised.value).startswith(f"{path} ")
    assert "download it again" in str(raised.value)


@pytest.mark.parametrize("content", [b"", b"text", b"\x1f\x8b" + b"zipped" * 100])
def test_file_that_is_no_tar_is_refused(tmp_path, content):
    (tmp_path / "bal_train00.tar").write_bytes(content)
    with pytest.raises(UserError, match="cannot be read as a tar"):
        find(tmp_path)


def test_member_that_is_gone_since_it_was_listed_cannot_be_read(tmp_path):
    path = tmp_path / "0.tar"
    path.write_bytes(b"x" * 700)
    with pytest.raises(UnreadableError, match="after 188 of 600 bytes"):
        Tar().read(Location("tar", str(path), "512+600"))


def test_a_hard_link_is_a_second_name_of_the_member(tmp_path):
    write_tar(tmp_path / "eval.tar", {"blobs/1": b"sound"})
    with tarfile.open(tmp_path / "eval.tar", "a") as tar:
        for name, target in (("a.flac", "blobs/1"), ("b.flac", "a.flac"), ("c.flac", "none")):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.LNKTYPE, target
            tar.addfile(link)
    found = find(tmp_path, "eval")
    assert [(clip.name, Tar().read(clip.location)) for clip in found] == [("a", b"sound"), ("b", b"sound")]


def test_json_a_thousand_deep_carries_no_labels(tmp_path):
    write_tar(tmp_path / "0.tar", {"abc.flac": b"sound", "abc.json": b"[" * 100_000})
    assert find(tmp_path)[0].labels is None


@pytest.mark.parametrize("size", [b"\x80" + b"\xff" * 11, b"\xff" * 12, b"77777777777\0"])
def test_a_member_of_an_impossible_size_is_one_sentence(tmp_path, size):
    path = tmp_path / "bal_train00.tar"
    write_tar(path, {"a.flac": b"x" * 512, "b.flac": b"y" * 512})
    content = bytearray(path.read_bytes())
    header = content[1024:1536]
    header[124:136] = size
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    content[1024:1536] = header
    path.write_bytes(content)
    with pytest.raises(UserError) as raised:
        find(tmp_path)
    assert str(raised.value).startswith(str(path))


def test_a_sparse_member_is_passed_over_with_a_word(tmp_path, caplog):
    path = tmp_path / "bal_train00.tar"
    write_tar(path, {"a.flac": b"x" * 512, "b.flac": b"y" * 512})
    content = bytearray(path.read_bytes())
    header = content[:512]
    header[156:157] = tarfile.GNUTYPE_SPARSE
    header[386:512] = bytes(126)
    header[386:410] = b"%011o\0%011o\0" % (0, 512)
    header[483:495] = b"%011o\0" % 100_000
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    content[:512] = header
    path.write_bytes(content)
    assert [clip.name for clip in find(tmp_path)] == ["b"]
    assert "1 sparse members are passed over" in caplog.text


def test_a_name_that_is_not_utf8_is_named_with_question_marks(tmp_path):
    write_tar(tmp_path / "0.tar", {"B\udce4r.flac": b"sound"})
    assert [clip.name for clip in find(tmp_path)] == ["B?r"]
