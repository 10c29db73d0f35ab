"""The arguments of a class or function as its source declares them, found without importing it.

Importing a model imports torch, which takes seconds; reading its source takes milliseconds, so that a value
of the wrong type is reported at once. Only what is certain is returned: a type hint that needs anything but
the standard library and ranges is left out, and whatever is not a plain class, dataclass or function is
undeclared. `signature.arguments` looks at the imported object and knows the rest.
"""

import ast
import builtins
import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from importlib.machinery import PathFinder
from inspect import Parameter
from pathlib import Path
from typing import Any

_Definition = ast.ClassDef | ast.FunctionDef
# By name, and whether keywords of any other name are taken as well.
Arguments = tuple[dict[str, Parameter], bool]
# What a type hint may consist of, so that evaluating it has no other effect.
_NAMES = (ast.Name, ast.Attribute, ast.Load, ast.Constant)
_RANGES = "annotated_types"  # the library whose classes a hint may call: `Interval(ge=1)`
_GROUPED = (ast.Subscript, ast.Tuple, ast.List, ast.BinOp, ast.BitOr)
_HINT = (*_NAMES, *_GROUPED, ast.Call, ast.keyword, ast.UnaryOp, ast.USub)


class UndeclaredError(Exception):
    """The source does not say."""


def declared_arguments(target: str) -> Arguments:
    """Return the arguments of the class or function at a dotted path; hints that are not certain are empty.

    Raises:
        UndeclaredError: The source is not found, or does not say.
    """
    module, _, name = target.rpartition(".")
    try:
        return _arguments(*_definition(module, name))
    except RecursionError:  # modules that import each other
        raise UndeclaredError(target) from None


def _arguments(module: str, definition: _Definition) -> Arguments:
    if isinstance(definition, ast.FunctionDef):
        return _of_function(module, definition, skipped=0)
    for statement in definition.body:
        if isinstance(statement, ast.FunctionDef) and statement.name == "__init__":
            return _of_function(module, statement, skipped=1)
    if _is_dataclass(definition):
        return dict(_fields(module, definition)), False
    if not definition.bases or definition.keywords or definition.decorator_list:
        raise UndeclaredError(definition.name)
    return _arguments(*_base(module, definition.bases[0]))


def _of_function(module: str, function: ast.FunctionDef, skipped: int) -> Arguments:
    """Return the arguments of a function but the first ones."""
    given = function.args
    positional = [*given.posonlyargs, *given.args]
    defaults: list[ast.expr | None] = [None] * (len(positional) - len(given.defaults)) + list(given.defaults)
    pairs = list(zip(positional, defaults, strict=True))[skipped:]
    pairs += list(zip(given.kwonlyargs, given.kw_defaults, strict=True))
    found = {
        argument.arg: _parameter(module, argument.arg, argument.annotation, default)
        for argument, default in pairs
    }
    if given.kwarg is None:
        return found, bool(function.decorator_list)  # a decorator may add some
    try:
        receiver = _receiver(module, given.kwarg.annotation)
    except UndeclaredError:
        return found, True
    others, takes_anything = _arguments(*receiver)
    return {n: p for n, p in others.items() if p.default is not Parameter.empty} | found, takes_anything


def _receiver(module: str, hint: ast.expr | None) -> tuple[str, _Definition]:
    """Find the class that keywords are handed to: `**options: Annotated[Any, Class]`."""
    if isinstance(hint, ast.Subscript) and isinstance(hint.slice, ast.Tuple) and len(hint.slice.elts) == 2:
        return _base(module, hint.slice.elts[1])
    raise UndeclaredError(module)


def _fields(module: str, definition: ast.ClassDef) -> Iterator[tuple[str, Parameter]]:
    """Go through the fields of a dataclass, those of its bases first."""
    for base in reversed(definition.bases):
        if isinstance(base, ast.Name) and base.id in ("ABC", "Protocol"):
            continue
        where, above = _base(module, base)
        if isinstance(above, ast.ClassDef) and _is_dataclass(above):
            yield from _fields(where, above)
    for statement in definition.body:
        if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name):
            continue
        hint, default = ast.unparse(statement.annotation), statement.value
        is_derived = isinstance(default, ast.Call) and any(
            word.arg == "init" and isinstance(word.value, ast.Constant) and not word.value.value
            for word in default.keywords
        )
        if not is_derived and "ClassVar" not in hint and hint != "KW_ONLY":
            yield statement.target.id, _parameter(module, statement.target.id, statement.annotation, default)


