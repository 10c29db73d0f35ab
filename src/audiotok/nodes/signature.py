"""Check configured values against the type hints of what they configure.

YAML owns the numbers and Python owns their meaning: the hints of a constructor are the only place where
a type stands, and Hydra does not look at them.
"""

import inspect
import math
import re
import typing
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from inspect import Parameter
from pathlib import Path
from types import UnionType
from typing import Annotated, Any

from annotated_types import Interval
from hydra.utils import get_object
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError, PydanticUndefinedAnnotation, PydanticUserError

from audiotok.errors import UserError
from audiotok.nodes.declaration import UndeclaredError, declared_arguments

_TARGET = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")  # module.Class
_BEYOND = {"greater_than", "greater_than_equal", "less_than", "less_than_equal"}  # errors of pydantic


class NoSignatureError(Exception):
    """A class or function does not say what it takes."""


def check_signature(key: str, node: object, *, imported: bool = True) -> None:
    """Check a node of a resolved configuration, and the nodes in it.

    Args:
        key: Where the node stands, `clustering` for example; "" for the root.
        node: Plain dictionaries, lists and values; a dictionary with `_target_` names what it configures.
        imported: Whether what is configured is imported where its source does not say all; otherwise nothing
            is imported, which is quick and finds most mistakes.

    Raises:
        UserError: A value is not of the type that the constructor wants, out of its range or no finite
            number, the constructor does not have the key, or the constructor does not exist.
    """
    if isinstance(node, list):
        for i, value in enumerate(node):
            check_signature(f"{key}.{i}", value, imported=imported)
    if isinstance(node, float) and not math.isfinite(node):
        raise UserError(f"{key}={node} is not a finite number; give one.")
    if not isinstance(node, Mapping):
        return
    for name, value in node.items():
        check_signature(_join(key, name), value, imported=imported)
    if "_target_" in node:
        check_target_name(key, node["_target_"])
        _check_arguments(key, node, imported)


def _check_arguments(key: str, node: Mapping[str, Any], imported: bool) -> None:
    target = node["_target_"]
    try:
        parameters, takes_anything = declared_arguments(target)
    except UndeclaredError:
        parameters, takes_anything = {}, True
    given = {name: value for name, value in node.items() if not name.startswith("_")}
    unknown = [
        name for name in given if name not in parameters or parameters[name].annotation is Parameter.empty
    ]
    if imported and unknown:
        with suppress(NoSignatureError):  # some built-in types have none
            parameters, takes_anything = arguments(_find(key, target))
    for name, value in given.items():
        if name not in parameters and not takes_anything:
            known = [n for n, p in parameters.items() if p.default is not Parameter.empty] or parameters
            raise UserError(
                f"{_join(key, name)}={value} is not understood by {target}; its keys are {', '.join(known)}."
            )
        hint = parameters[name].annotation if name in parameters else Parameter.empty
        if hint is not Parameter.empty and not _holds_a_node(value):
            check_value(_join(key, name), value, hint)
        elif imported and inspect.isclass(hint) and isinstance(value, Mapping):
            check_kind(_join(key, name), value["_target_"], hint)


def arguments(target: Callable[..., Any]) -> tuple[dict[str, Parameter], bool]:
    """Return the parameters of a constructor or function, with their type hints evaluated.

    `**encoder: Annotated[Any, BertEncoder]` stands for the arguments of `BertEncoder` that have defaults.

    Args:
        target: What a configuration may name.

    Returns:
        The parameters by name, and whether keywords of any other name are taken as well.

    Raises:
        NoSignatureError: It has none, as some built-in types.
    """
    found: dict[str, Parameter] = {}
    takes_anything = False
    hints = _type_hints(target)
    try:
        parameters = inspect.signature(target).parameters
    except ValueError as error:
        raise NoSignatureError from error
    for name, parameter in parameters.items():
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


def check_target_name(key: str, target: object) -> None:
    """Check that what a node names can be a class or function, before anything is looked for.

    Raises:
        UserError: It cannot.
    """
    if not isinstance(target, str) or not _TARGET.fullmatch(target):
        raise UserError(
            f"{_join(key, '_target_')}={_shown(target)} is not a dotted path; give that of a class."
        )


def check_kind(key: str, target: str, kind: type) -> None:
    """Check that a class that a node names is of a kind; what functions return is not known.

    Raises:
        UserError: It is of another kind.
    """
    found = _find(key, target)
    if inspect.isclass(found) and not issubclass(found, kind):
        raise UserError(f"{key}._target_={target} is not a {kind.__name__}; give a class derived from it.")


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
        if "_target_" in node:
            check_target_name(key, node["_target_"])
            _find(key, node["_target_"])


def _find(key: str, target: str) -> Any:
    try:
        found = get_object(target)
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
    if not callable(found):
        raise UserError(f"{key}._target_={target} is not a class or function; give the dotted path of one.")
    return found


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
        UserError: It is of another type, or out of range.
    """
    adapter = _adapter(hint)
    faults = [] if adapter is None else [_faults(adapter, form) for form in _forms(value)]
    if not all(faults):
        return
    shown = _shown(value)
    if typing.get_origin(hint) is typing.Literal:
        raise UserError(
            f"{key}={shown} is not an option; choose one of {', '.join(map(str, hint.__args__))}."
        )
    wrong = "out of range" if any(found & _BEYOND for found in faults) else "of the wrong type"
    wrong = "empty" if value == "" else wrong
    raise UserError(f"{key}={shown} is {wrong}; give {_type_name(hint)}.")


def _shown(value: object) -> object:
    """Return a value as YAML has it."""
    if value == "":
        return "''"
    return {"None": "null", "True": "true", "False": "false"}.get(str(value), value)


def _type_name(hint: Any) -> str:
    """Return a type as a user of YAML knows it: `int | None` is int or null."""
    arguments, origin = typing.get_args(hint), typing.get_origin(hint)
    if hint is None or hint is type(None):
        return "null"
    if origin in (typing.Union, UnionType):
        return " or ".join(map(_type_name, arguments))
    if origin is typing.Literal:
        return ", ".join(map(str, arguments))
    if origin is Annotated:
        ranges = [_range_name(mark) for mark in arguments[1:] if isinstance(mark, Interval)]
        return " ".join([_type_name(arguments[0]), *ranges])
    if origin is tuple:
        return f"[{', '.join(map(_type_name, arguments))}]"
    if origin in (list, Sequence):
        return f"a list of {_type_name(arguments[0])}"
    return hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")


def _range_name(range_: Interval) -> str:
    """Return a range in words."""
    words = {"from": range_.ge, "more than": range_.gt, "to": range_.le, "below": range_.lt}
    shown = [f"{word} {end}" for word, end in words.items() if end is not None]
    return (" " if range_.ge is not None and range_.le is not None else " and ").join(shown)


@cache
def _adapter(hint: Any) -> TypeAdapter[Any] | None:
    """Return a checker of a hint, or None for hints that pydantic does not support."""
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


def _faults(adapter: TypeAdapter[Any], value: object) -> set[str]:
    """Return why a value is refused, by pydantic's names of errors; none if it is accepted."""
    try:
        adapter.validate_python(value)
    except ValidationError as error:
        return {fault["type"] for fault in error.errors(include_url=False)}
    return set()
