"""Signals within one process; tests/faults/test_signals.py sends them to real programs."""

import signal
import subprocess
import sys

import pytest

from audiotok.run import stopping
from audiotok.run.stopping import Stopped, at_end, defer_signals, handling_signals, stop_here


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_a_program_with_the_status_that_shells_expect(number, code):
    before = signal.getsignal(number)
    with pytest.raises(SystemExit) as exit_, handling_signals(), handling_signals():
        signal.raise_signal(number)
    assert exit_.value.code == code
    assert signal.getsignal(number) is before


def test_what_fails_because_of_a_signal_is_the_signal():
    def fail():
        try:
            signal.raise_signal(signal.SIGTERM)
        except Stopped:
            raise RuntimeError("a worker has ended") from None

    with pytest.raises(Stopped), handling_signals():
        fail()


def test_a_deferred_signal_waits_for_a_place_to_stop():
    steps = []

    def train():
        defer_signals()
        for step in range(3):
            if step == 1:
                signal.raise_signal(signal.SIGTERM)
            steps.append(step)
            stop_here("in epoch 2")

    with pytest.raises(Stopped, match="Stopped by SIGTERM in epoch 2"), handling_signals():
        train()
    assert steps == [0, 1]


def test_without_a_signal_nothing_happens():
    ended = []
    with handling_signals():
        at_end(lambda: ended.append(1))
        defer_signals()
        stop_here("in epoch 1")
    assert ended == []


def test_what_is_to_be_done_at_the_end_is_done_once():
    ended = []

    def work():
        at_end(lambda: ended.append(1))
        at_end(lambda: 1 // 0)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(Stopped), handling_signals():
        work()
    with handling_signals():
        pass
    assert ended == [1]


def test_a_signal_that_is_ignored_stays_ignored():
    """As nohup and shells do to SIGINT for what runs in the background."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with handling_signals():
            signal.raise_signal(signal.SIGINT)
            ignored = signal.getsignal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    assert ignored is signal.SIG_IGN


@pytest.mark.parametrize(
    ("again", "says"),
    [
        ("time.sleep(1.2); signal.raise_signal(signal.SIGTERM)", "A second signal has come"),
        ("signal.raise_signal(signal.SIGTERM); time.sleep(9)", "A step of training takes too long"),
    ],
)
def test_a_second_signal_and_an_endless_step_end_the_process_at_once(again, says):
    code = (
        "import signal, time; from audiotok.run import stopping as s; s.PATIENCE_SECONDS = 1.5\n"
        "with s.handling_signals(): s.defer_signals(); signal.raise_signal(signal.SIGTERM); "
        f"{again}; time.sleep(9)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (143, f"{says}: stopped at once.\n")


def test_slurm_leaves_time_for_what_is_done_after_a_step():
    assert stopping.PATIENCE_SECONDS < 30
