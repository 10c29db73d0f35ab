"""A file is replaced in one step: it is written beside its place, flushed to the disk, and renamed.

Whoever reads the path, at whatever moment, and after a kill or a full disk, finds the file of before or the
new one, and never a part.
"""

import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a path beside `path` to write to; when the block ends it takes the place of `path`.

    If the block raises, the new file is deleted and `path` stays as it was.

    Raises:
        OSError: The folder cannot be written, or the disk is full.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8 in one step."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any, allow_nan: bool = True) -> None:
    """Write a JSON file in one step."""
    write_text(path, json.dumps(content, indent=1, allow_nan=allow_nan) + "\n")
