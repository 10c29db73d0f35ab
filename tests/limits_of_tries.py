"""What tests of faults share: limits of time, no network, and what a message has to be."""

import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import pytest


@contextmanager
def within_seconds(seconds: float) -> Iterator[None]:
    """Fail if the block takes longer, where the system has alarms."""

    def stop(signum: int, frame: FrameType | None) -> None:
        pytest.fail(f"this took more than {seconds} s")

    if not hasattr(signal, "setitimer"):
        yield
        return
    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def without_network() -> Iterator[None]:
    """Fail if the block asks for an address or connects to one."""

    def refuse(*arguments: object, **named: object) -> None:
        pytest.fail(f"the network was asked for {arguments}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", refuse)
        patch.setattr(socket.socket, "connect", refuse)
        yield


def one_sentence(error: BaseException) -> bool:
    """Tell whether a message is one line that ends like a sentence and is not a page long."""
    message = str(error)
    return "\n" not in message and message.endswith(".") and 20 < len(message) < 1500
