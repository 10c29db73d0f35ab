"""What layouts of many clips in one file share: whose clips a container holds, and keeping a few open."""

import os
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from threading import Lock
from typing import Generic, TypeVar

from audiotok.data.files import Entry, Files

Container = TypeVar("Container")

# bal_train, balanced_train_segments, unbalanced_train_part00, eval07, evaluation: a word of its own, as
# unbal has bal in it and medieval has eval.
_SET = re.compile(r"(?<![a-z])(?:(unbal)(?:anced?)?|(bal)(?:anced?)?|(eval)(?:uation)?)(?![a-z])")
_SETS = ("unbal_train", "bal_train", "eval")


def set_of(path: str) -> str | None:
    """Return the set that the last part of a path names of those that name exactly one; None where none does.

    `data/bal_train/00.parquet` and `unbalanced_train_part00.h5` name one, `20k/train/00.tar` does not.
    """
    for part in reversed(PurePosixPath(path.lower()).parts):
        named = {_SETS[match.lastindex - 1] for match in _SET.finditer(part) if match.lastindex}
        if len(named) == 1:
            return named.pop()
    return None


def containers(files: Files, folder: str, source_set: str, extensions: tuple[str, ...]) -> Iterator[Entry]:
    """List the files of a folder that may hold clips of a set: those that name it, or no set at all.

    Args:
        files: Where the folder is.
        folder: What is walked through; its own name does not count.
        source_set: `bal_train`, `unbal_train` or `eval`.
        extensions: With the dot, in lower case.
    """
    for entry in files.walk(folder):
        named = set_of(entry.path.removeprefix(folder))
        if entry.path.lower().endswith(extensions) and named in {source_set, None}:
            yield entry


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
