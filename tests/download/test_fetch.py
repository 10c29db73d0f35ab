"""One file: whole, cut, refused, changed, wrong; every byte that is sent is counted."""

import hashlib
import json
import shutil

import pytest

from audiotok.download.fetch import fetch
from audiotok.download.record import Record
from audiotok.download.release import Remote
from audiotok.errors import UserError

BLOCK = 1 << 16
CONTENT = bytes(range(256)) * 4000  # about 1 MB
SHA256 = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
MD5 = f"md5:{hashlib.md5(CONTENT).hexdigest()}"


@pytest.fixture
def bring(server, tmp_path):
    """Fetch `file` into a folder, as a new process would, and return its path."""
    server.files["/file"] = CONTENT

    def bring(checksum="", size=0):
        folder = tmp_path / "data"
        folder.mkdir(exist_ok=True)
        return fetch(Remote("file", checksum, size), server.url, folder, Record(folder), folder / ".work")

    return bring


@pytest.mark.parametrize("checksum", ["", SHA256, MD5])
def test_a_file_comes_whole_and_only_once(bring, server, checksum):
    assert bring(checksum).read_bytes() == CONTENT
    assert server.sent == len(CONTENT)
    assert bring(checksum).read_bytes() == CONTENT
    assert len(server.requests) == 1


def test_a_cut_connection_goes_on_where_it_broke_off(bring, server):
    server.cut_after = [4 * BLOCK, 3 * BLOCK]
    assert bring(SHA256).read_bytes() == CONTENT
    assert [asked for _, asked, _ in server.requests] == ["", f"bytes={4 * BLOCK}-", f"bytes={7 * BLOCK}-"]
    assert server.sent == len(CONTENT)


def test_another_run_goes_on_where_one_broke_off(bring, server):
    server.cut_after = [6 * BLOCK, 0, 0, 0, 0]
    with pytest.raises(UserError, match=r"interrupted after 393,216 bytes .* run the same command again"):
        bring(SHA256)
    assert bring(SHA256).read_bytes() == CONTENT
    assert server.requests[-1] == ("/file", f"bytes={6 * BLOCK}-", 206)
    assert server.sent == len(CONTENT)


def test_a_server_without_ranges_sends_all_of_it_again(bring, server):
    server.ranges, server.etag, server.cut_after = False, "", [4 * BLOCK]
    assert bring(SHA256).read_bytes() == CONTENT
    assert server.sent == 4 * BLOCK + len(CONTENT)


def test_a_file_that_changed_in_the_meantime_is_not_pieced_together(bring, server):
    server.cut_after = [4 * BLOCK, 0, 0, 0, 0]
    with pytest.raises(UserError):
        bring()
    server.files["/file"], server.etag = CONTENT[::-1], '"two"'
    assert bring().read_bytes() == CONTENT[::-1]


def test_a_process_that_died_before_the_last_step_asks_for_nothing_more(bring, server, tmp_path):
    work = tmp_path / "data" / ".work"
    work.mkdir(parents=True)
    (work / "file.part").write_bytes(CONTENT)
    assert bring(SHA256, len(CONTENT)).read_bytes() == CONTENT
    assert server.requests == []


def test_a_whole_part_of_unknown_size_is_recognised(bring, server, tmp_path):
    work = tmp_path / "data" / ".work"
    work.mkdir(parents=True)
    (work / "file.part").write_bytes(CONTENT)
    assert bring().read_bytes() == CONTENT
    assert server.sent == 0


def test_a_part_that_is_longer_than_the_file_is_thrown_away(bring, tmp_path):
    work = tmp_path / "data" / ".work"
    work.mkdir(parents=True)
    (work / "file.part").write_bytes(CONTENT + b"more")
    assert bring(SHA256, len(CONTENT)).read_bytes() == CONTENT


def test_a_wrong_checksum_keeps_nothing_and_names_both(bring, tmp_path):
    wrong = "md5:" + "0" * 32
    with pytest.raises(UserError, match=rf"{MD5[4:]}, but {wrong} is published.*discarded"):
        bring(wrong)
    assert not [path for path in (tmp_path / "data").rglob("*") if path.is_file()]


def test_a_server_in_trouble_is_asked_again(bring, server):
    server.failures = [503, 500]
    assert bring(SHA256).read_bytes() == CONTENT
    assert [status for *_, status in server.requests] == [503, 500, 200]


def test_a_server_that_stays_in_trouble_is_given_up(bring, server):
    server.failures = [503] * 10
    with pytest.raises(UserError, match="answered 503"):
        bring()
    assert len(server.requests) == 4


def test_a_refusal_is_told_at_once(bring, server):
    server.files.clear()
    with pytest.raises(UserError, match=r"/file was refused \(404 Not Found\); give another server"):
        bring()
    assert len(server.requests) == 1


def test_a_server_that_is_not_there_is_told(server, tmp_path):
    with pytest.raises(UserError, match=r"http://127.0.0.1:9/file was interrupted after 0 bytes"):
        fetch(Remote("file"), "http://127.0.0.1:9", tmp_path, Record(tmp_path), tmp_path)


def test_a_base_url_that_is_none_is_told(server, tmp_path):
    with pytest.raises(UserError, match="nowhere/file cannot be requested"):
        fetch(Remote("file"), "nowhere", tmp_path, Record(tmp_path), tmp_path)


def test_without_a_published_checksum_the_first_download_is_trusted(bring, server, tmp_path):
    path = bring()
    record = json.loads((tmp_path / "data" / "download.json").read_text())
    assert record["files"]["file"]["checksum"] == SHA256
    assert record["files"]["file"]["checksum_from"] == "the first download"
    path.unlink()
    server.files["/file"] = CONTENT[::-1]
    with pytest.raises(UserError, match=rf"{SHA256} was recorded in download.json .*remove file from"):
        bring()
    assert not path.exists()


def test_a_file_that_was_damaged_on_the_disk_comes_again(bring, server):
    path = bring()
    path.write_bytes(CONTENT[:-1])
    assert bring().read_bytes() == CONTENT
    assert len(server.requests) == 2


def test_a_record_that_is_none_is_told(tmp_path):
    (tmp_path / "download.json").write_text("[]")
    with pytest.raises(UserError, match=r"download\.json is not a record"):
        Record(tmp_path)


def test_a_missing_pooch_says_what_to_install(bring, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pooch", None)
    with pytest.raises(UserError, match=r"pip install 'audiotok\[download\]'"):
        bring()


def test_nothing_is_left_in_the_working_folder(bring, server, tmp_path):
    server.cut_after = [100]
    bring(SHA256)
    assert list((tmp_path / "data" / ".work").iterdir()) == []
    shutil.rmtree(tmp_path / "data")
