"""The augmentation of training clips: of the analysis, of tokens, and of a model's vectors."""

from dataclasses import dataclass, field

from audiotok.augment.mixup import Mixup
from audiotok.augment.sound import Sound
from audiotok.augment.words import Words


@dataclass(frozen=True)
class Recipe:
    """The three steps, in the order in which they are applied; by default all are off.

    Args:
        sound: Augments the analysis, for every model.
        words: Augments tokens, for models that read tokens.
        mixup: Mixes a model's vectors, for every model.
    """

    sound: Sound = field(default_factory=Sound)
    words: Words = field(default_factory=Words)
    mixup: Mixup = field(default_factory=Mixup)
