"""The classes that an exported model is made of, by their names.

In a Hugging Face folder another module takes the place of this one: it imports the classes of that model.
"""

import re
from importlib import import_module
from typing import Any

# Rooms of audiotok with classes that a config.json may name; it may come from anybody.
_OWN = re.compile(r"audiotok\.(clustering|features|model)\.[a-z_0-9]+\.[A-Z]\w*")


def class_of(name: str) -> Any:
    """Return the class of a dotted name.

    Raises:
        ValueError: It is not a class of audiotok.
    """
    if not _OWN.fullmatch(name):
        raise ValueError(
            f"{name[:100]} is not a class of audiotok; load the model with trust_remote_code=True, if you "
            "trust the code in its folder."
        )
    module, _, class_name = name.rpartition(".")
    return getattr(import_module(module), class_name)
