import os
import threading

import pytest

from audiotok.data.layout.containers import Opened
from audiotok.data.layout.tar import Tar
from audiotok.data.reading.files import Files
from audiotok.errors import UserError


def test_files_of_a_set_are_those_that_name_it_or_none(tmp_path):
    for path in ("bal_train00.tar", "unbal_train00.tar", "eval/00.tar", "train/00.TAR", "bal_train.txt"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).touch()
    found = [entry.path for entry in Tar().entries(Files(), str(tmp_path), "bal_train")]
    assert found == [str(tmp_path / "bal_train00.tar"), str(tmp_path / "train" / "00.TAR")]


def test_the_folders_own_name_does_not_count(tmp_path):
    folder = tmp_path / "eval_of_audioset"
    folder.mkdir()
    (folder / "00.tar").touch()
    assert len(list(Tar().entries(Files(), str(folder), "bal_train"))) == 1


# ---- what is kept open ----


def test_container_is_opened_once():
    opened: list[str] = []
    keep = Opened(lambda path: opened.append(path) or path, limit=2)
    assert [keep(path) for path in "abab"] == list("abab")
    assert opened == ["a", "b"]


def test_container_that_was_used_longest_ago_is_given_up_first():
    opened: list[str] = []
    keep = Opened(lambda path: opened.append(path) or path, limit=2)
    for path in "abac":
        keep(path)
    keep("a")
    assert opened == ["a", "b", "c"]
    keep("b")
    assert opened == ["a", "b", "c", "b"]


def test_container_that_cannot_be_opened_is_tried_again():
    def refuse(path: str) -> str:
        raise OSError(path)

    keep = Opened(refuse, limit=1)
    for _ in range(2):
        with pytest.raises(OSError, match="a"):
            keep("a")


def test_forked_process_opens_its_own_even_where_a_thread_holds_the_lock():
    blocked, release = threading.Event(), threading.Event()

    def slow(path: str) -> int:
        if path == "slow":
            blocked.set()
            release.wait(10)
        return os.getpid()

    keep = Opened(slow, limit=2)
    parent = keep("a")
    thread = threading.Thread(target=keep, args=("slow",))
    thread.start()
    blocked.wait(10)
    child = os.fork()
    if child == 0:
        os._exit(0 if keep("a") == os.getpid() != parent else 1)
    release.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert keep("a") == parent


def test_whatever_a_library_raises_is_one_sentence_that_names_the_container(tmp_path, monkeypatch):
    def break_down(*arguments: object) -> None:
        raise RecursionError("too deep")

    (tmp_path / "eval.tar").touch()
    monkeypatch.setattr(Tar, "find_in", break_down)
    with pytest.raises(UserError, match=r"eval\.tar cannot be read as data\.layout=tar \(too deep\); .*\.$"):
        list(Tar().find(Files(), str(tmp_path), "eval"))
