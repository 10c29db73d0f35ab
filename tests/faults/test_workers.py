"""Worker processes that are killed, hang, raise, or cannot hand over a batch: nothing waits for ever."""

import os
import signal
import time
from collections import Counter

import pytest
import torch
from torch.utils.data import DataLoader

from audiotok.engine import local
from audiotok.engine.local import Local
from audiotok.errors import UserError
from audiotok.loader.workers import failure_of, start_worker

pytestmark = pytest.mark.faults


class Unsendable:
    """A batch that cannot leave its process."""

    def __init__(self, error):
        self.error = error

    def __reduce__(self):
        raise self.error


class Clips(torch.utils.data.Dataset):
    """Eight clips; something befalls the process that reads the fourth."""

    def __init__(self, befalls):
        self.befalls = befalls

    def __len__(self):
        return 8

    def __getitem__(self, index):
        return self.befalls() if index == 3 else torch.zeros(4)


def end_by(number):
    return lambda: os.kill(os.getpid(), number)


def refuse():
    raise UserError("a.wav cannot be read; remove it.")


def full():
    return Unsendable(RuntimeError("unable to write to file </torch_1_2_3>: No space left on device (28)"))


FAULTS = {
    "killed": (end_by(signal.SIGKILL), "has died"),
    "SIGBUS": (end_by(signal.SIGBUS), "shared memory"),
    "SIGSEGV": (end_by(signal.SIGSEGV), "has died"),
    "ended": (lambda: os._exit(3), "has died"),
    "refused": (refuse, "a.wav cannot be read; remove it."),
    "full /dev/shm": (full, "shared memory, which is full"),
    "too many files": (lambda: Unsendable(OSError(24, "Too many open files: torch_")), "ulimit -n"),
    "hangs": (lambda: time.sleep(600), "no batch has come"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_worker_that_fails_ends_the_run_in_a_sentence(fault, tries, tally):
    befalls, words = FAULTS[fault]
    outcomes = Counter()
    for _ in range(tries(20)):
        loader = DataLoader(
            Clips(befalls),
            batch_size=None,
            num_workers=2,
            worker_init_fn=start_worker,
            timeout=3 if fault == "hangs" else 60,
        )
        began = time.monotonic()
        with pytest.raises((RuntimeError, OSError, UserError)) as raised:
            list(loader)
        error = raised.value
        sentence = str(error) if isinstance(error, UserError) else failure_of(error, 2)
        assert sentence, repr(error)
        assert words in sentence
        assert sentence.count("\n") == 0
        assert time.monotonic() - began < 30
        outcomes["told in a sentence"] += 1
    tally(f"DataLoader worker: {fault}", outcomes)


def kill_oneself(part):
    os.kill(os.getpid(), signal.SIGKILL)


def sleep_long(part):
    time.sleep(600)


def test_a_part_that_kills_each_worker_is_named_in_the_end(tries, tally):
    outcomes = Counter()
    for _ in range(tries(20)):
        with pytest.raises(UserError, match="a worker process died, perhaps for lack of memory"):
            list(Local(2, retries=1).map(kill_oneself, [1, 2]))
        outcomes["told in a sentence"] += 1
    tally("worker of an engine: killed", outcomes)


def test_workers_that_do_not_answer_are_given_up(tries, tally, monkeypatch):
    monkeypatch.setattr(local, "PATIENCE_SECONDS", 1.0)
    began = time.monotonic()
    with pytest.raises(UserError, match=r"engine.n_workers=2: no worker has finished a part"):
        list(Local(2).map(sleep_long, [1, 2]))
    assert time.monotonic() - began < 30
    tally("worker of an engine: hangs", Counter({"told in a sentence": 1}))


def test_errors_that_are_not_about_workers_stay_as_they_are():
    assert failure_of(RuntimeError("CUDA out of memory"), 2) is None
    assert failure_of(OSError(28, "No space left on device"), 2) is None
