"""Which data option reads a folder or a file, found by what is in it."""

from pathlib import Path

from audiotok.data.audio import EXTENSIONS
from audiotok.data.esc50 import TABLES as TABLES_OF_ESC50
from audiotok.data.fsd50k import TABLES as TABLES_OF_FSD50K
from audiotok.data.layout.segments import SEGMENTS
from audiotok.data.reading.files import is_url
from audiotok.data.reading.selected import is_described
from audiotok.disk.checksum import CHECKSUMS
from audiotok.errors import UserError

_HEADER = 1000  # bytes in which the columns of ESC-50 stand


def option_of(path: str) -> str:
    """Return the option of the config group `data` that reads a folder, a URL or a table.

    Raises:
        UserError: There is no such file or folder, or it is of another kind.
    """
    if is_url(path):
        return "folder"
    place = Path(path).expanduser()
    if place.is_file():
        if place.suffix[1:].casefold() in EXTENSIONS:
            raise UserError(f"{path} is one sound; give a folder of sounds, or a table of clips.")
        return "csv"
    if not place.is_dir():
        raise UserError(f"{path} is neither key=value nor a folder or table that exists; check its spelling.")
    if (place / "metadata").is_dir() and any(
        (place / "metadata" / name).is_file() for name in SEGMENTS.values()
    ):
        return "audioset"
    if (place / TABLES_OF_FSD50K).is_dir():
        return "fsd50k"
    if any(_is_of_esc50(place / name) for name in TABLES_OF_ESC50):
        return "esc50"
    if (place / CHECKSUMS).is_file():
        raise UserError(
            f"{path} is the folder of a run, which audiotok repeat or predict reads; give one of sounds."
        )
    return "csv" if is_described(place) else "folder"


def _is_of_esc50(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return b"esc10" in file.readline(_HEADER)
