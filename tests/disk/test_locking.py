"""A lock is had by one at a time, and leaves nothing but the folder's guard."""

import threading
import time

import pytest
from filelock import FileLock, Timeout

from audiotok.disk.locking import GUARD, locked


def test_one_has_a_lock_at_a_time_and_its_file_is_gone_afterwards(tmp_path):
    with locked(tmp_path / "one.lock"):
        with pytest.raises(Timeout), locked(tmp_path / "one.lock", timeout=0):
            pass
        with locked(tmp_path / "two.lock", timeout=0):
            assert sorted(path.name for path in tmp_path.iterdir()) == [GUARD, "one.lock", "two.lock"]
    with locked(tmp_path / "one.lock", timeout=0):
        pass
    assert [path.name for path in tmp_path.iterdir()] == [GUARD]


def test_a_plain_lock_of_an_earlier_version_is_respected(tmp_path):
    with FileLock(tmp_path / "one.lock"), pytest.raises(Timeout), locked(tmp_path / "one.lock", timeout=0):
        pass
    with locked(tmp_path / "one.lock", timeout=0):
        assert (tmp_path / "one.lock").exists()


def test_threads_that_wait_follow_each_other(tmp_path):
    inside, most = 0, 0

    def work() -> None:
        nonlocal inside, most
        with locked(tmp_path / "one.lock"):
            inside += 1
            most = max(most, inside)
            time.sleep(0.01)
            inside -= 1

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (most, inside) == (1, 0)
    assert [path.name for path in tmp_path.iterdir()] == [GUARD]


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"), locked(tmp_path / "file" / "one.lock"):
        pass
