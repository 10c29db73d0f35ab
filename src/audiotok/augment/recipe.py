"""All that is changed in training clips: as sound, as words, and as vectors."""

from dataclasses import dataclass

from audiotok.augment.mixup import Mixup
from audiotok.augment.sound import Sound
from audiotok.augment.words import Words


@dataclass(frozen=True)
class Recipe:
    """The steps in the order in which a clip meets them; each is off where its numbers are 0.

    Args:
        sound: Of mel frames, for every model.
        words: Of tokens, for models that read tokens.
        mixup: Of the vectors in a model, for every model.
    """

    sound: Sound
    words: Words
    mixup: Mixup
