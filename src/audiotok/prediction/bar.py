"""Files one after the other, with a progress bar: what `audiotok predict` and `audiotok tokens` do."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from tqdm import tqdm

from audiotok.data.audio import UnreadableError, read_header
from audiotok.data.reading.files import as_text
from audiotok.errors import UserError
from audiotok.prediction.inputs import Input

Made = TypeVar("Made")

_FORMAT = "{l_bar}{bar}| {n_fmt}/{total_fmt}, {remaining} left"


def each(
    inputs: Sequence[Input],
    read: Callable[[Input, Callable[[float], None]], Made],
    finish: Callable[[Input, Made], object],
    errors: Console,
) -> int:
    """Read files, and return how many could not be read; the others are not affected by them.

    Args:
        inputs: The files.
        read: Reads a file; it calls what it is given with the number of seconds that it has read.
        finish: Called with a file and what `read` returned for it.
        errors: Where problems are printed, in a sentence each.
    """
    n_failed = 0
    with Bar(inputs) as bar:
        for given in inputs:
            try:
                made = read(given, bar.watch(given.path))
            except UserError as error:
                n_failed += 1
                with tqdm.external_write_mode():
                    errors.print(as_text(str(error)), style="red")
            else:
                finish(given, made)
            bar.finish(given.path)
    return n_failed


class Bar:
    """Count the bytes of files, and say how much time is left; only on a terminal, and after a second.

    Args:
        inputs: The files.
    """

    def __init__(self, inputs: Sequence[Input]) -> None:
        self.sizes = {path: path.stat().st_size if path.exists() else 0 for path, _ in inputs}
        self.bar = tqdm(
            total=sum(self.sizes.values()),
            bar_format=_FORMAT,
            unit_scale=True,
            smoothing=0,
            leave=False,
            dynamic_ncols=True,
            delay=1.0,
            disable=None,
        )
        self.n_files = self.n_before = 0  # files, and bytes of them

    def __enter__(self) -> "Bar":
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def watch(self, path: Path) -> Callable[[float], None]:
        """Return what is called with the number of seconds that have been read of a file."""
        self.bar.set_description(f"{self.n_files} of {len(self.sizes)} files", refresh=False)
        size, seconds = self.sizes[path], float("nan")
        if not self.bar.disable:
            try:
                seconds = read_header(path, decode=False).seconds  # NaN if it does not tell
            except UnreadableError:
                return lambda _: None

        def move(n_seconds: float) -> None:
            if seconds > 0:
                self.bar.update(self.n_before + int(size * min(1.0, n_seconds / seconds)) - self.bar.n)

        return move

    def finish(self, path: Path) -> None:
        """Count a file as read."""
        self.n_files += 1
        self.n_before += self.sizes[path]
        self.bar.update(self.n_before - self.bar.n)
