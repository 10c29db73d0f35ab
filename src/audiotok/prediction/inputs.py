"""The files that a user gives, one by one or in folders."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from audiotok.data.audio import EXTENSIONS
from audiotok.errors import UserError


class Input(NamedTuple):
    """A file to be tagged.

    Args:
        path: The file.
        name: Its path below the folder that was given, with that folder's name if there are several; of a
            file that was given itself, its name.
    """

    path: Path
    name: Path


def find_inputs(given: Sequence[Path]) -> tuple[list[Input], list[str]]:
    """Find files, and those in folders, at any depth; in folders, hidden ones and other files are left out.

    Args:
        given: Files and folders.

    Returns:
        The files, each once, in the order given and by name in folders; and the folders that cannot be read,
        each in a sentence.

    Raises:
        UserError: One of them does not exist, or there is no file.
    """
    problems: list[str] = []
    found: dict[str, Input] = {}
    for path in given:
        if not path.exists():
            raise UserError(f"{path} does not exist; give an audio file, or a folder of them.")
        for file in _files(path, problems) if path.is_dir() else [path]:
            folder = path if len(given) == 1 else path.absolute().parent
            name = file.absolute().relative_to(folder.absolute()) if path.is_dir() else Path(path.name)
            found.setdefault(os.path.realpath(file), Input(file, name))
    if not found:
        listed = ", ".join(map(str, given))
        raise UserError(f"{listed} contains no audio files; give {', '.join(EXTENSIONS)}.")
    return list(found.values()), problems


def check_names(option: str, inputs: Sequence[Input]) -> None:
    """Refuse files of one name where each has a file of its own in a folder.

    Raises:
        UserError: Two have.
    """
    named: dict[Path, Path] = {}
    for path, name in inputs:
        if name in named:
            raise UserError(
                f"{option} would have two files for {name}, of {named[name]} and of {path}; give the folder "
                "that both are in."
            )
        named[name] = path


def _files(folder: Path, problems: list[str]) -> Iterator[Path]:
    def note(error: OSError) -> None:
        problems.append(f"{error.filename} cannot be read ({error.strerror}); its files are left out.")

    for place, folders, names in os.walk(folder, onerror=note):
        folders[:] = sorted(name for name in folders if not _is_hidden(name))
        for name in sorted(names):
            if not _is_hidden(name) and name.lower().rpartition(".")[2] in EXTENSIONS:
                yield Path(place, name)


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"
