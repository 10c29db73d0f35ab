"""What a layout is, and which one a folder has.

A layout knows two things: which clips lie in a folder, by names and tables alone, and how to get the bytes of
one of them. `data.layout` names the module; `auto` takes the first of `LAYOUTS` that looks right.
"""

import importlib
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import cache
from pathlib import Path, PurePosixPath
from typing import ClassVar, NamedTuple

from audiotok.data.clip import Location
from audiotok.data.reading.audio import UnreadableError
from audiotok.data.reading.files import Entry, Files, is_url
from audiotok.errors import UserError

# Modules and their classes, in the order in which they are tried; JSON is last, as it may lie anywhere.
LAYOUTS = {
    "folders": "Folders",
    "parquet": "Parquet",
    "tar": "Tar",
    "hdf5": "HDF5",
    "hdf5_mp3": "HDF5MP3",
    "ast_json": "ASTJSON",
}

# bal_train, balanced_train_segments, unbalanced_train_part00, eval07, evaluation: a word of its own, as
# unbal has bal in it and medieval has eval.
_SET = re.compile(r"(?<![a-z])(?:(unbal)(?:anced?)?|(bal)(?:anced?)?|(eval)(?:uation)?)(?![a-z])")
_SETS = ("unbal_train", "bal_train", "eval")


class Found(NamedTuple):
    """A clip that lies in a folder.

    Args:
        name: What it is called there: the stem of a file, a `video_id`, an `audio_name`.
        location: Where its bytes are.
        labels: Ids of its labels where the layout carries them, else None.
    """

    name: str
    location: Location
    labels: tuple[str, ...] | None = None


class Layout(ABC):
    """One way in which clips lie on disks; stateless but for open containers."""

    name: ClassVar[str]
    out_of_order: ClassVar[str] = ""  # what is read for a clip that does not follow its neighbour

    @classmethod
    @abstractmethod
    def looks_right(cls, files: Files, folder: str) -> bool:
        """Tell by names alone whether a folder has this layout."""

    def entries(self, files: Files, folder: str, source_set: str) -> Iterator[Entry]:
        """List the files that `find` depends on: where these have not changed, neither has what is found."""
        return files.walk(folder)

    @abstractmethod
    def find(self, files: Files, folder: str, source_set: str) -> Iterator[Found]:
        """List the clips of a set that lie in a folder; opens no audio.

        Raises:
            UserError: A container is broken or of another schema.
        """

    @abstractmethod
    def read(self, location: Location) -> bytes:
        """Return the bytes of an audio file; cheap when repeated, also in forked processes.

        Raises:
            OSError, UnreadableError: They cannot be read.
        """


def set_of(path: str) -> str | None:
    """Return the set that the last part of a path names of those that name exactly one; None where none does.

    `data/bal_train/00.parquet` and `unbalanced_train_part00.h5` name one, `20k/train/00.tar` does not.
    """
    for part in reversed(PurePosixPath(path.lower()).parts):
        named = {_SETS[match.lastindex - 1] for match in _SET.finditer(part) if match.lastindex}
        if len(named) == 1:
            return named.pop()
    return None


@cache
def layout_named(name: str) -> Layout:
    """Return a layout by the name of its module.

    Raises:
        UserError: There is none of this name.
    """
    if name not in LAYOUTS:
        raise UserError(f"data.layout={name} is not known; choose auto or one of {', '.join(LAYOUTS)}.")
    module = importlib.import_module(f"audiotok.data.layout.{name}")
    layout = getattr(module, LAYOUTS[name])()
    assert isinstance(layout, Layout)
    return layout


def choose_layout(name: str, files: Files, folder: str) -> Layout:
    """Return the layout of a name or, for `auto`, the first that looks right, `folders` where none does.

    Raises:
        UserError: There is none of this name.
    """
    if name != "auto":
        return layout_named(name)
    candidates = (layout_named(candidate) for candidate in LAYOUTS)
    return next(
        (layout for layout in candidates if layout.looks_right(files, folder)), layout_named("folders")
    )


def sound_of(location: Location) -> Path | bytes:
    """Return what `read_mono` reads: a local file as it is, so that a stretch of it can be read, or bytes.

    Raises:
        UnreadableError: The bytes cannot be read.
    """
    if location.layout == "folders" and not is_url(location.path):
        return Path(location.path)
    try:
        return layout_named(location.layout).read(location)
    except OSError as error:
        raise UnreadableError(error.strerror or str(error)) from error
