"""The interface of a layout, and the choice of the layout of a folder.

A layout knows two things: which clips are in a folder, from names and tables alone, and how to read the bytes
of one of them. `data.layout` is the name of its module; `auto` chooses the first of `LAYOUTS` that fits.
"""

import importlib
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path, PurePosixPath
from typing import ClassVar, NamedTuple

from audiotok.data.audio import UnreadableError
from audiotok.data.clip import Location
from audiotok.data.reading.files import Entry, Files, as_text, is_url
from audiotok.errors import UserError

# Modules and their classes, in the order in which they are tried; JSON is last, as it may be anywhere.
LAYOUTS = {
    "folders": "Folders",
    "parquet": "Parquet",
    "tar": "Tar",
    "hdf5": "HDF5",
    "hdf5_mp3": "HDF5MP3",
    "ast_json": "ASTJSON",
}

# bal_train, balanced_train_segments, unbalanced_train_part00, eval07, evaluation: whole words only, because
# unbal contains bal, and medieval contains eval.
_SET = re.compile(r"(?<![a-z])(?:(unbal)(?:anced?)?|(bal)(?:anced?)?|(eval)(?:uation)?)(?![a-z])")
_SETS = ("unbal_train", "bal_train", "eval")


class Found(NamedTuple):
    """A clip that was found in a folder.

    Args:
        name: Its name there: the stem of a file, a `video_id`, an `audio_name`.
        location: Where its bytes are.
        labels: Ids of its labels, if the layout stores them, else None.
        is_empty: Whether it is known to have no bytes.
    """

    name: str
    location: Location
    labels: tuple[str, ...] | None = None
    is_empty: bool = False


def labels_of(listed: Iterable[str | None]) -> tuple[str, ...]:
    """Return the labels of a clip as its container lists them, without spaces around them or empty ones."""
    return tuple(as_text(label.strip()) for label in listed if label and label.strip())


class Layout(ABC):
    """A way of storing clips; it has no state except open containers."""

    name: ClassVar[str]
    out_of_order: ClassVar[str] = ""  # what must be read for a clip if clips are not read in order

    @classmethod
    @abstractmethod
    def looks_right(cls, files: Files, folder: str) -> bool:
        """Tell from names alone whether a folder has this layout."""

    def entries(self, files: Files, folder: str, source_set: str) -> Iterator[Entry]:
        """List the files that the result of `find` depends on."""
        return files.walk(folder)

    @abstractmethod
    def find(self, files: Files, folder: str, source_set: str) -> Iterator[Found]:
        """List the clips of a set in a folder, without opening any audio.

        Raises:
            UserError: A container is broken or has another schema.
        """

    @abstractmethod
    def read(self, location: Location) -> bytes:
        """Return the bytes of an audio file; containers stay open, so that repeated reading is cheap.

        Raises:
            OSError, UnreadableError: The bytes cannot be read.
        """


def set_of(path: str) -> str | None:
    """Return the set that a path names, by the last of its parts that names exactly one set; or None.

    `data/bal_train/00.parquet` and `unbalanced_train_part00.h5` name a set; `20k/train/00.tar` does not.
    """
    for part in reversed(PurePosixPath(path.lower()).parts):
        named = {_SETS[match.lastindex - 1] for match in _SET.finditer(part) if match.lastindex}
        if len(named) == 1:
            return named.pop()
    return None


@cache
def layout_named(name: str) -> Layout:
    """Return the layout with the name of a module.

    Raises:
        UserError: The name is unknown.
    """
    if name not in LAYOUTS:
        raise UserError(f"data.layout={name} is not known; choose auto or one of {', '.join(LAYOUTS)}.")
    module = importlib.import_module(f"audiotok.data.layout.{name}")
    layout = getattr(module, LAYOUTS[name])()
    assert isinstance(layout, Layout)
    return layout


def choose_layout(name: str, files: Files, folder: str) -> Layout:
    """Return the layout with a name or, for `auto`, the first one that fits; `folders` if none does.

    Raises:
        UserError: The name is unknown.
    """
    if name != "auto":
        return layout_named(name)
    candidates = (layout_named(candidate) for candidate in LAYOUTS)
    return next(
        (layout for layout in candidates if layout.looks_right(files, folder)), layout_named("folders")
    )


def sound_of(location: Location) -> Path | bytes:
    """Return what `read_mono` accepts: the path of a local file, of which a segment can be read, or bytes.

    Raises:
        UnreadableError: The bytes cannot be read.
    """
    if location.layout == "folders" and not is_url(location.path):
        return Path(location.path)
    try:
        return layout_named(location.layout).read(location)
    except OSError as error:
        raise UnreadableError(error.strerror or str(error)) from error
    except (UnreadableError, UserError):
        raise
    except Exception as error:  # a damaged container; its library raises what it likes
        raise UnreadableError(f"{type(error).__name__}: {' '.join(str(error).split())}") from error
