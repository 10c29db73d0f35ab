import errno
import multiprocessing
import os
import pickle
import signal
import time
from collections.abc import Callable
from io import FileIO
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiotok.loader import rows as loader_rows
from audiotok.loader.rows import INDEX, ROWS, Rows
from audiotok.store import StaleError

SPAWN = multiprocessing.get_context("spawn")


def create(folder: Path, n_rows: int = 5, dtype: type = np.float16) -> Rows:
    """Return empty rows of four times three values."""
    folder.mkdir(exist_ok=True)
    Rows.create(folder, (n_rows, 4, 3), np.dtype(dtype))
    return Rows(folder)


@pytest.fixture
def rows(tmp_path: Path) -> Rows:
    return create(tmp_path / "rows")


def values(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-100, 0, (4, 3)).astype(np.float16)


def lengths(rows: Rows) -> list[int]:
    return rows.read(np.arange(len(rows)))[1].tolist()


def test_what_is_written_is_read(rows):
    rows.write(3, values(1), 2)
    rows.write(0, values(2), 4)
    found, n = rows.read(np.array([0, 3, 3, 1]))
    assert n.tolist() == [4, 2, 2, 0]
    assert (found.dtype, found.shape) == (np.float16, (4, 4, 3))
    for i, seed in ((0, 2), (1, 1), (2, 1)):
        np.testing.assert_array_equal(found[i], values(seed))
    assert rows.lengths().tolist() == [4, 0, 0, 2, 0]


def test_what_was_not_written_is_absent(rows):
    assert lengths(rows) == [0] * 5
    assert rows.damaged() == []


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float16])
def test_rows_are_of_any_type_and_open_in_numpy(tmp_path, dtype):
    rows = create(tmp_path / "rows", dtype=dtype)
    rows.write(1, np.arange(12).reshape(4, 3), 4)
    plain = np.load(rows.folder / ROWS, mmap_mode="r")
    assert (plain.dtype, plain.shape) == (rows.dtype, (5, 4, 3)) == (dtype, (5, *rows.shape))
    assert plain[1].tolist() == np.arange(12).reshape(4, 3).tolist()
    assert np.load(rows.folder / INDEX)["length"].tolist() == [0, 4, 0, 0, 0]


def test_what_is_read_may_be_changed(rows):
    rows.write(1, values(), 3)
    rows.read(np.array([1]))[0][:] = 0
    np.testing.assert_array_equal(rows.read(np.array([1]))[0][0], values())


def test_rows_that_are_absent_take_no_room(tmp_path):
    rows = create(tmp_path / "rows", n_rows=100_000)
    assert (rows.folder / ROWS).stat().st_size > 2_000_000
    assert 512 * (rows.folder / ROWS).stat().st_blocks < 100_000


def test_the_index_has_its_room_from_the_start(tmp_path):
    index = create(tmp_path / "rows", n_rows=100_000).folder / INDEX
    assert 512 * index.stat().st_blocks >= index.stat().st_size > 800_000


def test_rows_that_are_absent_are_not_touched(rows, monkeypatch):
    class Untouchable(np.ndarray):
        def __getitem__(self, chosen):
            assert chosen.tolist() == [3]
            return super().__getitem__(chosen)

    rows.write(3, values(3), 2)
    again = Rows(rows.folder)
    monkeypatch.setattr(np, "asarray", lambda array: array)
    again._rows = again._rows.view(Untouchable)
    found, n = again.read(np.array([0, 3, 4]))
    assert n.tolist() == [0, 2, 0]
    np.testing.assert_array_equal(found[1], values(3))


def test_a_flipped_bit_of_a_length_is_found(rows):
    for row in range(4):
        rows.write(row, values(row), 4)
    path = rows.folder / INDEX
    sound = path.read_bytes()
    for place in range(128, len(sound)):
        for bit in range(8):
            content = bytearray(sound)
            content[place] ^= 1 << bit
            path.write_bytes(content)
            again = Rows(rows.folder)
            [row] = again.damaged()
            assert row == (place - 128) // 8
            assert lengths(again) == [4 * (other not in (row, 4)) for other in range(5)]
    path.write_bytes(sound)
    assert Rows(rows.folder).damaged() == []


def test_a_row_in_the_place_of_another_is_damaged(rows):
    rows.write(0, values(0), 4)
    for name, size in ((ROWS, 24), (INDEX, 8)):
        content = bytearray((rows.folder / name).read_bytes())
        content[128 + size : 128 + 2 * size] = content[128 : 128 + size]
        (rows.folder / name).write_bytes(content)
    assert Rows(rows.folder).damaged() == [1]


def test_rows_that_are_open_see_what_others_write(rows):
    again = Rows(rows.folder)
    rows.write(2, values(), 3)
    assert lengths(again) == [0, 0, 3, 0, 0]
    np.testing.assert_array_equal(again.read(np.array([2]))[0][0], values())


def test_another_process_is_handed_the_folder_and_not_the_rows(tmp_path):
    rows = create(tmp_path / "rows", n_rows=100_000)
    rows.write(99_999, values(), 3)
    pickled = pickle.dumps(rows)
    assert len(pickled) < 1000
    assert lengths(pickle.loads(pickled))[99_998:] == [0, 3]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 4), st.integers(0, 9)), max_size=20))
