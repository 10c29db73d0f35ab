"""The record of what is done, beside the file that a verb writes with `--to`: `NAME.progress`.

Each sound that is done is a line, written and flushed to the disk before the next sound begins, so that a
kill loses at most the sound in work. The first line has the run and the settings: the same command goes on
where it was stopped, also when sounds have been added, and another is refused. The file itself is
written anew from the record at the end, in one step. Every line has a checksum.
"""

import json
import os
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from audiotok.disk.parsing import check_regular, parse_json
from audiotok.disk.writing import naming
from audiotok.errors import UserError

_MOST_BYTES = 256 * 2**20  # of a line
_ANOTHER = "give another file, or --overwrite"


@dataclass
class Record:
    """The sounds that are done.

    Args:
        to: The file, or the folder, of results.
        settings: What the results depend on, by the options of the command.
        done: The paths, absolute, of the sounds that are done.
    """

    to: Path
    settings: Mapping[str, Any]
    done: set[str] = field(default_factory=set)

    @classmethod
    def open(cls, to: Path, settings: Mapping[str, Any], overwrite: bool = False) -> Self:
        """Open the record of a file, or begin one.

        Raises:
            UserError: It was begun with other settings, is damaged, or the file is not of this command.
            OSError: It cannot be written.
        """
        record = cls(to, settings)
        if overwrite:
            record.path.unlink(missing_ok=True)
        elif not record.path.exists():
            check_new(to)
        else:
            record._resume()
        if not record.path.exists():
            record._append({"settings": dict(settings)})
        return record

    @property
    def path(self) -> Path:
        """The file of the record."""
        return path_of(self.to)

    def add(self, file: Path, result: Mapping[str, Any]) -> None:
        """Record the result of a file, as JSON has it."""
        absolute = os.path.abspath(file)  # noqa: PTH100, which keeps links
        self._append({"path": absolute, **result})
        self.done.add(absolute)

    def is_done(self, file: Path) -> bool:
        """Tell whether a file is done."""
        return os.path.abspath(file) in self.done  # noqa: PTH100

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Read the results, in the order in which they were added, each with the `path` of its file."""
        for line in self._lines():
            if "path" in line:
                yield line

    def _resume(self) -> None:
        begun = next(self._lines(), None)
        if begun is None:  # killed while the first line was written
            self.path.unlink()
            return
        before = begun.get("settings")
        if not isinstance(before, dict):
            raise self._damaged("it does not begin with settings")
        check_settings(self.to, before, self.settings)
        self.done = {line["path"] for line in self._lines() if "path" in line}

    def _lines(self) -> Iterator[dict[str, Any]]:
        """Read the lines; what a kill has left of a last one is cut off.

        Raises:
            UserError: A line is damaged.
        """
        try:
            check_regular(self.path)
            with self.path.open("rb") as file:
                end = 0
                while line := file.readline(_MOST_BYTES):
                    if not line.endswith(b"\n"):
                        os.truncate(self.path, end)
                        return
                    end += len(line)
                    digits, _, content = line[:-1].partition(b" ")
                    if digits != _sum(content):
                        raise ValueError(f"the line at byte {end - len(line)} does not match its checksum")
                    parsed = parse_json(content)
                    if not isinstance(parsed, dict):
                        raise ValueError(f"the line at byte {end - len(line)} has no keys")
                    yield parsed
        except ValueError as error:
            if isinstance(error, UserError):
                raise
            raise self._damaged(str(error)) from error

    def _append(self, line: Mapping[str, Any]) -> None:
        content = json.dumps(line).encode()
        with naming(self.path), self.path.open("ab") as file:
            end = file.tell()
            try:
                file.write(_sum(content) + b" " + content + b"\n")
                file.flush()
                os.fsync(file.fileno())
            except BaseException:  # a full disk, or a signal: the line will be written again
                os.truncate(self.path, end)
                raise

    def _damaged(self, why: str) -> UserError:
        return UserError(f"{self.path} is damaged ({why}); {_ANOTHER}.")


def path_of(to: Path) -> Path:
    """Return the record of a file, or folder, of results."""
    return to.with_name(f"{to.name}.progress")


def check_new(to: Path) -> None:
    """Refuse to replace what no record tells of.

    Raises:
        UserError: There is such a file, or a folder that is not empty.
    """
    if path_of(to).exists():
        return
    if to.is_file() or (to.is_dir() and any(to.iterdir())):
        raise UserError(
            f"--to={to} exists, and {path_of(to).name}, which would tell how to go on, does not; {_ANOTHER}."
        )


def check_settings(to: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Compare the settings that a record was begun with.

    Raises:
        UserError: They differ.
    """
    for option in [key for key in now if before.get(key) != now[key]]:
        if option in ("run", "tokenizer"):
            raise UserError(f"--to={to} was begun with another {option}; {_ANOTHER}.")
        shown = [
            f"--{option}={value}" if value is not None else f"no --{option}"
            for value in (before.get(option), now[option])
        ]
        raise UserError(f"--to={to} was begun with {shown[0]}, and this command has {shown[1]}; {_ANOTHER}.")


def _sum(content: bytes) -> bytes:
    return b"%08x" % zlib.crc32(content)
