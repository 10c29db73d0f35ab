"""Scores of steps and epochs in `csv/metrics.csv` of the run's folder, and nothing else."""

from pytorch_lightning.loggers import CSVLogger

from audiotok.errors.ranges import Whole
from audiotok.logger.logger import LightningLogger
from audiotok.run.destination import Destination


class Csv(LightningLogger):
    """Lightning's CSV logger; it writes `csv/metrics.csv` and `csv/hparams.yaml`.

    Args:
        n_examples: Test clips that the run's folder keeps with sound, picture and tokens.
        destination: Where the run writes.
    """

    def __init__(self, *, n_examples: Whole = 0, destination: Destination) -> None:
        super().__init__(CSVLogger(save_dir=destination.folder.path, name="csv", version=""))
        self.n_examples = n_examples
