"""`metrics.csv` in the run's folder, and nothing else."""

from pytorch_lightning.loggers import CSVLogger

from audiotok.run.destination import Destination


def build(*, destination: Destination) -> CSVLogger:
    """Build Lightning's CSV logger; it writes `csv/metrics.csv` and `csv/hparams.yaml`."""
    return CSVLogger(save_dir=destination.folder.path, name="csv", version="")
