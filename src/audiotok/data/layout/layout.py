"""What a layout is, and which one a folder has.

A layout knows two things: which clips lie in a folder, by names and tables alone, and how to get the bytes of
one of them. `data.layout` names the module; `auto` takes the first of `LAYOUTS` that looks right.
"""

import importlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import ClassVar, NamedTuple

from audiotok.data.audio import UnreadableError
from audiotok.data.clip import Location
from audiotok.data.files import Entry, Files, is_url
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

# What the folder, the shards or the file of a set is called: by AudioSet's users, and by PANNs.
SET_NAMES = {
    "bal_train": ("bal_train", "balanced_train_segments", "balanced_train"),
    "unbal_train": ("unbal_train", "unbalanced_train_segments", "unbalanced_train"),
    "eval": ("eval", "eval_segments", "evaluation"),
}


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

    @classmethod
    @abstractmethod
    def looks_right(cls, files: Files, folder: str) -> bool:
        """Tell by names alone whether a folder has this layout."""

    def entries(self, files: Files, folder: str, source_set: str) -> Iterator[Entry]:
        """List the files that `find` depends on: where these have not changed, neither has what is found."""
        return files.walk(folder)

    @abstractmethod
    def find(self, files: Files, folder: str, source_set: str) -> Iterator[Found]:
        """List the clips of a set (a key of `SET_NAMES`) that lie in a folder; opens no audio.

        Raises:
            UserError: A container is broken or of another schema.
        """

    @abstractmethod
    def read(self, location: Location) -> bytes:
        """Return the bytes of an audio file; cheap when repeated, also in forked processes.

        Raises:
            OSError, UnreadableError: They cannot be read.
        """


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
