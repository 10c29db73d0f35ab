"""The processes of a run on several devices: one that leads, rank 0, and others that follow it.

The process that a user starts also starts the others of its node, as `python -m audiotok.follower FOLDER`;
they read the configuration in the run's folder. Lightning's own launcher would repeat the command line, and
with it a whole sweep. Where torchrun or Slurm starts all processes, this module starts none.
"""

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the command line needs this module before Lightning is imported
    import pytorch_lightning as pl

from audiotok.run.folder import RunFolder

log = logging.getLogger(__name__)
# The environment variables in which launchers put the rank of a process.
_RANKS = ("RANK", "SLURM_PROCID", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK")
# How long a process that waits for one that has died may take to fail by itself, with a message of its own.
_GRACE_SECONDS = 20.0
# How long the other processes may take to end after the run.
_END_SECONDS = 60.0


def leads(devices: object, n_nodes: int) -> bool:
    """Tell whether this process writes the run's results, by what its launcher says.

    Args:
        devices: `trainer.devices`.
        n_nodes: `trainer.num_nodes`.
    """
    is_alone = devices in (1, "1") and n_nodes == 1
    return is_alone or is_first()


def is_first() -> bool:
    """Tell whether a launcher has started this process as the first one, or none has started it."""
    return all(int(os.environ.get(name) or 0) == 0 for name in _RANKS)


@contextmanager
def followers(trainer: "pl.Trainer", folder: RunFolder, trusted: Iterable[str] = ()) -> Iterator[None]:
    """Run the other processes of this node, if the trainer needs any and no launcher has started them.

    They end with the block; if one of them fails, the run fails.

    Args:
        trainer: The trainer, not yet fitted.
        folder: The run's folder, with its configuration.
        trusted: Modules outside audiotok that this configuration may name.
    """
    cluster = getattr(trainer.strategy, "cluster_environment", None)
    if trainer.world_size == 1 or cluster is None or cluster.creates_processes_externally:
        yield
        return
    variables = {
        "MASTER_ADDR": cluster.main_address,
        "MASTER_PORT": str(cluster.main_port),
        "NODE_RANK": str(cluster.node_rank()),
        "WORLD_SIZE": str(trainer.world_size),
        "LOCAL_RANK": "0",
    }
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    command = [sys.executable, "-m", "audiotok.follower", str(folder), *trusted]
    processes = [
        subprocess.Popen(command, env={**os.environ, "LOCAL_RANK": str(local_rank)})
        for local_rank in range(1, trainer.num_devices)
    ]
    over = threading.Event()
    threading.Thread(target=_watch, args=(processes, over), daemon=True).start()
    try:
        yield
        for process in processes:
            process.wait(_END_SECONDS)
    finally:
        over.set()
        for process in processes:
            process.kill()
        import torch

        if torch.distributed.is_initialized():  # the next job of a sweep has a group of its own
            torch.distributed.destroy_process_group()
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _watch(processes: list[subprocess.Popen[bytes]], over: threading.Event) -> None:
    """End this process if another one has failed and this one is still waiting for it after a while."""
    while not over.wait(1.0):
        failed = [process for process in processes if process.poll() not in (None, 0)]
        if failed and not over.wait(_GRACE_SECONDS):
            log.error(
                "A process of this run failed with status %d, which ends the run.", failed[0].returncode
            )
            for process in processes:
                process.kill()
            os._exit(1)
