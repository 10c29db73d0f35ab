"""Eight processes make, fill, read, verify and remove entries of one cache at once; some are killed."""

import multiprocessing
import os
import signal
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from audiotok.disk.locking import GUARD
from audiotok.inventory import faults_of, take
from audiotok.loader.rows import HEADERS, Rows
from audiotok.store import StaleError, Store

pytestmark = pytest.mark.faults
FORK = multiprocessing.get_context("fork")
N_PROCESSES, N_ROWS, SHAPE = 8, 40, (6, 3)
KEYS = [f"{number:016x}" for number in range(3)]


def row_of(key: str, row: int) -> np.ndarray:
    return np.random.default_rng([int(key, 16), row]).integers(0, 250, SHAPE).astype(np.uint8)


def make_rows(folder: Path) -> None:
    Rows.create(folder, (N_ROWS, *SHAPE), np.dtype(np.uint8))


def make_text(folder: Path) -> None:
    (folder / "text").write_text(folder.name[1:17] * 100)


def read_text(folder: Path) -> str:
    try:
        return (folder / "text").read_text()
    except OSError as error:
        raise StaleError(str(error)) from error


def fill_and_read(store: Store, key: str, rng: np.random.Generator) -> None:
    """Fill rows that are absent, and compare those that are there."""
    rows = store.load_or_make("frames", key, Rows, make_rows, HEADERS)
    hold = store.hold("frames", key)
    for row in rng.permutation(N_ROWS)[:10].tolist():
        found, lengths = rows.read(np.array([row]))
        if lengths[0]:
            np.testing.assert_array_equal(found[0], row_of(key, row))
        else:
            try:
                rows.write(row, row_of(key, row), 1 + row % 6)
            except FileNotFoundError:  # removed between load and hold, as a run would find and go on without
                break
    hold.release()


def one_round(store: Store, rng: np.random.Generator) -> None:
    key = KEYS[rng.integers(len(KEYS))]
    action = rng.choice(["rows", "text", "verify", "remove", "tidy"], p=[0.4, 0.3, 0.1, 0.15, 0.05])
    if action == "rows":
        fill_and_read(store, key, rng)
    elif action == "text":
        assert store.load_or_make("inspections", key, read_text, make_text) == key * 100
    elif action == "verify":
        faults = [fault for item in take(store) for fault in faults_of(item)]
        assert faults == []
    elif action == "remove":
        for entry in store.entries():
            if entry.key == key:
                store.remove(entry)
    else:
        store.tidy("frames")


def race(root: Path, number: int, n_rounds: int) -> None:
    rng = np.random.default_rng([n_rounds, number])
    for _ in range(n_rounds):
        for _ in range(5):
            one_round(Store(root), rng)


def left_behind(root: Path) -> list[str]:
    return [path.name for path in root.glob("*/*") if path.name not in KEYS and path.name != GUARD]


def test_processes_that_race_over_a_cache_lose_nothing_and_leave_nothing(tmp_path, tries, tally):
    n_rounds = tries(20, least=2)
    processes = [FORK.Process(target=race, args=(tmp_path, n, n_rounds)) for n in range(N_PROCESSES)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(300)
    assert [process.exitcode for process in processes] == [0] * N_PROCESSES
    assert left_behind(tmp_path) == []
    store = Store(tmp_path)
    for key in KEYS:
        assert store.load_or_make("inspections", key, read_text, make_text) == key * 100
        fill_and_read(store, key, np.random.default_rng(0))
    tally("rounds of 8 processes on one cache", Counter({"equal, nothing left": n_rounds}))


def test_processes_that_are_killed_while_they_race_leave_what_the_next_removes(tmp_path, tries, tally):
    n_kills = tries(60, least=4)
    rng = np.random.default_rng(0)
    for number in range(n_kills):
        victims = [FORK.Process(target=race, args=(tmp_path, number + n, 1000)) for n in range(2)]
        for victim in victims:
            victim.start()
        time.sleep(rng.uniform(0.02, 0.2))
        for victim in victims:
            os.kill(victim.pid, signal.SIGKILL)
            victim.join(10)
        race(tmp_path, 1000 + number, 1)  # every value that it reads is right
    store = Store(tmp_path)
    for kind in ("frames", "inspections"):
        store.tidy(kind)
    assert left_behind(tmp_path) == []
    assert [fault for item in take(store) for fault in faults_of(item)] == []
    tally("kills among processes on one cache", Counter({"equal, nothing left": 2 * n_kills}))
