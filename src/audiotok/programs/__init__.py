"""The Hydra programs: from the command line to one run, or to a sweep of runs.

options     the configuration groups on the disk: their folder, options and comments
arguments   what a command line says besides overrides, and which plugins of Hydra it needs
job         one run, and what becomes of its errors
command     the programs themselves
repeating   `audiotok repeat`: a run's own configuration instead of `configs/`
"""

from audiotok.programs.command import doctor, prepare, pretrain, train
from audiotok.programs.options import config_folder

__all__ = ["config_folder", "doctor", "prepare", "pretrain", "train"]
