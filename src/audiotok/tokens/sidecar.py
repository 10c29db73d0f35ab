"""`vocabulary.json`: what the folder of a tokenizer says of itself, found and read without torch."""

from pathlib import Path
from typing import Any

from audiotok.disk.parsing import read_json
from audiotok.errors import UserError
from audiotok.kinds import CENTROIDS
from audiotok.store import StaleError

SIDECAR = CENTROIDS.sidecar
FORMAT = 1
_OF_A_RUN = Path(SIDECAR).stem  # folder of a tokenizer in that of a run


def folder_of(path: Path) -> Path:
    """Return the folder of a tokenizer: the path itself, or `vocabulary/` in it if it is that of a run.

    Raises:
        UserError: It is neither.
    """
    for folder in (path, path / _OF_A_RUN):
        if (folder / SIDECAR).is_file():
            return folder
    what = "has no " + SIDECAR if path.is_dir() else "is not a folder"
    raise UserError(f"{path} {what}; give the folder of a tokenizer, or of a run.")


def read_about(folder: Path) -> dict[str, Any]:
    """Read what a folder says of itself.

    Raises:
        StaleError: It is damaged, or a later version has written it.
    """
    try:
        about = read_json(folder / SIDECAR)
        written = about.get("format", 0)
    except (OSError, ValueError, AttributeError) as error:
        raise StaleError(f"the centroids cannot be read ({error!r})") from error
    if not isinstance(written, int) or not 0 <= written <= FORMAT:
        raise StaleError(f"{SIDECAR} has format {written}, of a later version; this one reads {FORMAT}")
    assert isinstance(about, dict)
    return about
