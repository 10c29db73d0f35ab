"""Ray Data, on the cores of this machine or on a cluster (docs.ray.io).

Every node must be able to read the audio, from a shared path or a URL, and must have audiotok installed.
Results are sent to the calling process, so the cache need not be shared.
"""

import logging
import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from audiotok.engine.engine import Engine, Numbered, attempt
from audiotok.engine.local import n_cores
from audiotok.errors import UserError
from audiotok.errors.ranges import Retries, Workers


class Ray(Engine):
    """Map with Ray Data, each part on one core.

    Args:
        address: Address of a cluster, `auto` for the one that this machine belongs to; None starts Ray on
            this machine alone until the process ends.
        n_workers: Cores of this machine that Ray may use; None for all. A cluster is always used completely.
        retries: How often a failed part is retried.

    Raises:
        UserError: Ray is not installed, or the number of workers is not positive.
    """

    def __init__(
        self, address: str | None = None, n_workers: Workers | None = None, retries: Retries = 2
    ) -> None:
        super().__init__(retries)
        if n_workers is not None and n_workers < 1:
            raise UserError(f"engine.n_workers={n_workers} is not positive; choose 1 or more, or null.")
        if n_workers is not None and address is not None:
            raise UserError(
                f"engine.n_workers={n_workers} applies to this machine only, but engine.address={address} "
                "is a cluster, which is used completely; set one of them to null."
            )
        self.address, self.n_workers = address, n_workers or n_cores()
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray reports usage otherwise
        try:
            import ray.data  # noqa: F401
        except ImportError as error:
            raise UserError("engine=ray needs Ray; pip install 'audiotok[ray]'.") from error

    def _run(self, function: Callable[[Any], Any], parts: Numbered) -> Iterator[tuple[int, Any]]:
        import ray.data

        self._connect()
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False  # the caller shows its own
        # A part whose process dies repeatedly is left out of the result, and so counts as failed.
        context.max_errored_blocks = -1
        rows = [{"index": index, "part": pickle.dumps(part)} for index, part in parts]
        made = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
            partial(_attempt, pickle.dumps(function))
        )
        for row in made.iter_rows():
            yield row["index"], pickle.loads(row["made"])

    def _connect(self) -> None:
        import ray

        if ray.is_initialized():
            return
        before = signal.getsignal(signal.SIGTERM)
        quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
        try:
            if self.address is None:
                importable = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
                ray.init(
                    num_cpus=self.n_workers,
                    include_dashboard=False,
                    runtime_env={"env_vars": importable},  # workers find the same modules
                    **quiet,
                )
            else:
                ray.init(self.address, **quiet)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise UserError(
                f"engine.address={self.address} is not a Ray cluster that answers ({error}); start one with "
                "`ray start --head`, or set it to null."
            ) from error
        if before is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)  # Ray's own would end the program with status 15


def _attempt(function: bytes, row: dict[str, Any]) -> dict[str, Any]:
    """Process one part, pickled in a row of a table, which is what Ray Data transfers."""
    made = attempt(lambda part: pickle.loads(function)(pickle.loads(part)), row["part"])
    return {"index": row["index"], "made": pickle.dumps(made)}
