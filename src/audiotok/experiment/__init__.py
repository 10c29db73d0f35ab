"""From a Hydra configuration to a trained and scored tagger: the only package that sees a DictConfig.

configuration  the checks of a configuration, and what its nodes name, built
trainer        Lightning's trainer and its callbacks
tokenizer      a finished tokenizer, given to an experiment or to another verb
construction   the tokenizer and the model, without Lightning
weights        the weights of a pretraining run, handed to a model
build          all parts of an experiment, built and fitted
session        opens and closes a run
fitting        training, and the validation of the best checkpoint
tagging        the program `train`
pretraining    the program `pretrain`
preparation    the program `prepare`
tokenizing     the program `fit`, and the corpus of `audiotok tokens`
diagnosis      the program `doctor`
evaluation     the program `evaluate`, before it starts
exploration    the program `explore`, before it starts
stored         the copy of a configuration that a run's folder keeps
restoration    the trained parts of a finished run

What is imported from here is imported from its module when it is first used: the checks of a configuration
need no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from audiotok.experiment.configuration import check, finished
    from audiotok.experiment.construction import build_model, build_tokenizer
    from audiotok.experiment.diagnosis import doctor
    from audiotok.experiment.preparation import prepare
    from audiotok.experiment.pretraining import pretrain
    from audiotok.experiment.restoration import Restored, restore
    from audiotok.experiment.tagging import train
    from audiotok.experiment.tokenizing import fit

_MODULES = {
    "construction": ["build_model", "build_tokenizer"],
    "configuration": ["check", "finished"],
    "diagnosis": ["doctor"],
    "preparation": ["prepare"],
    "pretraining": ["pretrain"],
    "restoration": ["Restored", "restore"],
    "tagging": ["train"],
    "tokenizing": ["fit"],
}
__all__ = [
    "Restored",
    "build_model",
    "build_tokenizer",
    "check",
    "doctor",
    "finished",
    "fit",
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
