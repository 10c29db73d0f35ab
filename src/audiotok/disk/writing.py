"""A file is replaced in one step: it is written beside its place, flushed to the disk, and renamed.

Whoever reads the path, at whatever moment, and after a kill or a full disk, finds the file of before or the
new one, and never a part. What a killed process has begun stays beside it as a hidden `.part`, until
`clear_parts` removes it. An error names the path that was to be written, and `complaint` says in one sentence
which setting of the user chose that place.
"""

import csv
import ctypes
import errno
import io
import json
import os
import shutil
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

# A full disk, a quota, a limit of the size of files (ulimit -f), a disk that may not be written.
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_UNWRITABLE = _NO_ROOM | {errno.EROFS}
_LITTLE = 2**20  # bytes; a disk with less is taken to be the one that is full
_LONGEST = 200  # characters of a name that its part repeats


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a path beside `path` to write to; when the block ends it takes the place of `path`.

    If the block raises, the new file is deleted and `path` stays as it was. A link is followed, and what is
    not a file, for example /dev/stdout, is written to as it is.

    Raises:
        OSError: The folder cannot be written, or the disk is full; it names `path`.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file() and not target.is_dir():
        yield target
        return
    temporary = _part_of(target)
    try:
        with naming(path, temporary):
            yield temporary
            _flush(temporary)
            temporary.replace(target)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Give an empty folder to write files to; when the block ends it takes the place of the folder `path`.

    The two are exchanged in one step where the system can (Linux). Elsewhere a kill between two renames
    leaves the folder of before under another name, and the next call returns it to its place.

    Raises:
        OSError: The folder cannot be written, or the disk is full; it names `path`.
    """
    before, temporary = path.with_name(f".{path.name}.before"), _part_of(path)
    try:
        with naming(path, temporary):
            if before.exists() and not path.exists():
                before.rename(path)
            temporary.mkdir(parents=True)
            yield temporary
            for file in temporary.iterdir():
                _flush(file)
            if path.exists() and not _exchange(temporary, path):
                path.rename(before)
            if not path.exists():
                temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if path.exists():
            shutil.rmtree(before, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8, its line ends as they are, in one step."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def write_rows(path: Path, rows: Iterable[Iterable[object]]) -> None:
    """Write a table in one step."""
    write_text(path, rows_as_text(rows))


def rows_as_text(rows: Iterable[Iterable[object]]) -> str:
    """Return a table as the text of a CSV file."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue()


def write_json(path: Path, content: Any, allow_nan: bool = True) -> None:
    """Write a JSON file in one step."""
    write_text(path, json.dumps(content, indent=1, allow_nan=allow_nan) + "\n")


def clear_parts(folder: Path) -> None:
    """Remove what killed processes have left in a folder that no process writes to."""
    for part in folder.glob(".*.part"):
        with suppress(OSError):
            if part.is_dir():
                shutil.rmtree(part)
            else:
                part.unlink()


@contextmanager
def naming(path: Path, temporary: Path | None = None) -> Iterator[None]:
    """Let errors of writing name the path that was to be written.

    A full disk is reported by an open file, which has no name, and a part has a name that nobody knows.

    Args:
        path: The path.
        temporary: Its part.

    Raises:
        OSError: The error of the block, with `path` as its file name.
    """
    try:
        yield
    except OSError as error:
        of_part = temporary is not None and str(error.filename).startswith(str(temporary))
        if error.filename is not None and not of_part:
            raise
        raise OSError(error.errno or errno.EIO, error.strerror or str(error), str(path)) from error


def complaint(error: OSError, places: Mapping[str, str | os.PathLike[str]]) -> str | None:
    """Say in one sentence that a place cannot be written, and which setting chose it.

    Args:
        error: Raised while something was written.
        places: Where that may have been: the folder or file that each key names, the most probable first.

    Returns:
        The sentence; None if the error is not of that kind.
    """
    place = _place_of(error, places)
    if place is None:
        return None
    if error.errno == errno.EFBIG:
        advice = "raise the limit of the size of a file (ulimit -f)"
    elif error.errno in _NO_ROOM:
        advice = "free some space there, or choose another place"
    else:
        advice = "choose a place that you may write to"
    return f"{place} cannot be written ({error.strerror or error}); {advice}."


def _place_of(error: OSError, places: Mapping[str, str | os.PathLike[str]]) -> str | None:
    """Return the place that an error is about, as `key=place`; None if it is about none."""
    named = isinstance(error.filename, str | bytes | os.PathLike)  # and not by the number of an open file
    file = Path(os.fsdecode(error.filename)) if named else None
    if file is None and "temporary directory" in str(error):  # of tempfile, whatever the cause
        return f"TMPDIR={os.environ.get('TMPDIR', '')}"
    for key, place in places.items():
        if file is not None and (_is_in(file, place) or _is_in(place, file)):
            return f"{key}={place}"
    if error.errno not in _UNWRITABLE:
        return None
    everywhere = {**places, "TMPDIR": _temporary_folder()}
    if file is not None:
        return f"TMPDIR={everywhere['TMPDIR']}" if _is_in(file, everywhere["TMPDIR"]) else str(file)
    named_places = [f"{key}={place}" for key, place in everywhere.items() if _is_full(Path(place))]
    return (named_places or [f"{key}={place}" for key, place in everywhere.items()])[0]


def _is_in(file: str | os.PathLike[str], folder: str | os.PathLike[str]) -> bool:
    """Tell whether a file is a folder, or in it at any depth."""
    return Path(os.path.realpath(file)).is_relative_to(os.path.realpath(folder))


def _is_full(place: Path) -> bool:
    existing = next((folder for folder in (place, *place.absolute().parents) if folder.is_dir()), None)
    return existing is not None and shutil.disk_usage(existing).free < _LITTLE


def _temporary_folder() -> str:
    try:
        return tempfile.gettempdir()
    except OSError:  # none can be written
        return os.environ.get("TMPDIR", "/tmp")


def _part_of(path: Path) -> Path:
    return path.with_name(f".{path.name[:_LONGEST]}.{uuid.uuid4().hex[:8]}.part")


def _flush(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two folders in one step, and return whether the system can."""
    if sys.platform != "linux":
        return False
    here, both = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    rename: Callable[..., int] | None = getattr(ctypes.CDLL(None), "renameat2", None)  # glibc 2.28
    return rename is not None and rename(here, os.fsencode(one), here, os.fsencode(other), both) == 0
