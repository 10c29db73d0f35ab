"""Sweeps with faults at random, for half an hour: results stay equal, and nothing grows.

One process runs sweep after sweep. Before each of them a fault happens: a copy of the sweep is killed,
stopped or runs out of disk space in the same folder, or a byte of the cache changes. `make soak` takes 30
minutes; `make soak ARGS="--minutes=2"` takes two.
"""

import csv
import gc
import os
import random
import resource
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import pytest
from runs import SYNTHETIC, TINY, command

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(not Path("/proc/self/statm").is_file(), reason="needs Linux"),
]

BAG = ("model=bag", *(override for override in TINY if not override.startswith("model.")))
FAULTS = ("kill", "terminate", "full disk", "flip", "none")
VARIANTS = ((*BAG, "augment=none"), TINY, (*TINY, "data.cache=frames"), (*BAG, "loader.n_workers=1"))
MOST_BYTES_MORE = 40 * 2**20  # of memory, at the end more than after the first rounds


def sweep(folder, variant):
    """Run four jobs, or those that are missing in a folder; return all scores by job."""
    settings = ("clustering.n_clusters=4,5", "seed=0,1", "logger=none")
    command("-m", f"hydra.sweep.dir={folder}", *SYNTHETIC, *variant, *settings)
    with (folder / "sweep.csv").open() as file:
        rows = sorted(csv.DictReader(file), key=lambda row: int(row["job"]))
    return [{key: value for key, value in row.items() if "seconds" not in key} for row in rows]


def in_a_child(work, after, number):
    """Fork, do some work there, and send a signal to that process after some seconds; return its status."""
    child = os.fork()
    if child == 0:
        os.setsid()
        devnull = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(devnull, descriptor)
        status = 1
        try:
            work()
            status = 0
        except SystemExit as exit_:
            status = exit_.code if isinstance(exit_.code, int) else 1
        finally:
            os._exit(status)
    deadline = time.monotonic() + after
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status
        time.sleep(0.02)
    os.killpg(child, number)
    return os.waitpid(child, 0)[1]


def with_little_space(work, n_bytes):
    """Do some work in a process that may write no file larger than a limit."""

    def limited():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, n_bytes))
        work()

    in_a_child(limited, 60, signal.SIGKILL)


def flip(cache, draw):
    """Change one bit of a file in the cache, which only its owner sees: no process reads it now."""
    files = sorted(path for path in cache.rglob("*") if path.is_file() and path.stat().st_size)
    path = draw.choice(files)
    content = bytearray(path.read_bytes())
    content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    path.write_bytes(content)


def inflict(fault, work, cache, draw):
    """Let a fault happen."""
    if fault == "kill":
        in_a_child(work, draw.uniform(0.1, 6), signal.SIGKILL)
    elif fault == "terminate":
        in_a_child(work, draw.uniform(0.1, 6), signal.SIGTERM)
    elif fault == "full disk":
        with_little_space(work, draw.choice([0, 1_000, 20_000, 100_000]))
    elif fault == "flip":
        flip(cache, draw)


def state(cache):
    """Count what could grow: bytes of memory, open files, children, temporary files, files of locks."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    hidden = [path for path in cache.rglob(".*") if not path.name.endswith(".lock")]
    return {
        "memory": pages * resource.getpagesize(),
        "open files": len(list(Path("/proc/self/fd").iterdir())),
        "temporary files": len(list(Path(tempfile.gettempdir()).iterdir())),
        "hidden files in the cache": len(hidden),
        "locks": sum(1 for _ in cache.rglob("*.lock")),
    }


@pytest.mark.skipif(not Path("/proc/self/statm").is_file(), reason="needs Linux")
def test_nothing_grows_and_results_stay_equal(tmp_path, monkeypatch, request, capsys, tally):
    cache, temporary, folder = tmp_path / "cache", tmp_path / "tmp", tmp_path / "sweep"
    temporary.mkdir()
    monkeypatch.setenv("AUDIOTOK_CACHE", str(cache))
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", None)
    draw, seen, states, expected = random.Random(0), Counter(), [], {}
    for variant in VARIANTS:
        expected[variant] = sweep(folder, variant)
        shutil.rmtree(folder)
    end = time.monotonic() + 60 * float(request.config.getoption("--minutes"))
    while time.monotonic() < end:
        variant, fault = (
            draw.choice(VARIANTS),
            draw.choice(FAULTS),
        )
        inflict(fault, lambda variant=variant: sweep(folder, variant), cache, draw)
        assert sweep(folder, variant) == expected[variant], (len(states), fault, variant)
        shutil.rmtree(folder)
        seen[fault] += 1
        states.append(state(cache))
        with capsys.disabled():
            sys.stdout.write(f"{len(states)}: {fault}, {states[-1]}\n")
    tally("sweeps after a fault, in one process", seen)
    early, late = states[: len(states) // 3], states[-(len(states) // 3) :]
    for what in states[0]:
        before, after = (statistics.median(state[what] for state in part) for part in (early, late))
        assert after - before <= (MOST_BYTES_MORE if what == "memory" else 0), (what, before, after)
