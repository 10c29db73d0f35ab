"""Standard streams that nobody reads or that are closed: what is written to them is lost, and nothing fails.

`audiotok train | head` trains to the end, and its log is in the run's folder. Characters that the terminal's
encoding lacks are escaped.
"""

import io
import os
import sys
from contextlib import suppress
from typing import Any


class _Stream(io.TextIOWrapper):
    """A text stream that turns to the null device once its reader has gone."""

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except BrokenPipeError:
            self._turn_away()
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except BrokenPipeError:
            self._turn_away()
            super().flush()

    def _turn_away(self) -> None:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, self.fileno())
        os.close(null)


def keep_streams() -> None:
    """Make the standard streams of this process ones that do not fail; streams of a test or notebook stay."""
    if sys.stdin is None:
        sys.stdin = _null(0, "r")
    for name, number in (("stdout", 1), ("stderr", 2)):
        stream: Any = getattr(sys, name)
        if stream is None:
            setattr(sys, name, _null(number, "w"))
        elif type(stream) is io.TextIOWrapper and stream is getattr(sys, f"__{name}__"):
            kept = _kept(stream)
            setattr(sys, name, kept)
            setattr(sys, f"__{name}__", kept)


def _kept(stream: io.TextIOWrapper) -> _Stream:
    encoding, line_buffering, write_through = stream.encoding, stream.line_buffering, stream.write_through
    stream.flush()
    return _Stream(
        stream.detach(),
        encoding=encoding,
        errors="backslashreplace",
        line_buffering=line_buffering,
        write_through=write_through,
    )


def _null(number: int, mode: str) -> Any:
    """Open the null device, at the number of the stream that is closed if that is still free.

    Otherwise the next file that is opened would be written to by whatever writes to that number.
    """
    try:
        os.fstat(number)
    except OSError:
        null = os.open(os.devnull, os.O_RDWR)
        if null != number:
            with suppress(OSError):
                os.dup2(null, number)
            os.close(null)
    return open(os.devnull, mode, encoding="utf-8")  # noqa: PTH123, as long as the process
