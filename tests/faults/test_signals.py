"""Signals to real programs, at places chosen at random: the status, one line, and nothing left behind."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from runs import SYNTHETIC, TINY

from audiotok.run.sweep_folder import SweepFolder

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc"),
]
COMMAND = [sys.executable, "-c", "import sys; sys.argv[0] = 'audiotok'; from audiotok.cli import app; app()"]
LONG = ("trainer.max_epochs=100000", "logger=none", "loader.n_workers=1", "data.cache=none")
PROGRAMS = {  # the arguments, and what a program says on its way
    "train": (["train", *TINY, *SYNTHETIC, *LONG], ["Run folder", "Found", "Model:", "Epoch 1 ", "Epoch 4 "]),
    "pretrain": (["pretrain", *TINY, *SYNTHETIC, *LONG], ["Run folder", "Model:", "Epoch 2 "]),
    "sweep": (["train", "-m", "seed=1,2", *TINY, *SYNTHETIC, *LONG], ["#0", "Model:", "Epoch 2 "]),
    "prepare": (["prepare", "data.n_train_clips=40000", "fill=tokens"], ["Run folder"]),
    "doctor": (["doctor", *TINY, *SYNTHETIC, "data.n_train_clips=2000"], ["Run folder", "Found"]),
}
PATIENCE = 240  # s, for a program to come to a place, on a machine that is busy


@pytest.fixture(autouse=True)
def sigint_counts():
    """Let SIGINT end programs that are started here: a shell ignores it in what it runs in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def of_session(leader):
    """Return the processes of a session."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == leader and fields[0] != "Z":
            found.append(int(path.parent.name))
    return found


def start(arguments, folder):
    folder.mkdir()
    environment = os.environ | {"PYTHONFAULTHANDLER": "1"}  # where one hangs, SIGABRT says
    with (folder / "said").open("w") as said:
        return subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=folder,
            env=environment,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def come_to(process, place, folder):
    """Wait until a program has said something, or has ended."""
    until = time.monotonic() + PATIENCE
    while place not in (folder / "said").read_text() and process.poll() is None:
        assert time.monotonic() < until, f"{place} never came"
        time.sleep(0.05)


def ended(process, leader):
    """Return the status of a program, and what is left of its processes after a while."""
    try:
        status = process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGABRT)
        status = process.wait(PATIENCE)
    until = time.monotonic() + 20
    while of_session(leader) and time.monotonic() < until:
        time.sleep(0.1)
    return status, of_session(leader)


def test_programs_end_in_order_wherever_a_signal_meets_them(tmp_path, tries, tally):
    random_ = random.Random(1)
    outcomes = Counter()
    for number in range(tries(60, least=2)):
        name = ["train", "sweep", *PROGRAMS][number % (2 + len(PROGRAMS))]
        arguments, places = PROGRAMS[name]
        sent, place = [signal.SIGTERM, signal.SIGINT][number // 2 % 2], random_.choice(places)
        to_all, wait = random_.random() < 0.5, random_.uniform(0, 1)
        what = f"try {number}: {sent.name} to {name} at {place!r}{' to all' if to_all else ''}"
        folder = tmp_path / str(number)
        process = start(arguments, folder)
        try:
            come_to(process, place, folder)
            time.sleep(wait)
            (os.killpg if to_all else os.kill)(process.pid, sent)
            status, left = ended(process, process.pid)
        finally:
            for one in of_session(process.pid):
                os.kill(one, signal.SIGKILL)
        said = (folder / "said").read_text()
        assert status == 128 + sent, f"{what}: status {status}\n{said}"
        assert "Traceback" not in said, f"{what}\n{said}"
        assert said.count("Stopped") == 1 or (name == "sweep" and "Run folder" not in said), f"{what}\n{said}"
        assert not left, f"{what}: {left} are left"
        assert not list(folder.rglob("metrics.json")), what
        if name == "sweep":
            assert "the same command with hydra.sweep.dir=outputs/sweeps/" in said, f"{what}\n{said}"
            [swept] = (folder / "outputs" / "sweeps").iterdir()
            assert bool(SweepFolder(swept).jobs()) == SweepFolder(swept).table.is_file(), f"{what}\n{said}"
        outcomes[f"ended with {status}"] += 1
    tally("signal to a program", outcomes)


@pytest.mark.usefixtures("at_length")
def test_a_process_of_several_that_is_killed_ends_the_run_in_a_sentence(tmp_path, tally):
    folder = tmp_path / "run"
    process = start(["train", *TINY, *SYNTHETIC, *LONG, "loader.n_workers=0", "trainer.devices=2"], folder)
    try:
        come_to(process, "Epoch 1 ", folder)
        commands = {one: Path(f"/proc/{one}/cmdline").read_bytes() for one in of_session(process.pid)}
        [follower] = [one for one, words in commands.items() if b"audiotok.follower" in words]
        os.kill(follower, signal.SIGKILL)
        status, left = ended(process, process.pid)
    finally:
        for one in of_session(process.pid):
            os.kill(one, signal.SIGKILL)
    said = (folder / "said").read_text()
    assert status == 1, said
    assert "trainer.devices=2: process 1 of this run was killed by SIGKILL" in said
    assert "Traceback" not in said
    assert not left
    tally("process of several: killed", Counter({"told in a sentence": 1}))
