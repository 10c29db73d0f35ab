"""Check configured values against the type hints of what they configure.

YAML owns the numbers and Python owns their meaning: the hints of a constructor are the only place where
a type stands, and Hydra does not look at them.
"""

import inspect
import typing
from collections.abc import Mapping
from typing import Any

from hydra.utils import get_object
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError, PydanticUndefinedAnnotation

from audiotok.errors import UserError

_CONFIG = ConfigDict(arbitrary_types_allowed=True, strict=True)


def check_signature(key: str, node: object) -> None:
    """Check a node of a resolved configuration, and the nodes in it.

    Args:
        key: Where the node stands, `clustering` for example.
        node: Plain dictionaries, lists and values; a dictionary with `_target_` names what it configures.

    Raises:
        UserError: A value is not of the type that the constructor wants, or the constructor lacks the key.
    """
    if not isinstance(node, Mapping):
        return
    for name, value in node.items():
        check_signature(f"{key}.{name}", value)
    if node.get("_target_"):
        _check_arguments(key, node)


def _check_arguments(key: str, node: Mapping[str, Any]) -> None:
    target = get_object(node["_target_"])
    parameters = inspect.signature(target).parameters
    takes_anything = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    hints = _type_hints(target)
    for name, value in node.items():
        if name.startswith("_") or (isinstance(value, Mapping) and "_target_" in value):
            continue
        if name not in parameters and not takes_anything:
            raise UserError(
                f"{key}.{name}={value} is not understood by {node['_target_']}; "
                f"its keys are {', '.join(parameters)}."
            )
        if name in hints:
            _check_value(f"{key}.{name}", value, hints[name])


def _type_hints(target: Any) -> dict[str, Any]:
    constructor = target.__init__ if inspect.isclass(target) else target
    try:
        return typing.get_type_hints(constructor)
    except (NameError, TypeError):  # some library's hints cannot be evaluated; its own checks remain
        return {}


def _check_value(key: str, value: object, hint: Any) -> None:
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(hint, config=_CONFIG)
    except (PydanticSchemaGenerationError, PydanticUndefinedAnnotation):
        return
    except Exception as error:  # pydantic refuses a config for classes that bring their own
        if type(error).__name__ != "PydanticUserError":
            raise
        adapter = TypeAdapter(hint)
    try:
        adapter.validate_python(value)
    except ValidationError as error:
        shown = "null" if value is None else value
        wanted = getattr(hint, "__name__", None) if isinstance(hint, type) else None
        expected = wanted or str(hint).replace("typing.", "").replace("NoneType", "null")
        raise UserError(
            f"{key}={shown} is of the wrong type ({error.errors()[0]['msg'].lower()}); give {expected}."
        ) from error
