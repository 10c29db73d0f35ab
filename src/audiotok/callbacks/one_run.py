"""All processes of a run must be of that run."""

import os
from typing import Any

import pytorch_lightning as pl
import torch

from audiotok.errors import UserError


class OneRun(pl.Callback):
    """Refuse to train across processes that write to other folders, or read other centroids.

    Where torchrun or Slurm starts every process, each would name a folder after the time.
    """

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Compare what all processes have.

        Raises:
            UserError: In all of them, where they differ.
        """
        if trainer.world_size == 1:
            return
        tokenizer = trainer.datamodule.tokenizer  # type: ignore[attr-defined]
        mine = (
            os.path.realpath(trainer.default_root_dir),
            str(pl_module.vocabulary_key),
            tokenizer.checksum(),
        )
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
                f"cache_dir holds other centroids {keys[0]} on one node than on another, as both have fitted "
                "them; give all of them one cache_dir, on a disk that all nodes share."
            )