@settings(max_examples=30)
def test_the_last_that_was_written_is_read(tmp_path_factory, written):
    rows = create(tmp_path_factory.mktemp("rows"))
    for row, length, seed in written:
        rows.write(row, values(seed), length)
    last = {row: (length, seed) for row, length, seed in written}
    found, n = rows.read(np.arange(5))
    assert n.tolist() == [last.get(row, (0, 0))[0] for row in range(5)]
    for row, (_, seed) in last.items():
        np.testing.assert_array_equal(found[row], values(seed))


# ---- never half ----


def test_a_half_written_row_is_not_read(rows, monkeypatch):
    def killed(file: FileIO, content: bytes) -> None:
        file.write(content[: len(content) // 2])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loader_rows, "_write_all", killed)
        with pytest.raises(KeyboardInterrupt):
            rows.write(2, values(), 4)
    assert np.load(rows.folder / ROWS)[2].any()
    assert lengths(rows) == [0] * 5
    rows.write(2, values(1), 4)
    np.testing.assert_array_equal(rows.read(np.array([2]))[0][0], values(1))


def test_a_row_is_written_before_its_place_in_the_index(rows, monkeypatch):
    written: list[str] = []
    monkeypatch.setattr(loader_rows, "_write", lambda path, *_: written.append(path.name))
    rows.write(2, values(), 4)
    assert written == [ROWS, INDEX]


def test_what_the_system_takes_in_parts_is_written_whole(tmp_path):
    class Slow(FileIO):
        def write(self, content: Any) -> int:
            return super().write(content[:7])

    content = bytes(range(100))
    with Slow(tmp_path / "file", "w") as file:
        loader_rows._write_all(file, content)
    assert (tmp_path / "file").read_bytes() == content


def flip(path: Path, offset: int) -> None:
    content = bytearray(path.read_bytes())
    content[offset] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(("name", "offset"), [(ROWS, -25), (INDEX, -9)])
def test_a_row_whose_sum_does_not_fit_is_absent_until_it_is_written_again(rows, name, offset):
    for row in range(5):
        rows.write(row, values(row), 4)
    flip(rows.folder / name, offset)
    again = Rows(rows.folder)
    assert lengths(again) == [4, 4, 4, 0, 4]
    assert again.damaged() == [3]
    again.write(3, values(3), 4)
    assert again.damaged() == []
    np.testing.assert_array_equal(again.read(np.array([3]))[0][0], values(3))


def test_a_full_disk_is_an_error_and_no_signal(rows, monkeypatch):
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(loader_rows, "_write_all", full)
    with pytest.raises(OSError, match="No space left"):
        rows.write(0, values(), 4)
    assert lengths(rows) == [0] * 5


DAMAGES: dict[str, Callable[[Path], object]] = {
    "rows gone": lambda folder: (folder / ROWS).unlink(),
    "index gone": lambda folder: (folder / INDEX).unlink(),
    "rows cut short": lambda folder: os.truncate(folder / ROWS, 150),
    "rows empty": lambda folder: os.truncate(folder / ROWS, 0),
    "index of other bytes": lambda folder: (folder / INDEX).write_bytes(b"no array"),
    "index of other rows": lambda folder: np.save(folder / INDEX, np.zeros(4, loader_rows._ENTRY)),
    "index of other things": lambda folder: np.save(folder / INDEX, np.zeros(5)),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_files_that_are_not_what_was_created_are_stale(rows, damage):
    damage(rows.folder)
    with pytest.raises(StaleError):
        Rows(rows.folder)


# ---- several processes ----


N_ROWS = 400


def fill(folder: Path, barrier: Barrier | None, order: int) -> None:
    rows = Rows(folder)
    if barrier:
        barrier.wait(60)
    for row in np.random.default_rng(order).permutation(N_ROWS).tolist():
        if not rows.read(np.array([row]))[1][0]:
            rows.write(row, values(row), 1 + row % 4)


def fill_for_ever(folder: Path) -> None:
    rows = Rows(folder)
    for row in range(10**9):
        rows.write(row % N_ROWS, values(row % 7), 4)
        if row == 50:
            (folder / "is filling").touch()


def assert_filled(rows: Rows) -> None:
    found, n = rows.read(np.arange(N_ROWS))
    assert n.tolist() == [1 + row % 4 for row in range(N_ROWS)]
    for row in range(N_ROWS):
        np.testing.assert_array_equal(found[row], values(row))


def test_processes_that_fill_the_same_rows_at_once_fill_them_whole(tmp_path):
    rows = create(tmp_path / "rows", N_ROWS)
    barrier = SPAWN.Barrier(3)
    processes = [SPAWN.Process(target=fill, args=(rows.folder, barrier, order)) for order in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert_filled(rows)


def test_a_process_that_is_killed_while_it_fills_leaves_rows_whole_or_absent(tmp_path):
    rows = create(tmp_path / "rows", N_ROWS)
    victim = SPAWN.Process(target=fill_for_ever, args=(rows.folder,))
    victim.start()
    deadline = time.monotonic() + 60
    while not (rows.folder / "is filling").exists():
        assert time.monotonic() < deadline, "the process never began"
        time.sleep(0.01)
    os.kill(victim.pid, signal.SIGKILL)
    victim.join(10)
    found, n = rows.read(np.arange(N_ROWS))
    expected = {values(seed).tobytes() for seed in range(7)}
    assert np.count_nonzero(n) > 0
    for row in np.flatnonzero(n):
        assert found[row].tobytes() in expected
    for row in np.flatnonzero(n == 0):
        rows.write(row, values(row), 4)
    assert rows.damaged() == []
