"""From a Hydra configuration to a trained and scored tagger: the only package that sees a DictConfig.

signature      configured values against the type hints of what they configure
declaration    the same hints, read from the source
configuration  the checks of a configuration, and what its nodes name, built
build          all parts of an experiment, built and fitted
weights        the weights of a pretraining run
session        the life of a run around its work
tagging        train and pretrain
preparation    prepare a corpus
diagnosis      what keeps a run from learning
restoration    the trained parts of a finished run

What is imported from here is imported from its module when it is first used: the checks of a configuration
need no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from audiotok.experiment.build import build_model, build_tokenizer
    from audiotok.experiment.configuration import PrepareRoot, Root, check
    from audiotok.experiment.diagnosis import doctor
    from audiotok.experiment.preparation import prepare
    from audiotok.experiment.restoration import Restored, finished, restore
    from audiotok.experiment.tagging import pretrain, train

_MODULES = {
    "build": ["build_model", "build_tokenizer"],
    "configuration": ["PrepareRoot", "Root", "check"],
    "diagnosis": ["doctor"],
    "preparation": ["prepare"],
    "restoration": ["Restored", "finished", "restore"],
    "tagging": ["pretrain", "train"],
}
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


def __getattr__(name: str) -> Any:
    """Import what is asked for."""
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__} has no attribute {name}")
