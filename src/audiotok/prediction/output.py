"""Where detections are written: one file, or a folder with a file for each sound."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from audiotok.errors import UserError
from audiotok.prediction.formats import FORMATS, Format, Tagged, ending, format_of, known_endings, write
from audiotok.prediction.inputs import Input, check_names


@dataclass(frozen=True)
class Output:
    """A file of detections, or a folder of such files.

    Args:
        to: The file or the folder.
        kind: The format.
        is_folder: Whether each sound has a file of its own.
    """

    to: Path
    kind: Format
    is_folder: bool

    @classmethod
    def of(cls, to: Path, kind: str | None, inputs: Sequence[Input]) -> "Output":
        """Return where the detections of some files are written, by the options of the user.

        Args:
            to: A path with an ending that tells the format, or a folder.
            kind: The format; None for that of the ending.
            inputs: The files.

        Raises:
            UserError: The format is unknown, or holds one sound only.
        """
        known = next((name for name in FORMATS if name == kind), format_of(to) if kind is None else None)
        if known is None:
            what = f"--to={to} has no ending that is known" if kind is None else f"--format={kind} is unknown"
            raise UserError(f"{what}; choose {known_endings()}, or name the format with --format.")
        is_folder = to.is_dir() or (format_of(to) is None and not to.suffix)
        if known == "audacity" and not is_folder and len(inputs) > 1:
            raise UserError(
                f"--to={to} is a label file of Audacity, which is about one sound, and there are "
                f"{len(inputs)}; give a folder and --format audacity, or another format."
            )
        if not is_folder and not to.absolute().parent.is_dir():
            raise UserError(f"--to={to} is in a folder that does not exist; make it, or give another file.")
        if is_folder:
            check_names(f"--to={to}", inputs)
        return cls(to, known, is_folder)

    def write(self, sounds: Iterable[Tagged], high_hz: float) -> None:
        """Write the detections of all sounds that are done.

        Raises:
            OSError: A file cannot be written.
        """
        if not self.is_folder:
            write(self.to, self.kind, sounds, high_hz)
            return
        for sound in sounds:
            path = self.to / f"{sound.name}{ending(self.kind)}"
            path.parent.mkdir(parents=True, exist_ok=True)
            write(path, self.kind, [sound], high_hz)
