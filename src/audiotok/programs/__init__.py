"""The Hydra programs: from the command line to one run, or to a sweep of runs.

options      the configuration groups on the disk: their folder, options and comments
arguments    the flags and overrides of a command line, and the plugins of Hydra that it needs
composition  what a program would run with
help         --help: groups, options, and every key with its comment
spelling     what a misspelt override may have meant
job          one run, and what becomes of its errors
unwritable   what becomes of errors of Hydra's own files, and of the log
command      the programs themselves
tokens       `audiotok tokens`: files, or a corpus that overrides name
repeating    `audiotok repeat`: a run's own configuration instead of `configs/`
"""

from audiotok.programs.command import doctor, evaluate, explore, fit, prepare, pretrain, train
from audiotok.programs.options import config_folder

__all__ = ["config_folder", "doctor", "evaluate", "explore", "fit", "prepare", "pretrain", "train"]
