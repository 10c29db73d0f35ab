import errno
import json
import multiprocessing
import os
import pickle
import signal
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiotok.disk.keys import content_key, first_difference
from audiotok.disk.locking import GUARD
from audiotok.errors import UserError
from audiotok.store import StaleError, Store

SPAWN = multiprocessing.get_context("spawn")
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def read(folder: Path) -> str:
    try:
        return (folder / "value").read_text()
    except OSError as error:
        raise StaleError("no value") from error


def writes(value: str):
    def make(folder: Path) -> None:
        (folder / "value").write_text(value)

    return make


def refuse(folder: Path) -> None:
    pytest.fail("made again, though it was there")


def make_slowly(folder: Path) -> None:
    """Note that this was called, beside the store, and take a while."""
    with (folder.parents[2] / "counter").open("a") as counter:
        counter.write("x")
    time.sleep(0.5)
    (folder / "value").write_text(str(os.getpid()))


def make_forever(folder: Path) -> None:
    (folder / "half").write_text("half of it")
    (folder.parents[2] / "started").touch()
    time.sleep(600)


def load_or_make(root: Path, make, barrier=None) -> None:
    if barrier:
        barrier.wait(60)
    Store(root / "cache").load_or_make("kind", "key", read, make)


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline, "the other process never began"
        time.sleep(0.02)


def make_quickly(folder: Path) -> None:
    writes("second")(folder)


# ---- keys ----


@given(values)
def test_equal_values_have_equal_keys(value):
    assert content_key(json.loads(json.dumps(value))) == content_key(value)


@given(st.lists(values, min_size=2, max_size=2, unique_by=lambda value: json.dumps(value, sort_keys=True)))
def test_different_values_have_different_keys(pair):
    assert content_key(pair[0]) != content_key(pair[1])


def test_order_of_dictionary_keys_does_not_matter_and_order_of_a_list_does():
    assert content_key({"a": 1, "b": 2}) == content_key({"b": 2, "a": 1})
    assert content_key([1, 2]) != content_key([2, 1])


def test_key_is_16_hex_digits_and_the_same_in_every_process():
    assert content_key({"n_fft": 1024, "f_max": None}) == "da4d97569f4c6303"


def test_whole_numbers_have_one_key_whether_int_or_float():
    assert content_key({"f_min": 0}) == content_key({"f_min": 0.0})


