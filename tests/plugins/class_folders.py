"""A data source: one folder of sounds for each class, of which a fraction is for testing."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from audiotok.data.clip import Clip, Listing, Location, SoundClass, Split
from audiotok.data.layout.folders import is_audio
from audiotok.data.reading.files import Entry, Files, fingerprint
from audiotok.data.source import Source
from audiotok.data.validation import Validation
from audiotok.errors import UserError


@dataclass(frozen=True, kw_only=True)
class ClassFolders(Source):
    """Sounds in folders that are named after their classes, `<root>/<class>/<name>.wav`.

    Args:
        root: The folder of the folders.
        test_fraction: Fraction of the clips for testing, 0 to 1.

    The other arguments are those of `Source`.
    """

    root: str | None = None
    test_fraction: float = 0.3

    def fingerprint_of_tables(self) -> str:
        """Return "": no table lists the clips."""
        return ""

    def fingerprint_of_audio(self) -> str:
        """Return a name for the files, made of their names, sizes and times."""
        return fingerprint(self._files())

    def read(self) -> Listing:
        """List the files; their folders are their classes.

        Raises:
            UserError: There is no such folder.
        """
        paths = [Path(entry.path) for entry in self._files()]
        names = sorted({path.parent.name for path in paths})
        clips = []
        for path in paths:
            name, id_ = path.parent.name, f"{path.parent.name}/{path.name}"
            location = Location("folders", str(path))
            clips.append(Clip(id_, location, (names.index(name),), self._split(id_)))
        return Listing(tuple(SoundClass(name, name) for name in names), tuple(clips))

    def _split(self, id_: str) -> Split:
        if Validation(fraction=self.test_fraction, seed=1).takes(id_):
            return "test"
        return "val" if self.validation.takes(id_) else "train"

    def _files(self) -> Iterator[Entry]:
        if not self.root or not Files().exists(self.root):
            raise UserError(f"data.root={self.root} is not a folder; give one with a folder for each class.")
        return (entry for entry in Files().walk(self.root) if is_audio(entry.path))
