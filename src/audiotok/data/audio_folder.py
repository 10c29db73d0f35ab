"""Where the files are that a table lists: relative to which folder, and under which spelling."""

import unicodedata
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path, PureWindowsPath

from audiotok.data.audio import EXTENSIONS
from audiotok.data.layout.folders import is_audio
from audiotok.data.reading.files import Files

_NAMES = ("audio", "clips", "sounds", "recordings", "wav", "wavs")
_FOLDERS = (".", *_NAMES, "..", *(f"../{name}" for name in _NAMES))
_LOOKED_FOR = 50  # files by which the folder is found


class AudioFolder:
    """The folder that paths in a table are relative to.

    Args:
        table: The table.
        name: The folder, absolute or relative to that of the table; None for the first that has one of the
            files: that of the table, or `audio/` and the like in it or beside it.
        paths: Paths that the table lists.
    """

    def __init__(self, table: Path, name: str | None, paths: Iterable[str]) -> None:
        beside = table.parent
        if name is not None:
            self.folder = beside / Path(name).expanduser()
            return
        some = list(islice(paths, _LOOKED_FOR))
        folders = (beside / folder for folder in _FOLDERS)
        self.folder = next(
            (folder for folder in folders if any(_existing(folder, path) for path in some)), beside
        )

    def locate(self, path: str) -> str:
        """Return the path of a listed file: as it is listed, or as a file is called that exists.

        Backslashes may stand for slashes, letters with accents may be composed or not, and the extension may
        be left out.
        """
        return _existing(self.folder, path) or str(self.folder / Path(path).expanduser())


def _existing(folder: Path, path: str) -> str | None:
    return next((place for form in _forms(path) if Files().stat(place := str(folder / form))), None)


def _forms(path: str) -> Iterator[Path]:
    """Give the paths that a listed one may mean, the likeliest first."""
    spelled = [path, *([PureWindowsPath(path).as_posix()] if "\\" in path else [])]
    if not path.isascii():
        spelled += [unicodedata.normalize(form, text) for text in spelled for form in ("NFC", "NFD")]
    if not is_audio(path):
        spelled += [
            f"{t}.{e}" for t in spelled for extension in EXTENSIONS for e in (extension, extension.upper())
        ]
    return (Path(text).expanduser() for text in dict.fromkeys(spelled))