def _parameter(module: str, name: str, hint: ast.expr | None, default: ast.expr | None) -> Parameter:
    """Return a parameter; where it has a default, that is `...`."""
    try:
        annotation = Parameter.empty if hint is None else _evaluated(module, hint)
    except UndeclaredError:
        annotation = Parameter.empty
    return Parameter(
        name,
        Parameter.KEYWORD_ONLY,
        default=Parameter.empty if default is None else ...,
        annotation=annotation,
    )


def _is_dataclass(definition: ast.ClassDef) -> bool:
    called = [d.func if isinstance(d, ast.Call) else d for d in definition.decorator_list]
    return any(ast.unparse(decorator) in ("dataclass", "dataclasses.dataclass") for decorator in called)


def _base(module: str, expression: ast.expr) -> tuple[str, _Definition]:
    """Find the class that an expression in a module names."""
    if not isinstance(expression, ast.Name):
        raise UndeclaredError(ast.unparse(expression))
    return _definition(module, expression.id)


def _definition(module: str, name: str) -> tuple[str, _Definition]:
    """Find a class or function where it is defined, which may be another module than it is imported from."""
    found = _names(module).get(name)
    if isinstance(found, _Definition):
        return module, found
    if isinstance(found, tuple):
        return _definition(*found)
    raise UndeclaredError(f"{module}.{name}")


def _evaluated(module: str, expression: ast.expr) -> Any:
    """Return what a type hint means."""
    if isinstance(expression, ast.Constant) and isinstance(expression.value, str):
        expression = ast.parse(expression.value, mode="eval").body
    parts = list(ast.walk(expression))
    called = [part.func for part in parts if isinstance(part, ast.Call)]
    if not all(isinstance(part, _HINT) for part in parts) or not all(_is_range(module, f) for f in called):
        raise UndeclaredError(ast.unparse(expression))
    names = [part.id for part in ast.walk(expression) if isinstance(part, ast.Name)]
    try:
        meanings = {name: _meaning(module, name) for name in names}
        return eval(compile(ast.Expression(expression), module, "eval"), {}, meanings)
    except (AttributeError, TypeError, ImportError) as error:
        raise UndeclaredError(ast.unparse(expression)) from error


def _is_range(module: str, function: ast.expr) -> bool:
    """Tell whether what is called in a hint is a range, which calling does nothing with."""
    return isinstance(function, ast.Name) and _names(module).get(function.id) == (_RANGES, function.id)


def _meaning(module: str, name: str) -> Any:
    """Return the type of the standard library that a name stands for, or the alias of such."""
    found = _names(module).get(name)
    if found is None and hasattr(builtins, name):
        return getattr(builtins, name)
    if isinstance(found, ast.expr):
        return _evaluated(module, found)
    if isinstance(found, tuple) and found[0].partition(".")[0] in {*sys.stdlib_module_names, _RANGES}:
        return getattr(import_module(found[0]), found[1])
    if isinstance(found, tuple):
        return _meaning(*found)
    raise UndeclaredError(f"{module}.{name}")


@cache
def _names(module: str) -> dict[str, _Definition | ast.expr | tuple[str, str]]:
    """Return what the names in a module are: definitions, aliases, or imported as (module, name)."""
    source = _source(module)
    is_package = source.name == "__init__.py"
    found: dict[str, _Definition | ast.expr | tuple[str, str]] = {}
    for statement in _statements(ast.parse(source.read_bytes()).body):
        if isinstance(statement, _Definition):
            found[statement.name] = statement
        elif isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            found[statement.targets[0].id] = statement.value
        elif isinstance(statement, ast.ImportFrom):
            parents = module.split(".")[: None if is_package else -1]
            above = parents[: len(parents) + 1 - statement.level] if statement.level else []
            origin = ".".join([*above, *([statement.module] if statement.module else [])])
            found |= {alias.asname or alias.name: (origin, alias.name) for alias in statement.names}
    return found


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Go through the statements of a module, those under `if TYPE_CHECKING` among them."""
    for statement in body:
        yield statement
        if isinstance(statement, ast.If):
            yield from _statements(statement.body)


def _source(module: str) -> Path:
    """Return the file of a module, of which nothing is imported for that."""
    path: list[str] | None = None
    spec = None
    for end in range(1, module.count(".") + 2):
        spec = PathFinder.find_spec(".".join(module.split(".")[:end]), path)
        if spec is None:
            raise UndeclaredError(module)
        path = list(spec.submodule_search_locations or [])
    if spec is None or not (spec.origin or "").endswith(".py"):
        raise UndeclaredError(module)
    return Path(str(spec.origin))
