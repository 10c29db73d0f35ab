"""What surrounds the work of a run: the check of its configuration, and its logger, opened and closed."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from omegaconf import DictConfig

from audiotok.errors import UserError
from audiotok.experiment.configuration import begin, build_node
from audiotok.loader.workers import failure_of
from audiotok.logger.logger import RunLogger
from audiotok.run.destination import Destination


@contextmanager
def open_session(config: DictConfig, destination: Destination) -> Iterator[RunLogger]:
    """Begin a run, and finish its logger however the run ends.

    A process that follows another one does the same work, and neither writes nor logs.

    Raises:
        UserError: A process that reads clips has failed.
    """
    quieten(destination.leads)
    begin(config, destination)
    logger = build_logger(config, destination)
    succeeded = False
    try:
        yield logger
        succeeded = True
    except (RuntimeError, OSError) as error:
        sentence = failure_of(error, config.loader.get("n_workers"))
        if sentence is None:
            raise
        raise UserError(sentence) from error
    finally:
        logger.finish(succeeded)


def build_logger(config: DictConfig, destination: Destination) -> RunLogger:
    """Build the configured logger; without one, and in a process that follows another, it does nothing."""
    if not destination.leads or not config.get("logger"):
        return RunLogger()
    logger = build_node(config.logger, destination=destination)
    if not isinstance(logger, RunLogger):
        raise UserError(
            f"logger._target_={config.logger._target_} is not a RunLogger; derive it from LightningLogger in "
            "audiotok.logger.logger."
        )
    return logger


def quieten(leads: bool) -> None:
    """Silence messages of libraries that users can do nothing about; our own lines remain.

    A process that follows another one logs nothing below errors.
    """
    if not leads:
        logging.disable(logging.WARNING)
        warnings.simplefilter("ignore")
        return
    for name in ("pytorch_lightning", "lightning_fabric", "faiss"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in (
        r".*isinstance\(treespec, LeafSpec\).*",  # Lightning 2.6 on torch 2.14
        r"No positive samples found in target.*",  # means leave such classes out
        r".*does not have many workers.*",  # the number of cores decides, see loader.n_workers
        r"The number of training batches .* is smaller than the logging interval.*",
        r"It is recommended to use .*sync_dist=True.*",  # metrics gather what they log
        r"Checkpoint directory .* exists and is not empty.*",  # a run may resume in its own folder
        r"You're resuming from a checkpoint that ended before.*",  # the loader starts in its place
        r".*Please add the following callbacks.*",  # a run may resume with other callbacks
        r"The dirpath has changed.*",  # a resumed run writes its last checkpoint to a folder of its own
    ):
        warnings.filterwarnings("ignore", message=message)
