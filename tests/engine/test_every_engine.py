"""What all engines promise: each part is done once or reported, and what comes out is the same."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from audiotok.engine.local import Local
from audiotok.errors import UserError


def square(part):
    return part * part


def fail_at_first(part):
    """Fail in the first attempt at each odd part; a file in the folder says that there was one."""
    number, folder = part
    attempts = Path(folder) / str(number)
    with attempts.open("a") as file:
        file.write("x")
    if number % 2 and attempts.stat().st_size == 1:
        raise OSError(f"part {number} is out of reach")
    return number


def fail_always(part):
    return 1 // part


def need_a_package(part):
    raise UserError("data.layout=hdf5 needs h5py; pip install 'audiotok[hdf5]'.")


def die_at_first(part):
    """End the process in the first attempt at part 3."""
    number, folder = part
    died = Path(folder) / "died"
    if number == 3 and not died.exists():
        died.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def sleep_long(part):
    part.touch()
    time.sleep(60)


def map_sleepers(folder):
    list(Local(2).map(sleep_long, [folder / "one", folder / "other"]))


def test_every_part_comes_with_what_is_made_of_it(engine):
    assert sorted(engine.map(square, list(range(20)))) == [(i, i * i) for i in range(20)]


def test_no_parts_are_no_work(engine):
    assert list(engine.map(square, [])) == []


def test_a_part_that_fails_is_tried_again(engine, tmp_path, caplog):
    parts = [(i, str(tmp_path)) for i in range(6)]
    assert sorted(made for _, made in engine.map(fail_at_first, parts)) == list(range(6))
    assert "Part 2 of 6 failed (OSError: part 1 is out of reach), and is retried." in caplog.messages
    attempts = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert attempts == {str(i): 1 + i % 2 for i in range(6)}


def test_a_part_that_keeps_failing_is_reported_after_the_others(engine):
    done = []
    with pytest.raises(UserError, match=r"1 of 4 parts failed, for example part 3 \(ZeroDivisionError"):
        done.extend(engine.map(fail_always, [1, 2, 0, 4]))
    assert sorted(part for part, _ in done) == [1, 2, 4]


def test_what_the_user_can_mend_is_said_as_it_is(engine, caplog):
    with pytest.raises(UserError, match=r"^data.layout=hdf5 needs h5py; pip install 'audiotok\[hdf5\]'\.$"):
        list(engine.map(need_a_package, [1, 2, 3]))
    assert not caplog.messages


@pytest.mark.parametrize("engine", ["processes", "ray"], indirect=True)
def test_a_process_that_ends_takes_no_part_with_it(engine, tmp_path):
    parts = [(i, str(tmp_path)) for i in range(12)]
    assert sorted(made for _, made in engine.map(die_at_first, parts)) == list(range(12))


def test_workers_do_not_outlive_a_process_that_is_killed(tmp_path):
    call = "import pathlib, sys, test_every_engine as t; t.map_sleepers(pathlib.Path(sys.argv[1]))"
    command = [sys.executable, "-c", call, str(tmp_path)]
    with subprocess.Popen(command, cwd=Path(__file__).parent, stdout=subprocess.PIPE) as parent:
        deadline = time.monotonic() + 60
        while len(list(tmp_path.iterdir())) < 2:
            assert time.monotonic() < deadline, "the workers never began"
            time.sleep(0.02)
        parent.kill()
        # its output ends when nobody has it open any more, and a lock is free then
        parent.communicate(timeout=20)


@pytest.mark.parametrize("arguments", [{"n_workers": 0}, {"retries": -1}, {"n_workers": -2}])
def test_numbers_that_make_no_sense_are_told(arguments):
    with pytest.raises(UserError, match=r"engine\.\w+=.*; choose"):
        Local(**arguments)
