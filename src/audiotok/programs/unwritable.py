"""What a program does where it cannot write: Hydra's files and its log.

Hydra makes the folder of a run and writes its own files there before the job begins, and answers an error
with a traceback. Here it is one sentence, which names the folder. A log that can no longer be written goes on
on the screen alone.
"""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from hydra._internal import utils
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

from audiotok.disk.writing import complaint


class LogFile(logging.FileHandler):
    """A log file that is given up, in one line on the screen, once it cannot be written.

    Args:
        filename: The file; it is opened at the first line.
    """

    def __init__(self, filename: str) -> None:
        super().__init__(filename, encoding="utf-8", delay=True)
        self._given_up = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line."""
        if self._given_up:
            return
        try:
            super().emit(record)
        except OSError as error:  # it cannot be opened
            self._give_up(error)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802, of logging
        """Give up a file whose disk is full."""
        error = sys.exc_info()[1]
        if isinstance(error, OSError):
            self._give_up(error)
        else:
            super().handleError(record)

    def _give_up(self, error: OSError) -> None:
        self._given_up = True
        with suppress(OSError):
            self.close()
        logging.getLogger(__name__).warning(
            "%s cannot be written (%s); what follows is only shown here.", self.baseFilename, error.strerror
        )


@contextmanager
def disk_errors_in_a_sentence() -> Iterator[None]:
    """Let Hydra answer an error of writing with one sentence and exit status 1, and others as it does."""
    answer = utils.run_and_report

    def run_and_report(function: Callable[[], Any]) -> Any:
        return answer(lambda: _said(function))

    utils.run_and_report = run_and_report  # type: ignore[assignment]
    try:
        yield
    finally:
        utils.run_and_report = answer


def _said(function: Callable[[], Any]) -> Any:
    try:
        return function()
    except OSError as error:
        sentence = complaint(error, _places())
        if sentence is None:
            raise
        sys.stderr.write(sentence + "\n")
        raise SystemExit(1) from None


def _places() -> dict[str, str]:
    """Return the folder that Hydra writes to, by its key.

    Outside of a job Hydra does not tell: then it is what the command line says, or the folder of all runs.
    """
    if HydraConfig.initialized():
        job = HydraConfig.get()
        if job.mode is RunMode.MULTIRUN:
            return {"hydra.sweep.dir": str(job.sweep.dir)}
        return {"hydra.run.dir": str(job.run.dir)}
    key = "hydra.sweep.dir" if {"-m", "--multirun"} & set(sys.argv) else "hydra.run.dir"
    given = [argument.partition("=")[2] for argument in sys.argv if argument.startswith(f"{key}=")]
    return {key: given[-1] if given else "outputs"}
