"""Ray Data: the cores of this machine, or of a cluster by its address (docs.ray.io).

Audio must be where every node finds it, by a path that all share or by a URL, and audiotok must be installed
there. What is made comes back to the process that asked, so that the cache need not be shared.
"""

import logging
import os
import pickle
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from audiotok.engine.engine import Engine, Numbered, attempt
from audiotok.engine.local import n_cores
from audiotok.errors import UserError


class Ray(Engine):
    """Map with Ray Data, each part on one core.

    Args:
        address: Of a cluster, `auto` for the one that this machine belongs to; None starts Ray on this
            machine alone, until the process ends.
        n_workers: Cores of this machine that Ray may use; None for all. Of a cluster it uses all.
        retries: How often a part that fails is tried again.

    Raises:
        UserError: Ray is not installed, or there is no worker.
    """

    def __init__(self, address: str | None = None, n_workers: int | None = None, retries: int = 2) -> None:
        super().__init__(retries)
        if n_workers is not None and n_workers < 1:
            raise UserError(f"engine.n_workers={n_workers} do nothing; choose 1 or more, or null.")
        if n_workers is not None and address is not None:
            raise UserError(
                f"engine.n_workers={n_workers} is for this machine alone, and engine.address={address} is a "
                "cluster, all of which is used; set one of them to null."
            )
        self.address, self.n_workers = address, n_workers or n_cores()
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # or it reports to its makers
        try:
            import ray.data  # noqa: F401
        except ImportError as error:
            raise UserError(
                "engine=ray needs ray, which is not installed; pip install 'audiotok[ray]'."
            ) from error

    def _run(self, function: Callable[[Any], Any], parts: Numbered) -> Iterator[tuple[int, Any]]:
        import ray.data

        self._connect()
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False  # whoever maps has its own
        context.max_errored_blocks = (
            -1
        )  # a part whose process ended again and again is left out, and so failed
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
        quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
        try:
            if self.address is None:
                importable = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
                ray.init(
                    num_cpus=self.n_workers,
                    include_dashboard=False,
                    runtime_env={"env_vars": importable},  # what this process finds, its workers find
                    **quiet,
                )
            else:
                ray.init(self.address, **quiet)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise UserError(
                f"engine.address={self.address} has no Ray cluster that answers ({error}); start one with "
                "`ray start --head`, or set it to null."
            ) from error


def _attempt(function: bytes, row: dict[str, Any]) -> dict[str, Any]:
    """Do one part, as a row of bytes, which is what Ray Data moves."""
    made = attempt(lambda part: pickle.loads(function)(pickle.loads(part)), row["part"])
    return {"index": row["index"], "made": pickle.dumps(made)}
