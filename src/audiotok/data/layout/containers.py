"""The common part of layouts with many clips in a file: finding containers and keeping a few open."""

import os
from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from textwrap import shorten
from threading import Lock
from typing import ClassVar, Generic, TypeVar

from audiotok.data.layout.layout import Found, Layout, set_of
from audiotok.data.reading.files import Entry, Files
from audiotok.errors import UserError

Container = TypeVar("Container")


class Containers(Layout):
    """Files that contain many clips: of one set or, if the path names no set, of any."""

    extensions: ClassVar[tuple[str, ...]]  # with the dot, in lower case

    @classmethod
    def looks_right(cls, files: Files, folder: str) -> bool:
        """Tell whether any sub-folder has a file with one of the extensions."""
        return any(entry.path.lower().endswith(cls.extensions) for entry in files.walk(folder))

    def entries(self, files: Files, folder: str, source_set: str) -> Iterator[Entry]:
        """List the files that `find` depends on."""
        return self.containers(files, folder, source_set)

    def containers(self, files: Files, folder: str, source_set: str) -> Iterator[Entry]:
        """List the files that may contain clips of a set: those whose path names it, or names no set."""
        for entry in files.walk(folder):
            named = set_of(entry.path.removeprefix(folder))
            if entry.path.lower().endswith(self.extensions) and named in {source_set, None}:
                yield entry

    def find(self, files: Files, folder: str, source_set: str) -> Iterator[Found]:
        """List the clips in the files that may contain clips of a set.

        Raises:
            UserError: As `find_in`.
        """
        for entry in self.containers(files, folder, source_set):
            try:
                yield from self.find_in(files, folder, entry.path)
            except UserError:
                raise
            except Exception as error:  # libraries raise anything for a damaged file
                reason = shorten(str(error), 200, placeholder="...") or type(error).__name__
                raise UserError(
                    f"{entry.path} cannot be read as data.layout={self.name} ({reason}); download "
                    "or pack it again, or move it out of data.audio_folder."
                ) from error

    @abstractmethod
    def find_in(self, files: Files, folder: str, path: str) -> Iterable[Found]:
        """List the clips in one file.

        Raises:
            UserError: The file is broken, or contains something else.
        """


class Opened(Generic[Container]):
    """Containers that are kept open, so that only the first clip of each costs an opening.

    Each process opens its own, because a forked worker would share file positions with its parent.

    Args:
        open_container: Opens the container at a path.
        limit: Number of containers to keep, the most recently used ones.
    """

    def __init__(self, open_container: Callable[[str], Container], limit: int) -> None:
        self._open_container = open_container
        self._limit = limit
        self._begin()

    def __call__(self, path: str) -> Container:
        """Return the container at a path."""
        if self._process != os.getpid():
            self._begin()
        with self._lock:
            if path not in self._containers:
                while len(self._containers) >= self._limit:
                    self._containers.popitem(last=False)  # it is closed when the last reader drops it
                self._containers[path] = self._open_container(path)
            self._containers.move_to_end(path)
            return self._containers[path]

    def _begin(self) -> None:
        self._process = os.getpid()
        self._lock = Lock()  # the parent's lock may be held by a thread that does not exist after a fork
        self._containers: OrderedDict[str, Container] = OrderedDict()
