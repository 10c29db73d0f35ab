"""A process that follows another one on its own device: `python -m audiotok.follower FOLDER`; see `ranks`."""

import sys
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from audiotok import experiment
from audiotok.errors import UserError
from audiotok.logger.destination import Destination
from audiotok.run.plugins import search_current_folder


def main() -> None:
    """Do what the process that leads does, by the configuration in the run's folder, and leave nothing."""
    search_current_folder()
    folder = Path(sys.argv[1])
    config = OmegaConf.load(folder / experiment.CONFIG)
    assert isinstance(config, DictConfig)
    work = experiment.pretrain if "objective" in config else experiment.train
    try:
        work(config, Destination(folder, folder.name, None, leads=False))
    except UserError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
