"""The processes of a run on several devices: one that leads, rank 0, and others that follow it.

The process that a user starts also starts the others of its node, as `python -m audiotok.follower FOLDER`;
they read the configuration in the run's folder. Lightning's own launcher would repeat the command line, and
with it a whole sweep. Where torchrun or Slurm starts all processes, this module starts none.
"""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the command line needs this module before Lightning is imported
    import pytorch_lightning as pl

from audiotok.errors import UserError
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
        subprocess.Popen(
            command,
            env={**os.environ, "LOCAL_RANK": str(local_rank)},
            stdin=subprocess.PIPE,  # which ends when this process does, and they with it
            process_group=0 if os.name == "posix" else None,  # signals to the group are this process's
        )
        for local_rank in range(1, trainer.num_devices)
    ]
    over = threading.Event()
    threading.Thread(target=_watch, args=(processes, over), daemon=True).start()
    try:
        yield
        for process in processes:
            with suppress(subprocess.TimeoutExpired):  # it is killed below: the results are here
                process.wait(_END_SECONDS)
    except RuntimeError as error:
        sentence = _failure(processes, str(trainer.num_devices))
        if sentence is None:
            raise
        raise UserError(sentence) from error
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


def _failure(processes: "list[subprocess.Popen[bytes]]", devices: str, seconds: float = 5.0) -> str | None:
    """Say which process has failed, if one does within some seconds."""
    until = time.monotonic() + seconds
    while True:
        for rank, process in enumerate(processes, start=1):
            status = process.poll()
            if status:
                how = f"was killed by {signal.Signals(-status).name}" if status < 0 else "failed"
                return (
                    f"trainer.devices={devices}: process {rank} of this run {how}; see what it has logged "
                    "above, or whether memory ran out, and run again."
                )
        if time.monotonic() > until:
            return None
        time.sleep(0.1)


def _watch(processes: list[subprocess.Popen[bytes]], over: threading.Event) -> None:
    """End this process if another one has failed and this one is still waiting for it after a while."""
    while not over.wait(1.0):
        failed = [process for process in processes if process.poll() not in (None, 0)]
        if failed and not over.wait(_GRACE_SECONDS):
            log.error("%s", _failure(processes, str(len(processes) + 1)))
            for process in processes:
                process.kill()
            os._exit(1)
