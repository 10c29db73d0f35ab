"""Objects that say what they were built with, so that a file can keep it and they can be built again."""

import inspect
from pathlib import Path
from typing import Any, Self


class Described:
    """An object that knows its class and the arguments of its constructor, as a node has them.

    A class inherits from it, and need not do anything for it.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Keep the arguments, before the constructor gets them."""
        made = super().__new__(cls)
        made.__dict__["_given"] = (args, kwargs)
        return made

    @property
    def node(self) -> dict[str, Any] | None:
        """Its class in `_target_`, and all arguments, defaults too; None if a file cannot hold them.

        That is so for a class of `__main__` or of a function, and for arguments beyond numbers, text, lists
        and further objects of this kind.
        """
        kind, (args, kwargs) = type(self), self.__dict__["_given"]
        if kind.__module__ == "__main__" or "<locals>" in kind.__qualname__:
            return None
        bound = inspect.signature(kind.__init__).bind(self, *args, **kwargs)
        bound.apply_defaults()
        _, *given = bound.arguments.items()  # without `self`
        arguments: dict[str, Any] = {}
        for name, value in given:
            of = bound.signature.parameters[name].kind
            arguments |= value if of is inspect.Parameter.VAR_KEYWORD else {name: value}
        try:
            plain = {name: _plain(value) for name, value in arguments.items()}
        except TypeError:
            return None
        return {"_target_": f"{kind.__module__}.{kind.__qualname__}", **plain}


def _plain(value: Any) -> Any:
    """Return a value as JSON has it."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Described) and value.node is not None:
        return value.node
    raise TypeError(type(value).__name__)
