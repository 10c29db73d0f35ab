"""SIGTERM and SIGINT: a program that is told to stop ends in order, with the status that shells expect.

`handling_signals` installs the handlers around a program. The first signal raises `Stopped`, a SystemExit
with status 128 + signal (143 for SIGTERM, 130 for Ctrl-C). Between `defer_signals` and `stop_deferring` it is
only recorded, so that a step of training is finished first. A second signal, a second or more after the
first, ends the process at once, and so does a deferral of more than `PATIENCE_SECONDS`. Processes that this
one has forked ignore Ctrl-C, which reaches them too; they end on SIGTERM or when this process ends.

Signals that are ignored, as SIGINT is under `nohup`, and handlers that somebody else has installed, such as
those of submitit, stay as they are.
"""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

PATIENCE_SECONDS = 25.0  # Slurm kills 30 s after SIGTERM
_SAME_SECONDS = 1.0  # `timeout` and others send a signal to a process and to its group: that is one


class Stopped(SystemExit):
    """A signal has told this process to stop.

    Args:
        number: The number of the signal.
        place: Where training was, "in epoch 3" for example; "" outside of training.
    """

    def __init__(self, number: int, place: str = "") -> None:
        super().__init__(128 + number)
        self.number, self.place = number, place

    def __str__(self) -> str:
        by = "" if self.number == signal.SIGINT else f" by {signal.Signals(self.number).name}"
        return " ".join(filter(None, [f"Stopped{by}", self.place]))


class _Request:
    """What this process has been told; one for each process.

    Attributes:
        number: The first signal; None so far.
        since: When it came, s.
        place: See `Stopped`.
        active: Whether a block of `handling_signals` lasts.
        deferred: Whether a signal is noted and not raised.
        forwards: Whether the workers of this process are told to stop as well, and waited for.
        at_end: What is done once the program has stopped.
        timer: Ends a deferral.
    """

    def __init__(self) -> None:
        self.process = os.getpid()
        self.number: int | None = None
        self.since = 0.0
        self.place = ""
        self.active = self.deferred = self.forwards = False
        self.at_end: list[Callable[[], object]] = []
        self.timer: threading.Timer | None = None


_request = _Request()


def install_handlers() -> dict[signal.Signals, Any]:
    """Install the handlers where nobody else has, and return those of before by their signals."""
    global _request
    if threading.current_thread() is not threading.main_thread():
        return {}
    if _request.process != os.getpid():  # this process is a fork of one that had handlers
        _request = _Request()
    before = {}
    for number in (signal.SIGTERM, signal.SIGINT):
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            before[number] = signal.signal(number, _on_signal)
    return before


@contextmanager
def handling_signals() -> Iterator[None]:
    """Heed SIGTERM and SIGINT as long as the block lasts; inside another such block, do nothing.

    Raises:
        Stopped: A signal has come, whatever the block raised because of it.
    """
    global _request
    before = install_handlers()
    if _request.active:
        yield
        return
    _request.active = True
    try:
        yield
    except BaseException:
        if _request.number is None:
            raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        stop_deferring()
        told, _request = _request, _Request()
    if told.number is not None:
        for do in told.at_end:
            with suppress(Exception, SystemExit):
                do()
        end_children()
        raise Stopped(told.number, told.place)


def asked() -> Stopped | None:
    """Return the request to stop, if there is one."""
    return None if _request.number is None else Stopped(_request.number, _request.place)


def stop_here(place: str) -> None:
    """Raise `Stopped` if a signal has been noted.

    Args:
        place: Where training is.
    """
    if _request.number is not None:
        stop_deferring()
        _request.place = place
        raise Stopped(_request.number, place)


def at_end(do: Callable[[], object]) -> None:
    """Call a function once the program has been stopped by a signal; its errors are ignored."""
    _request.at_end.append(do)


def forward() -> None:
    """Tell the worker processes of this one to stop as well, and wait for them: they run jobs."""
    _request.forwards = True


def defer_signals() -> None:
    """Note signals from now on; the caller calls `stop_here` where it can stop."""
    _request.deferred = _request.active


def stop_deferring() -> None:
    """Raise at signals again."""
    _request.deferred = False
    if _request.timer is not None:
        _request.timer.cancel()


def end_children() -> None:
    """Kill the processes that this one has forked: workers have nothing to save."""
    with suppress(Exception):
        for child in multiprocessing.active_children():
            child.kill()


def _on_signal(number: int, frame: FrameType | None) -> None:
    if os.getpid() != _request.process:
        if number == signal.SIGTERM:
            os._exit(128 + number)
    elif _request.number is None:
        _request.number, _request.since = number, time.monotonic()
        if _request.forwards:
            _end_jobs()
        if not _request.deferred:
            raise Stopped(number)
        _request.timer = threading.Timer(PATIENCE_SECONDS, _end_now, ["A step of training takes too long"])
        _request.timer.daemon = True
        _request.timer.start()
    elif time.monotonic() - _request.since > _SAME_SECONDS:
        _end_now("A second signal has come")


def _end_jobs() -> None:
    """Tell worker processes to stop, and wait for them."""
    children = multiprocessing.active_children()
    for child in children:
        child.terminate()
    until = time.monotonic() + PATIENCE_SECONDS
    for child in children:
        child.join(max(0.0, until - time.monotonic()))


def _end_now(reason: str) -> None:
    """End this process and its workers at once."""
    with suppress(Exception):
        os.write(2, f"{reason}: stopped at once.\n".encode())
    end_children()
    os._exit(128 + (_request.number or signal.SIGTERM))
