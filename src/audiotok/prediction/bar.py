"""The progress bar of `audiotok predict`."""

from collections.abc import Callable, Sequence
from pathlib import Path

from tqdm import tqdm

from audiotok.data.audio import UnreadableError, read_header
from audiotok.prediction.inputs import Input

_FORMAT = "{l_bar}{bar}| {n_fmt}/{total_fmt}, {remaining} left"


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
