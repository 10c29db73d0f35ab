"""The processes that read clips, and what is said when one of them fails.

A worker that dies, that cannot hand over a batch, or that does not answer for `PATIENCE_SECONDS` ends the
run: torch raises an error in the process that waits for it, which `failure_of` puts into a sentence. A batch
that a worker cannot hand over would be lost by Python's queue, which only prints the error, and waited for
without end; here the error takes its place.
"""

import multiprocessing.queues
import sys
from typing import Any

from torch._utils import ExceptionWrapper

from audiotok.engine.local import begin_worker
from audiotok.errors import UserError

PATIENCE_SECONDS = 1800  # s, for one batch; files on a slow server may take minutes
_NO_ROOM = ("no space left", "bus error", "unable to write to file", "shared memory", "unable to resize")
_TOO_MANY_FILES = ("too many open files", "ancdata")


def start_worker(number: int) -> None:
    """Begin a worker process: the function that DataLoader calls in it."""
    begin_worker()
    queue: Any = multiprocessing.queues.Queue
    queue._on_queue_feeder_error = _hand_over_error


def _hand_over_error(queue: Any, error: BaseException, item: Any) -> None:
    """Send the error instead of the batch (its number, the batch) that could not be sent."""
    number = item[0] if isinstance(item, tuple) else None
    reason = failure_of(error, None) or f"A batch could not be sent by a worker ({error})."
    failed = UserError(reason)
    queue.put((number, ExceptionWrapper((UserError, failed, failed.__traceback__), "in a DataLoader worker")))
    sys.stderr.flush()


def failure_of(error: BaseException, n_workers: int | None) -> str | None:
    """Say in a sentence why workers failed, and what to do.

    Args:
        error: What was raised.
        n_workers: `loader.n_workers`; None where it is not known.

    Returns:
        The sentence; None if the error is not about workers.
    """
    text = str(error)
    small = text.lower()
    key = "loader.n_workers" if n_workers is None else f"loader.n_workers={n_workers}"
    about_workers = "DataLoader" in text or (isinstance(error, OSError | RuntimeError) and "torch_" in text)
    if any(word in small for word in _TOO_MANY_FILES) and (about_workers or "ancdata" in small):
        return f"{key}: the workers open too many files; raise the limit (ulimit -n), or lower it."
    if not about_workers:
        return None
    if any(word in small.partition("it is possible that")[0] for word in _NO_ROOM):
        return (
            f"{key}: workers hand over batches in shared memory, which is full; choose loader.n_workers=0, a "
            "smaller loader.batch_size, or more shared memory (docker run --shm-size=2g)."
        )
    if "timed out" in text:
        return (
            f"{key}: no batch has come for {PATIENCE_SECONDS // 60} minutes; check that the disk or server "
            "of data.root answers, and run again."
        )
    if "killed by signal" in text or "exited unexpectedly" in text:
        return (
            f"{key}: a worker that reads clips has died, most often because memory, or shared memory (docker "
            "run --shm-size=2g), ran out; lower it, or loader.batch_size, and run again."
        )
    return None
