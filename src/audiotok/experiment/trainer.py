"""Lightning's trainer and its callbacks, and checks of their settings that need no data."""

import sys
from collections.abc import Iterable

import pytorch_lightning as pl
from omegaconf import DictConfig
from pytorch_lightning.strategies import DDPStrategy, SingleDeviceStrategy
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from audiotok.callbacks.checkpoint import CheckpointFiles
from audiotok.callbacks.history import History
from audiotok.callbacks.interruption import Interruption
from audiotok.callbacks.one_run import OneRun
from audiotok.callbacks.progress import Progress
from audiotok.callbacks.resumption import Resumption
from audiotok.errors import UserError
from audiotok.experiment.configuration import build_node, build_offered, model_node, plain
from audiotok.logger.logger import RunLogger
from audiotok.run.destination import Destination
from audiotok.tokens.tokenizer import Tokenizer


def build_callbacks(
    config: DictConfig, destination: Destination, logger: RunLogger, tokenizer: Tokenizer
) -> dict[str, pl.Callback]:
    """Build the configured callbacks, by their keys, and those that every run has.

    A callback gets `destination`, `logger` and `dirpath`, the folder of the run's checkpoints, if its
    constructor takes them and its node does not set them.
    """
    offered = {"destination": destination, "logger": logger, "dirpath": str(destination.folder.checkpoints)}
    callbacks: dict[str, pl.Callback] = {
        "_resumption": Resumption({**plain(model_node(config)), "freeze": bool(config.model.get("freeze"))}),
        "_one_run": OneRun(destination.folder, tokenizer),
        "_history": History(destination.folder.history),
    }
    for key, node in (config.get("callbacks") or {}).items():
        if node:
            callbacks[str(key)] = _build_callback(str(key), node, offered)
    if _shows_bar(config):
        callbacks["_progress"] = Progress()
    callbacks["_interruption"] = Interruption(destination.folder.last)
    return callbacks


def _build_callback(name: str, node: DictConfig, offered: dict[str, object]) -> pl.Callback:
    callback = build_offered(node, offered)
    if not isinstance(callback, pl.Callback):
        raise UserError(
            f"callbacks.{name}._target_={node._target_} gives a {type(callback).__name__}, not a callback of "
            "Lightning; name a subclass of pytorch_lightning.Callback."
        )
    return callback


def build_trainer(
    config: DictConfig, destination: Destination, logger: RunLogger, callbacks: Iterable[pl.Callback]
) -> pl.Trainer:
    """Build Lightning's trainer.

    Raises:
        UserError: A setting cannot work, alone or with another.
    """
    _check_strategy(config)
    try:
        trainer = build_node(
            config.trainer,
            callbacks=list(callbacks),
            logger=logger.lightning,
            default_root_dir=destination.folder.path,
            enable_progress_bar=_shows_bar(config),
        )
    except (MisconfigurationException, ValueError) as error:
        message = " ".join(str(error).split()).rstrip(".")
        raise UserError(f"trainer: {message}.") from error
    assert isinstance(trainer, pl.Trainer)
    if isinstance(trainer.strategy, SingleDeviceStrategy | DDPStrategy):  # others write in a way of their own
        trainer.strategy.checkpoint_io = CheckpointFiles()
    return trainer


def _shows_bar(config: DictConfig) -> bool:
    bar = config.trainer.enable_progress_bar
    return sys.stderr.isatty() if bar is None else bool(bar)


def _check_strategy(config: DictConfig) -> None:
    if str(config.trainer.strategy).startswith(("ddp_spawn", "ddp_fork", "ddp_notebook")):
        raise UserError(
            f"trainer.strategy={config.trainer.strategy} starts processes in the middle of a run; choose "
            "ddp, or auto."
        )
    if (
        config.trainer.precision == "16-mixed"
        and config.trainer.gradient_clip_val
        and config.optimizer.get("fused")
    ):
        raise UserError(
            "optimizer.fused=true undoes the scaling of trainer.precision=16-mixed too late for gradients to "
            "be clipped; choose optimizer.fused=false, trainer.gradient_clip_val=null, or bf16-mixed."
        )
