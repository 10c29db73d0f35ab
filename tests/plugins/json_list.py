"""A data source: clips that a JSON file lists, `[{"file": ..., "classes": [...], "split": ...}, ...]`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audiotok.data.clip import Clip, Listing, Location, SoundClass
from audiotok.data.reading.files import Files, fingerprint, fingerprint_of_content
from audiotok.data.source import Source
from audiotok.disk.parsing import parse_json
from audiotok.errors import UserError


@dataclass(frozen=True, kw_only=True)
class JSONList(Source):
    """Clips that a JSON file lists, with paths relative to its folder.

    Args:
        root: The file.

    The other arguments are those of `Source`.
    """

    root: str | None = None

    def fingerprint_of_tables(self) -> str:
        """Return a name for the bytes of the list."""
        return fingerprint_of_content([str(self._path())])

    def fingerprint_of_audio(self) -> str:
        """Return a name for the files, made of their names, sizes and times."""
        return fingerprint(Files().stat(self._place(entry)) for entry in self._entries())

    def read(self) -> Listing:
        """Read the list.

        Raises:
            UserError: There is no such file.
        """
        entries = self._entries()
        names = sorted({name for entry in entries for name in entry["classes"]})
        clips = (
            Clip(
                entry["file"],
                Location("folders", self._place(entry)),
                tuple(names.index(name) for name in entry["classes"]),
                entry["split"],
            )
            for entry in entries
        )
        return Listing(tuple(SoundClass(name, name) for name in names), tuple(clips))

    def _entries(self) -> list[Any]:
        return list(parse_json(self._path().read_bytes()))

    def _place(self, entry: Any) -> str:
        return str(self._path().parent / entry["file"])

    def _path(self) -> Path:
        if not self.root or not Path(self.root).is_file():
            raise UserError(f"data.root={self.root} is not a file; give a list in JSON.")
        return Path(self.root)
