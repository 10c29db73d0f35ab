"""From a Hydra configuration to a trained and scored tagger: the only package that sees a DictConfig.

configuration  its checks, its copy in the run's folder, and what its nodes name, built
parts          all parts of an experiment, built and fitted
session        the life of a run around its work
training       train and pretrain
preparation    prepare a corpus
diagnosis      what keeps a run from learning
restoration    the trained parts of a finished run
"""

from audiotok.experiment.build import build_model, build_tokenizer
from audiotok.experiment.configuration import PrepareRoot, Root, check
from audiotok.experiment.diagnosis import doctor
from audiotok.experiment.preparation import prepare
from audiotok.experiment.restoration import Restored, finished, restore
from audiotok.experiment.tagging import pretrain, train

__all__ = [
    "PrepareRoot",
    "Restored",
    "Root",
    "build_model",
    "build_tokenizer",
    "check",
    "doctor",
    "finished",
    "prepare",
    "pretrain",
    "restore",
    "train",
]
