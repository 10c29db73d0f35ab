"""The life of a run around its work: configuration checked, logger opened, and closed however it ends."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from omegaconf import DictConfig
from pytorch_lightning.loggers import Logger

from audiotok.experiment.configuration import Root, begin, build_node
from audiotok.logger.closing import finish
from audiotok.run.destination import Destination


@contextmanager
def open_session(config: DictConfig, destination: Destination) -> Iterator[Logger | None]:
    """Begin a run, and close its logger however it ends.

    A process that follows another one does all the same, writes nothing, and leaves the talking to that.
    """
    quieten(destination.leads)
    logger = None
    succeeded = False
    try:
        begin(config, destination, Root)
        logger = build_logger(config, destination) if destination.leads else None
        yield logger
        succeeded = True
    finally:
        finish(logger, succeeded)


def build_logger(config: DictConfig, destination: Destination) -> Logger | None:
    """Build the configured logger, if any."""
    return build_node(config.logger, destination=destination) if config.get("logger") else None


def quieten(leads: bool) -> None:
    """Leave out what libraries say of themselves and users can do nothing about; our own lines remain.

    Of several processes, one speaks.
    """
    if not leads:
        logging.disable(logging.WARNING)
        warnings.simplefilter("ignore")
        return
    for name in ("pytorch_lightning", "lightning_fabric", "faiss"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in (
        r".*isinstance\(treespec, LeafSpec\).*",  # Lightning 2.6 on torch 2.14
        r"No positive samples found in target.*",  # our policy for such classes is in metrics/multilabel.py
        r".*does not have many workers.*",  # the number of cores decides, see loader.n_workers
        r"The number of training batches .* is smaller than the logging interval.*",
        r"It is recommended to use .*sync_dist=True.*",  # what is logged has been gathered by its metric
        r"Checkpoint directory .* exists and is not empty.*",  # as it does where a run goes on
        r".*Please add the following callbacks.*",  # a run may go on with others
        r"The dirpath has changed.*",  # a resumed run writes its last checkpoint to a folder of its own
    ):
        warnings.filterwarnings("ignore", message=message)
