"""Check configured values against the type hints of what they configure.

YAML owns the numbers and Python owns their meaning: the hints of a constructor are the only place where
a type stands, and Hydra does not look at them.
"""

import inspect
import math
import typing
from collections.abc import Callable, Mapping
from inspect import Parameter
from pathlib import Path
from typing import Any

from hydra.utils import get_object
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError, PydanticUndefinedAnnotation, PydanticUserError

from audiotok.errors import UserError


def check_signature(key: str, node: object) -> None:
    """Check a node of a resolved configuration, and the nodes in it.

    Args:
        key: Where the node stands, `clustering` for example; "" for the root.
        node: Plain dictionaries, lists and values; a dictionary with `_target_` names what it configures.

    Raises:
        UserError: A value is not of the type that the constructor wants or no finite number, the constructor
            lacks the key, or there is no such constructor.
    """
    if isinstance(node, list):
        for i, value in enumerate(node):
            check_signature(f"{key}.{i}", value)
    if isinstance(node, float) and not math.isfinite(node):
        raise UserError(f"{key}={node} is no finite number; give one.")
    if not isinstance(node, Mapping):
        return
    for name, value in node.items():
        check_signature(_join(key, name), value)
    if node.get("_target_"):
        _check_arguments(key, node)


def _check_arguments(key: str, node: Mapping[str, Any]) -> None:
    target = _find(key, node["_target_"])
    try:
        parameters, takes_anything = arguments(target)
    except ValueError:  # some built-in types have no signature
        return
    for name, value in node.items():
        if name.startswith("_"):
            continue
        if name not in parameters and not takes_anything:
            raise UserError(
                f"{_join(key, name)}={value} is not understood by {node['_target_']}; "
                f"its keys are {', '.join(parameters)}."
            )
        hint = parameters[name].annotation if name in parameters else Parameter.empty
        if hint is not Parameter.empty and not _holds_a_node(value):
            check_value(_join(key, name), value, hint)


def arguments(target: Callable[..., Any]) -> tuple[dict[str, Parameter], bool]:
    """Return the parameters of a constructor or function, with their type hints evaluated.

    `**encoder: Annotated[Any, BertEncoder]` stands for the arguments of `BertEncoder` that have defaults.

    Args:
        target: What a configuration may name.

    Returns:
        The parameters by name, and whether keywords of any other name are taken as well.

    Raises:
        ValueError: It has no signature, as some built-in types.
    """
    found: dict[str, Parameter] = {}
    takes_anything = False
    hints = _type_hints(target)
    for name, parameter in inspect.signature(target).parameters.items():
        if parameter.kind is not Parameter.VAR_KEYWORD:
            found[name] = parameter.replace(annotation=hints.get(name, Parameter.empty))
            continue
        receivers = [mark for mark in getattr(hints.get(name), "__metadata__", ()) if callable(mark)]
        for receiver in receivers:
            others, _ = arguments(receiver)
            found |= {n: p for n, p in others.items() if p.default is not Parameter.empty and n not in found}
        takes_anything = not receivers
    return found, takes_anything


def _join(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name


def check_targets(key: str, node: object) -> None:
    """Import what a node and the nodes in it name, and nothing more.

    Raises:
        UserError: One of them cannot be imported.
    """
    if isinstance(node, list):
        for i, value in enumerate(node):
            check_targets(f"{key}.{i}", value)
    if isinstance(node, Mapping):
        for name, value in node.items():
            check_targets(_join(key, name), value)
        if node.get("_target_"):
            _find(key, node["_target_"])


def _find(key: str, target: str) -> Any:
    try:
        return get_object(target)
    except (ImportError, ValueError) as error:
        module = target.partition(".")[0]
        if isinstance(error.__cause__, ModuleNotFoundError) and error.__cause__.name == module:
            raise UserError(
                f"{key}._target_={target} cannot be imported: there is no module {module}; run the command "
                f"in the folder that holds {module}.py, or install the package that has it."
            ) from error
        cause = f" ({error.__cause__})" if error.__cause__ else ""
        raise UserError(
            f"{key}._target_={target} cannot be imported{cause}; give the dotted path of a class or function."
        ) from error


def _holds_a_node(value: object) -> bool:
    """Tell whether a value names something that is yet to be built, or a list of such."""
    if isinstance(value, list):
        return any(_holds_a_node(item) for item in value)
    return isinstance(value, Mapping) and "_target_" in value


def _type_hints(target: Any) -> dict[str, Any]:
    constructor = target.__init__ if inspect.isclass(target) else target
    try:
        return typing.get_type_hints(constructor, include_extras=True)
    except (NameError, TypeError):  # some library's hints cannot be evaluated; its own checks remain
        return {}


def check_value(key: str, value: object, hint: Any) -> None:
    """Check a single value against a type hint.

    Args:
        key: Where it stands.
        value: A plain value.
        hint: The type that it must have.

    Raises:
        UserError: It is of another type.
    """
    adapter = _adapter(hint)
    if adapter is None or any(_accepts(adapter, form) for form in _forms(value)):
        return
    shown = "null" if value is None else value
    expected = hint.__name__ if isinstance(hint, type) else str(hint)
    expected = expected.replace("typing.", "").replace("NoneType", "null").replace("None", "null")
    expected = expected.replace("collections.abc.Sequence", "list")  # as YAML has it
    raise UserError(f"{key}={shown} is of the wrong type; give {expected}.")


def _adapter(hint: Any) -> TypeAdapter[Any] | None:
    """Return a checker of a hint, or None for hints that pydantic knows nothing of."""
    try:
        return TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True, strict=True))
    except (PydanticSchemaGenerationError, PydanticUndefinedAnnotation):
        return None
    except PydanticUserError:  # a class that brings its own configuration wants no other
        return TypeAdapter(hint)


def _forms(value: object) -> list[object]:
    """Return what a value of YAML may stand for: YAML has no tuples and no paths."""
    if isinstance(value, list):
        return [value, tuple(value)]
    return [value, Path(value)] if isinstance(value, str) else [value]


def _accepts(adapter: TypeAdapter[Any], value: object) -> bool:
    try:
        adapter.validate_python(value)
    except ValidationError:
        return False
    return True
