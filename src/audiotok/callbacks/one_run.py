"""All processes of a run must write to one folder, and read the same data and centroids."""

import os
from typing import Any

import pytorch_lightning as pl
import torch

from audiotok.errors import UserError
from audiotok.run.folder import RunFolder
from audiotok.tokens.tokenizer import Tokenizer


class OneRun(pl.Callback):
    """Refuse to train across processes that write to different folders, or read different centroids.

    Where torchrun or Slurm starts every process, each would name its folder after the time.

    Args:
        folder: The run's folder, as this process knows it.
        tokenizer: The tokenizer of this process; it is fitted before training begins.
    """

    def __init__(self, folder: RunFolder, tokenizer: Tokenizer) -> None:
        self.folder, self.tokenizer = folder, tokenizer

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Compare folder, key of the centroids, and centroids between all processes.

        Raises:
            UserError: They differ; every process raises it.
        """
        if trainer.world_size == 1:
            return
        mine = (os.path.realpath(self.folder), str(pl_module.vocabulary_key), self.tokenizer.checksum())
        everyone: list[Any] = [mine] * trainer.world_size
        torch.distributed.all_gather_object(everyone, mine)
        folders, keys, checksums = (sorted(set(column)) for column in zip(*everyone, strict=True))
        if len(folders) > 1:
            raise UserError(
                f"hydra.run.dir={folders[0]} is the run's folder of one process, and {folders[1]} that of "
                "another; give all of them the same hydra.run.dir, on a disk that all nodes share."
            )
        if len(keys) > 1:
            raise UserError(
                f"data.root or its files differ between nodes: one has the centroids {keys[0]}, another "
                f"{keys[1]}; give all of them the same data."
            )
        if len(checksums) > 1:
            raise UserError(
                f"cache_dir holds different centroids {keys[0]} on two nodes, since both have fitted them; "
                "give all of them one cache_dir, on a disk that all nodes share."
            )
