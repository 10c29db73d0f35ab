"""Processes on this machine.

Threads would wait for each other: decoding releases Python's global lock, but the code around it does not.
"""

import gc
import multiprocessing
import os
import pickle
import shutil
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache
from typing import Any

from audiotok.engine.engine import Engine, Failed, Numbered, attempt
from audiotok.errors import UserError
from audiotok.errors.ranges import Retries, Workers

PATIENCE_SECONDS = 1800.0  # s, for one part of any worker; files on a slow server may take minutes


class Local(Engine):
    """Map in processes on this machine, or in the calling process if one is enough.

    Args:
        n_workers: Number of processes; None for one on each core.
        retries: How often a failed part is retried.

    Raises:
        UserError: The number of workers is not positive.
    """

    def __init__(self, n_workers: Workers | None = None, retries: Retries = 2) -> None:
        super().__init__(retries)
        if n_workers is not None and n_workers < 1:
            raise UserError(f"engine.n_workers={n_workers} is not positive; choose 1 or more, or null.")
        self.n_workers = n_workers or n_cores()

    def _run(self, function: Callable[[Any], Any], parts: Numbered) -> Iterator[tuple[int, Any]]:
        if min(self.n_workers, len(parts)) <= 1:
            yield from ((index, attempt(function, part)) for index, part in parts)
            return
        waiting = deque(parts)
        content = pickle.dumps(function)  # once, and not as the pool does: tensors would go through files
        while waiting:  # a new pool after each process that died
            pool = ProcessPoolExecutor(min(self.n_workers, len(waiting)), initializer=_start_worker)
            try:
                yield from self._drain(pool, content, waiting)
            except BaseException:  # the caller stops: parts that are being processed are not waited for
                _kill(pool)
                raise
            finally:
                pool.shutdown(cancel_futures=True)

    def _drain(
        self, pool: ProcessPoolExecutor, content: bytes, waiting: deque[tuple[int, Any]]
    ) -> Iterator[tuple[int, Any]]:
        """Process waiting parts until none is left or the pool breaks, a few at a time to limit memory."""
        running: dict[Future[Any], int] = {}
        lives = True
        while running or (waiting and lives):
            while waiting and lives and len(running) < 2 * self.n_workers:
                try:
                    running[pool.submit(_attempt, content, waiting[0][1])] = waiting[0][0]
                    waiting.popleft()
                except BrokenProcessPool:
                    lives = False
            done = wait(running, PATIENCE_SECONDS, FIRST_COMPLETED).done if running else set()
            if running and not done:
                raise UserError(
                    f"engine.n_workers={self.n_workers}: no worker has finished a part for "
                    f"{PATIENCE_SECONDS / 60:g} minutes; check that the disk or server of data.root answers, "
                    "and run the same command again."
                )
            for future in done:
                error = future.exception()
                lives = lives and not isinstance(error, BrokenProcessPool)
                yield running.pop(future), future.result() if error is None else Failed(_reason(error))


def _kill(pool: ProcessPoolExecutor) -> None:
    """Kill the workers of a pool."""
    for process in list((pool._processes or {}).values()):
        process.kill()


def n_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def begin_worker() -> None:
    """Begin a worker process: it ignores Ctrl-C, which its parent handles, and ends with its parent.

    It is a process group of its own, so that a signal to the group of its parent leaves it at work until the
    parent has stopped in order.
    """
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "setpgrp"):
        os.setpgrp()


def _start_worker() -> None:
    """Begin a worker of a pool, which uses one core."""
    begin_worker()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    gc.freeze()  # the parent's objects stay shared: collecting them would copy them
    os.environ["OMP_NUM_THREADS"] = "1"
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


def _end_with_parent() -> None:
    """Exit when the parent has ended, even if it was killed: a survivor would keep its locks."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()  # the last worker exits first: later workers hold the pipes of earlier ones open
    sockets = getattr(multiprocessing.current_process(), "_config", {}).get("tempdir")
    if sockets:  # through which torch passes tensors; a process that ends in order removes them itself
        shutil.rmtree(sockets, ignore_errors=True)
    os._exit(1)


def _attempt(function: bytes, part: Any) -> Any:
    return attempt(_unpickled(function), part)


@lru_cache(maxsize=1)
def _unpickled(function: bytes) -> Callable[[Any], Any]:
    return pickle.loads(function)  # the parent's own


def _reason(error: BaseException) -> str:
    if isinstance(error, BrokenProcessPool):
        return "a worker process died, perhaps for lack of memory"
    return f"{type(error).__name__}: {error}"
