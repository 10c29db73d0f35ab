"""JSON, YAML and text that anybody may have written, read within limits.

A file is refused, with a `ValueError` in one sentence, if it is not a regular file (a pipe would never end),
too large, too deeply nested, holds a number of too many digits, or repeats itself by YAML aliases, which
unfold to any size. Nothing of it is executed. Besides the parsing, each value is looked at once.
"""

import json
import math
import os
import re
import stat
from pathlib import Path
from typing import Any

import yaml

MOST_BYTES = 64 * 2**20  # of a JSON or YAML file
_MOST_LEVELS = 100  # lists and dictionaries inside each other; what we write has ten at most
_MOST_DIGITS = 40  # of a whole number; 2^128 has 39, and one of 400 is beyond every float
_YamlLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C, ten times as fast
# An alias, which may also be text: whether it is one, the parser knows.
_MAYBE_ALIAS = re.compile(r"(?:^|[\s\[\]{},:?-])\*\S", re.MULTILINE)


class _ConfigLoader(_YamlLoader):
    """Reads YAML as OmegaConf does, for which 1e-3 is a number and 2024-01-01 is text."""


_ConfigLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in _YamlLoader.yaml_implicit_resolvers.items()
}
_ConfigLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def read_text(path: Path, most_bytes: int = MOST_BYTES) -> str:
    """Read a text file in UTF-8.

    Raises:
        OSError: It cannot be read.
        ValueError: It is a pipe or a device, larger than the limit, or not UTF-8.
    """
    try:
        return read_bytes(path, most_bytes).decode()
    except UnicodeDecodeError as error:  # which would carry the whole file into a message
        raise ValueError(f"byte {error.start} is not UTF-8") from None


def read_bytes(path: Path, most_bytes: int = MOST_BYTES) -> bytes:
    """Read a regular file; errors as `read_text`."""
    check_regular(path)
    with path.open("rb") as file:
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise ValueError(f"it is larger than {most_bytes} bytes")
    return content


def check_regular(path: Path) -> None:
    """Check that a path is a regular file, before it is opened: opening a pipe may wait for ever.

    Raises:
        OSError: The file does not exist, or is a folder.
        ValueError: It is a pipe, a socket or a device.
    """
    mode = os.stat(path).st_mode  # noqa: PTH116  # a `str` will do
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # opening a folder says what it is
        raise ValueError("it is not a regular file")


def read_json(path: Path, most_bytes: int = MOST_BYTES) -> Any:
    """Read a JSON file; errors as `read_text` and `parse_json`."""
    return parse_json(read_bytes(path, most_bytes))


def parse_json(text: str | bytes) -> Any:
    """Parse JSON; NaN and Infinity are numbers of it, as `json` writes them.

    Raises:
        ValueError: It is not JSON, or beyond a limit.
    """
    try:
        content = json.loads(text, parse_int=_int, parse_float=_float)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start} is not UTF-8") from None
    check_tree(content)
    return content


def _int(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError(f"it holds a number of {len(digits)} digits")
    return int(digits)


def _float(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError("it holds a number that is beyond every float")
    return number


def read_yaml(path: Path, most_bytes: int = MOST_BYTES) -> Any:
    """Read a YAML file; errors as `read_text` and `parse_yaml`."""
    return parse_yaml(read_text(path, most_bytes))


def parse_yaml(text: str) -> Any:
    """Parse YAML, numbers as OmegaConf does.

    Raises:
        ValueError: It is not YAML, beyond a limit, or holds what JSON has no word for, a date for example.
    """
    try:
        if _MAYBE_ALIAS.search(text) and any(
            isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, _YamlLoader)
        ):
            raise ValueError("it uses YAML aliases, which may unfold to any size")
        content = yaml.load(text, _ConfigLoader)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except (yaml.YAMLError, ArithmeticError, LookupError, AttributeError, TypeError) as error:
        # All but the first come of values that do not fit an explicit tag, as `!!timestamp x`.
        raise ValueError(" ".join(str(error).split())) from error
    check_tree(content)
    return content


def check_tree(content: object) -> None:
    """Check that parsed content consists of dictionaries, lists and plain values, within limits.

    Raises:
        ValueError: It is nested too deeply, holds a number of too many digits, or another type.
    """
    level, n_levels = [content], 0
    while level:
        n_levels += 1
        if n_levels > _MOST_LEVELS:
            raise ValueError("it is nested too deeply")
        inner: list[object] = []
        for value in level:
            if isinstance(value, dict):
                inner.extend(value)
                inner.extend(value.values())
            elif isinstance(value, list):
                inner.extend(value)
            elif isinstance(value, int):
                if abs(value) >= 10**_MOST_DIGITS:
                    raise ValueError(f"it holds a number of more than {_MOST_DIGITS} digits")
            elif value is not None and not isinstance(value, str | float):
                raise ValueError(f"it holds a {type(value).__name__}")
        level = inner
