"""What layouts of many clips in one file share: whose clips a container holds, and keeping a few open."""

import os
from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from threading import Lock
from typing import ClassVar, Generic, TypeVar

from audiotok.data.layout.layout import Found, Layout, set_of
from audiotok.data.reading.files import Entry, Files

Container = TypeVar("Container")


class Containers(Layout):
    """Files that each hold many clips, of one set or, where a path names none, of any."""

    extensions: ClassVar[tuple[str, ...]]  # with the dot, in lower case

    @classmethod
    def looks_right(cls, files: Files, folder: str) -> bool:
        """Tell whether there is a file with one of the extensions in any sub-folder."""
        return any(entry.path.lower().endswith(cls.extensions) for entry in files.walk(folder))

    def entries(self, files: Files, folder: str, source_set: str) -> Iterator[Entry]:
        """List the files that `find` depends on."""
        return self.containers(files, folder, source_set)

    def containers(self, files: Files, folder: str, source_set: str) -> Iterator[Entry]:
        """List the files that may hold clips of a set: those that name it, or no set at all."""
        for entry in files.walk(folder):
            named = set_of(entry.path.removeprefix(folder))
            if entry.path.lower().endswith(self.extensions) and named in {source_set, None}:
                yield entry

    def find(self, files: Files, folder: str, source_set: str) -> Iterator[Found]:
        """List the clips in the files that may hold some of a set.

        Raises:
            UserError: As `find_in`.
        """
        for entry in self.containers(files, folder, source_set):
            yield from self.find_in(files, folder, entry.path)

    @abstractmethod
    def find_in(self, files: Files, folder: str, path: str) -> Iterable[Found]:
        """List the clips in a file of a folder.

        Raises:
            UserError: The file is broken, or holds something else.
        """


class Opened(Generic[Container]):
    """Containers that are kept open, so that the next clip of one costs no opening.

    Each process has its own: handles that a forked worker inherits share their position with its parent's.

    Args:
        open_container: Opens the container at a path.
        limit: How many are kept, those that were used last.
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
                    self._containers.popitem(last=False)  # closed when nobody reads it any more
                self._containers[path] = self._open_container(path)
            self._containers.move_to_end(path)
            return self._containers[path]

    def _begin(self) -> None:
        self._process = os.getpid()
        self._lock = Lock()  # the parent's may be held by a thread that a fork does not copy
        self._containers: OrderedDict[str, Container] = OrderedDict()
