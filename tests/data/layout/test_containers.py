import os
import string
import threading

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from audiotok.data.files import Files
from audiotok.data.layout.containers import Opened, set_of
from audiotok.data.layout.tar import Tar

SPELLINGS = {
    "bal_train": ["bal_train", "balanced_train", "balanced_train_segments", "balanced_wav", "bal"],
    "unbal_train": ["unbal_train", "unbalanced_train", "unbalanced_train_segments", "unbalanced", "UNBAL"],
    "eval": ["eval", "eval_segments", "evaluation", "evaluation_data", "Eval"],
}
ENDINGS = ["", "00", "_part07", "-00003-of-00012", "_mp3", ".2017", "_segments_mp3"]
NO_SETS = [
    "train",
    "test",
    "20k",
    "data",
    "medieval",
    "balcony",
    "global",
    "verbal",
    "unbalancing",
    "balances",
]

spelled = st.sampled_from([(name, text) for name, texts in SPELLINGS.items() for text in texts])
others = st.lists(st.sampled_from(NO_SETS), max_size=3)


@given(others, spelled, st.sampled_from(ENDINGS), st.sampled_from([".tar", ".parquet", ".h5", "/0001.tar"]))
@example([], ("unbal_train", "unbal_train"), "", ".tar")
def test_every_spelling_of_a_set_is_understood(before, spelling, ending, extension):
    name, text = spelling
    assert set_of("/".join([*before, f"{text}{ending}{extension}"])) == name


@given(others, spelled, others, spelled, others)
def test_the_last_part_that_names_a_set_counts(first, earlier, between, later, last):
    assert set_of("/".join([*first, earlier[1], *between, later[1], *last])) == later[0]


@given(st.lists(st.sampled_from(NO_SETS) | st.text(string.digits + "_-.", max_size=4), max_size=4))
def test_path_that_names_no_set_has_none(parts):
    assert set_of("/".join(parts)) is None


@given(st.text(string.ascii_lowercase, min_size=1, max_size=4), spelled)
def test_word_within_a_word_is_no_set(letters, spelling):
    word = spelling[1].lower()
    assume(letters + word not in {"unbal", *SPELLINGS["unbal_train"]})
    assert set_of(f"x{letters}{word}.tar") is None


def test_part_that_names_two_sets_names_none():
    assert set_of("bal_unbal_train.tar") is None
    assert set_of("eval/bal_unbal_train.tar") == "eval"


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
