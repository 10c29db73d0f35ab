"""JSON and YAML that anybody may have written, read within limits.

A file is refused, with a `ValueError` in one sentence, if it is too large, too deeply nested, holds a number
of too many digits, or repeats itself by YAML aliases. Nothing of it is executed.
"""

import json
import re
from pathlib import Path
from typing import Any

import yaml

_YamlLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C, ten times as fast
MOST_BYTES = 64 * 2**20  # of a JSON or YAML file


class _ConfigLoader(_YamlLoader):
    """Reads YAML as OmegaConf does, for which 1e-3 is a number."""


_ConfigLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def read_text(path: Path, most_bytes: int = MOST_BYTES) -> str:
    """Read a text file in UTF-8.

    Raises:
        OSError: It cannot be read.
        ValueError: It is larger than the limit, or not UTF-8.
    """
    with path.open("rb") as file:
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise ValueError(f"it is larger than {most_bytes} bytes")
    return content.decode()


def read_json(path: Path) -> Any:
    """Read a JSON file; errors as `read_text` and `parse_json`."""
    return parse_json(read_text(path))


def parse_json(text: str | bytes) -> Any:
    """Parse JSON.

    Raises:
        ValueError: It is not JSON, or beyond a limit.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def read_yaml(path: Path) -> Any:
    """Read a YAML file; errors as `read_text` and `parse_yaml`."""
    return parse_yaml(read_text(path))


def parse_yaml(text: str) -> Any:
    """Parse YAML, numbers as OmegaConf does.

    Raises:
        ValueError: It is not YAML, or beyond a limit.
    """
    try:
        return yaml.load(text, _ConfigLoader)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error