def test_first_difference_names_key_and_both_values():
    assert first_difference({"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 5, "c": 6}) == "b is 5, not 2"
    assert first_difference({"a": 1}, {}) == "a is None, not 1"
    assert first_difference({"a": 1}, {"a": 1}) == ""


# ---- complete or absent ----


def test_absent_is_made_once_and_then_loaded(tmp_path):
    store = Store(tmp_path)
    assert store.load_or_make("kind", "key", read, writes("first")) == "first"
    assert store.load_or_make("kind", "key", read, refuse) == "first"
    assert store.folder("kind", "key") == tmp_path / "kind" / "key"
    assert store.folder("kind", "key").is_dir()


def test_kinds_and_keys_are_kept_apart(tmp_path):
    store = Store(tmp_path)
    for kind, key in (("a", "x"), ("a", "y"), ("b", "x")):
        store.load_or_make(kind, key, read, writes(kind + key))
    assert store.load_or_make("a", "x", read, refuse) == "ax"
    assert store.load_or_make("a", "y", read, refuse) == "ay"
    assert store.load_or_make("b", "x", read, refuse) == "bx"


@pytest.mark.parametrize("error", [RuntimeError("no"), UserError("no"), KeyboardInterrupt()])
def test_make_that_raises_leaves_nothing_and_its_error_comes_through(tmp_path, error):
    def make(folder: Path) -> None:
        (folder / "value").write_text("half")
        raise error

    store = Store(tmp_path)
    with pytest.raises(type(error)) as raised:
        store.load_or_make("kind", "key", read, make)
    assert raised.value is error
    assert [path for path in (tmp_path / "kind").iterdir() if path.is_dir()] == []
    assert store.load_or_make("kind", "key", read, writes("good")) == "good"


def test_stale_content_is_made_again_with_a_warning_that_says_why(tmp_path, caplog):
    store = Store(tmp_path)
    store.load_or_make("kind", "key", read, writes("old"))
    (tmp_path / "kind" / "key" / "value").unlink()
    (tmp_path / "kind" / "key" / "left over").touch()
    assert store.load_or_make("kind", "key", read, writes("new")) == "new"
    assert [path.name for path in (tmp_path / "kind" / "key").glob("[!c]*")] == ["value"]
    [warning] = caplog.records
    assert warning.levelname == "WARNING"
    assert "value is missing" in warning.getMessage()
    assert str(tmp_path / "kind" / "key") in warning.getMessage()


def test_a_flipped_bit_is_made_again_with_a_warning_that_names_the_file(made, caplog):
    (made.folder("kind", "key") / "value").write_text("y")
    assert made.load("kind", "key", read) is None
    assert made.load_or_make("kind", "key", read, writes("x")) == "x"
    [warning] = caplog.records
    assert "value does not match its checksum; it is made again." in warning.getMessage()
    assert made.load_or_make("kind", "key", read, refuse) == "x"


@pytest.mark.parametrize("put", [Path.touch, os.mkfifo, lambda path: path.symlink_to("nowhere")])
def test_whatever_has_the_name_of_an_entry_is_replaced_by_it(tmp_path, caplog, put):
    (tmp_path / "kind").mkdir()
    put(tmp_path / "kind" / "key")
    assert Store(tmp_path).load_or_make("kind", "key", read, writes("x")) == "x"
    assert "it is not a folder; it is made again." in caplog.text


def test_entries_of_an_earlier_version_are_reported_once_and_made_again(tmp_path, caplog):
    for key in ("a", "b", "c"):
        (tmp_path / "kind" / key).mkdir(parents=True)
        (tmp_path / "kind" / key / "value").write_text("old")
    store = Store(tmp_path)
    assert [store.load_or_make("kind", key, read, writes("new")) for key in "ab"] == ["new", "new"]
    [warning] = caplog.records
    assert "an earlier version made it, without checksums; it is made again." in warning.getMessage()
    caplog.clear()
    assert Store(tmp_path).load_or_make("kind", "d", read, writes("new")) == "new"
    [warning] = caplog.records
    assert "1 entries were made by an earlier version" in warning.getMessage()
    assert "`audiotok cache prune --unused` removes them" in warning.getMessage()


def test_what_killed_processes_have_left_is_deleted_when_the_next_entry_is_made(tmp_path):
    kind = tmp_path / "kind"
    (kind / ".other-x1y2").mkdir(parents=True)
    (kind / ".other-123-removed").mkdir()
    (kind / ".other.1234.hold").touch()
    (kind / "other.lock").touch()
    Store(tmp_path).load_or_make("kind", "key", read, writes("x"))
    assert sorted(path.name for path in kind.iterdir()) == [GUARD, "key"]


def test_a_disk_that_gives_back_other_bytes_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match=r"cache_dir=.* does not give back .*\(.*no value\); check its disk"):
        Store(tmp_path).load_or_make("kind", "key", read, lambda folder: None)


def test_a_file_that_is_filled_later_is_checked_by_its_header(tmp_path, caplog):
    store = Store(tmp_path)
    for _ in range(2):
        store.load_or_make("kind", "key", read, writes("head body"), {"value": 4})
        (tmp_path / "kind" / "key" / "value").write_text("head BODY")
    assert caplog.records == []
    (tmp_path / "kind" / "key" / "value").write_text("HEAD BODY")
    assert store.load_or_make("kind", "key", read, writes("head body"), {"value": 4}) == "head body"
    assert "value does not match its checksum" in caplog.text


def test_home_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Store("~/cache").root == tmp_path / "cache"


# ---- errors ----


def test_unwritable_root_is_one_sentence_that_names_cache_dir(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError) as raised:
        Store(tmp_path / "file" / "cache").load_or_make("kind", "key", read, writes("x"))
    message = str(raised.value)
    assert message.startswith(f"cache_dir={tmp_path / 'file' / 'cache'} ")
    assert "cannot be written (Not a directory)" in message
    assert "\n" not in message


def test_full_disk_is_blamed_on_cache_dir(tmp_path):
    def make(folder: Path) -> None:
        raise OSError(28, "No space left on device", str(folder / "value"))

    with pytest.raises(UserError, match=r"cache_dir=.*No space left on device"):
        Store(tmp_path).load_or_make("kind", "key", read, make)


def test_a_file_outside_the_cache_is_not_blamed_on_cache_dir(tmp_path):
    def make(folder: Path) -> None:
        (tmp_path / "clip.wav").read_bytes()

    with pytest.raises(FileNotFoundError):
        Store(tmp_path / "cache").load_or_make("kind", "key", read, make)


# ---- several processes ----


def test_what_another_has_removed_first_is_gone(tmp_path):
    store = Store(tmp_path)
    store.load_or_make("kind", "key", read, writes("x"))
    [entry] = store.entries()
    assert store.remove(entry)
    assert store.remove(entry)
    assert store.entries() == []


def test_of_two_processes_at_once_one_computes_and_both_load(tmp_path):
    barrier = SPAWN.Barrier(2)
    processes = [SPAWN.Process(target=load_or_make, args=(tmp_path, make_slowly, barrier)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert (tmp_path / "counter").read_text() == "x"
    assert (tmp_path / "cache" / "kind" / "key" / "value").read_text() in {str(p.pid) for p in processes}


def test_process_killed_while_it_computes_neither_hangs_the_next_nor_leaves_a_half(tmp_path):
    victim = SPAWN.Process(target=load_or_make, args=(tmp_path, make_forever))
    victim.start()
    wait_for(tmp_path / "started")
    os.kill(victim.pid, signal.SIGKILL)
    victim.join(10)
    assert not (tmp_path / "cache" / "kind" / "key").exists()

    heir = SPAWN.Process(target=load_or_make, args=(tmp_path, make_quickly))
    heir.start()
    heir.join(30)
    hangs = heir.is_alive()
    if hangs:
        heir.kill()
    assert not hangs
    assert heir.exitcode == 0
    assert sorted(path.name for path in (tmp_path / "cache" / "kind" / "key").iterdir()) == [
        "checksums.json",
        "value",
    ]


# ---- holds ----


def hold_forever(root: Path) -> None:
    hold = Store(root / "cache").hold("kind", "key")
    (root / "started").touch()
    time.sleep(600)
    hold.release()


@pytest.fixture
def made(tmp_path) -> Store:
    """A store with one entry."""
    store = Store(tmp_path / "cache")
    store.load_or_make("kind", "key", read, writes("x"))
    return store


def leftovers(store: Store) -> list[Path]:
    return list(store.root.rglob("*.hold"))


def test_what_any_of_several_holds_is_not_removed(made):
    first, second = made.hold("kind", "key"), made.hold("kind", "key")
    [entry] = made.entries()
    for hold in (first, second):
        assert not made.remove(entry)
        hold.release()
    assert leftovers(made) == []
    assert made.remove(entry)


def test_a_hold_ends_with_the_last_reference_to_it(made):
    hold = made.hold("kind", "key")
    [entry] = made.entries()
    assert not made.remove(entry)
    del hold
    assert made.remove(entry)


def test_a_copy_of_a_hold_in_another_process_neither_holds_nor_releases(made):
    hold = made.hold("kind", "key")
    copy = pickle.loads(pickle.dumps(hold))
    copy.release()
    child = multiprocessing.get_context("fork").Process(target=hold.release)
    child.start()
    child.join(60)
    assert child.exitcode == 0
    assert not made.remove(made.entries()[0])
    hold.release()
    assert made.remove(made.entries()[0])


def test_a_hold_ends_with_its_process_even_if_that_is_killed(made):
    root = made.root.parent
    victim = SPAWN.Process(target=hold_forever, args=(root,))
    victim.start()
    wait_for(root / "started")
    [entry] = made.entries()
    assert not made.remove(entry)
    os.kill(victim.pid, signal.SIGKILL)
    victim.join(10)
    assert len(leftovers(made)) == 1
    hold = made.hold("kind", "key")
    assert len(leftovers(made)) == 1, "what a killed process has left is deleted by the next hold"
    hold.release()
    assert made.remove(entry)


def test_where_no_lock_can_be_written_nothing_is_held(made, monkeypatch):
    def refuse(self, *arguments: object, **options: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr("filelock.FileLock.acquire", refuse)
        hold = made.hold("kind", "key")
    assert made.remove(made.entries()[0])
    hold.release()
