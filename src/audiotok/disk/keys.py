"""Keys made from content: equal content has equal keys, on every machine and in every version."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def arrays_key(arrays: Mapping[str, Any]) -> str:
    """Return 16 hex digits that identify named numpy arrays: their names and their bytes."""
    return content_key({name: array.tobytes().hex() for name, array in arrays.items()})


def content_key(content: object) -> str:
    """Return 16 hex digits that identify a JSON-like value; equal values give equal keys."""
    text = json.dumps(_whole_as_int(content), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _whole_as_int(content: object) -> object:
    """Replace 1.0 by 1: they are equal in YAML and in Python, but not in JSON."""
    if isinstance(content, float) and content.is_integer():
        return int(content)
    if isinstance(content, dict):
        return {key: _whole_as_int(value) for key, value in content.items()}
    return [_whole_as_int(value) for value in content] if isinstance(content, list | tuple) else content


def first_difference(expected: dict[str, object], found: dict[str, object]) -> str:
    """Describe the first key in which two flat dictionaries differ, or return "" if they are equal."""
    for key in sorted(expected.keys() | found.keys()):
        if expected.get(key) != found.get(key):
            return f"{key} is {found.get(key)!r}, not {expected.get(key)!r}"
    return ""
