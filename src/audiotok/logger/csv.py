"""Scores of steps and epochs in `csv/metrics.csv` of the run's folder, and nothing else."""

from pytorch_lightning.loggers import CSVLogger

from audiotok.logger.logger import LightningLogger
from audiotok.run.destination import Destination


class Csv(LightningLogger):
    """Lightning's CSV logger; it writes `csv/metrics.csv` and `csv/hparams.yaml`."""

    def __init__(self, *, destination: Destination) -> None:
        super().__init__(CSVLogger(save_dir=destination.folder.path, name="csv", version=""))
