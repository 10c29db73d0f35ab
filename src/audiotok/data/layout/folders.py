"""Audio files in folders: one folder for each set, with or without sub-folders, or no sets at all.

Examples: `<set>/<id[:2]>/<id>.flac`, `<set>/<id>.wav`, and PANNs' `unbalanced_train_segments/
unbalanced_train_segments_part00/Y<id>.wav`. How a name spells an id is the matter of `spelling`.
"""

from collections.abc import Iterator

from audiotok.data.audio import EXTENSIONS
from audiotok.data.clip import Location
from audiotok.data.layout.layout import Found, Layout, set_of
from audiotok.data.reading.files import Entry, Files


class Folders(Layout):
    """Audio files in folders."""

    name = "folders"

    @classmethod
    def looks_right(cls, files: Files, folder: str) -> bool:
        """Tell whether any sub-folder has an audio file."""
        return any(is_audio(entry.path) for entry in files.walk(folder))

    def entries(self, files: Files, folder: str, source_set: str) -> Iterator[Entry]:
        """List the audio files that are not in a folder of another set."""
        walk = files.walk(folder, enters=lambda name: set_of(name) in {source_set, None})
        return (entry for entry in walk if is_audio(entry.path))

    def find(self, files: Files, folder: str, source_set: str) -> Iterator[Found]:
        """List the clips of a set; each is a file."""
        for entry in self.entries(files, folder, source_set):
            location = Location(self.name, entry.path)
            yield Found(_parts(entry.path)[0], location, is_empty=not entry.size)

    def read(self, location: Location) -> bytes:
        """Return the bytes of a file."""
        return Files().read(location.path)


def is_audio(path: str) -> bool:
    """Tell by its extension whether a file is audio."""
    stem, extension = _parts(path)
    return bool(stem) and extension.lower() in EXTENSIONS


def _parts(path: str) -> tuple[str, str]:
    """Return the stem and the extension of a file, ten times as fast as pathlib."""
    stem, _, extension = path.rpartition("/")[2].rpartition(".")
    return stem, extension
