"""The clips that selections list: those of a table, or of all tables in a folder of recordings."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from audiotok.data.layout.folders import is_audio
from audiotok.data.reading.delimited import Table
from audiotok.data.reading.files import Files
from audiotok.data.reading.listed import ListedClip, ListedClips
from audiotok.data.reading.selections import Kind, kind_of, read_selections, recording_of
from audiotok.errors import UserError

_EXTENSIONS = (".txt", ".csv", ".tsv")


def read_selected(path: str, labels_column: str, path_column: str) -> ListedClips | None:
    """Read the clips of a label file of Audacity, a selection table of Raven or results of BirdNET.

    A recording that the table names by a path on another machine is called by its name.

    Args:
        path: A file.
        labels_column: Column of annotations; "labels" for the usual names.
        path_column: Where a table has this column, it is not taken for one of these.

    Returns:
        The clips; None if the table is not one of these.

    Raises:
        UserError: The file cannot be read, or a row is broken.
    """
    kind = _kind_of(path, path_column)
    return kind and ListedClips(_clips_of(path, labels_column), {"times": f"a table of selections ({kind})"})


def read_folder(folder: Path, labels_column: str, path_column: str) -> ListedClips:
    """Read the clips of all tables of selections in a folder and its sub-folders.

    Args:
        folder: The folder.
        labels_column: As for `read_selected`.
        path_column: As for `read_selected`.

    Raises:
        UserError: The folder has no such table, or a row is broken.
    """
    tables = tables_in(folder, path_column)
    clips = [clip for path in tables for clip in _clips_of(path, labels_column)]
    kinds = ", ".join(f"{n} of {kind}" for kind, n in Counter(tables.values()).items())
    return ListedClips(clips, {"times": f"{len(tables)} tables of selections ({kinds})"})


def tables_in(folder: Path, path_column: str = "path") -> dict[str, Kind]:
    """Return the tables of selections in a folder and its sub-folders with their formats, by path."""
    kinds = {path: _kind_in_folder(path, path_column) for path in _names(folder, _EXTENSIONS)}
    return {path: kind for path, kind in kinds.items() if kind}


def is_described(folder: Path) -> bool:
    """Tell whether a folder has tables of selections about the recordings in it, and not a few by chance.

    It has if half of the sounds have a table beside them, or if all sounds are in the folder itself, so that
    no folder of a class is there.
    """
    tables = tables_in(folder)
    if not tables:
        return False
    beside = {(PurePosixPath(path).parent, recording_of(path)) for path in tables}
    sounds = [PurePosixPath(path) for path in _names(folder) if is_audio(path)]
    described = [path for path in sounds if {(path.parent, path.stem), (path.parent, path.name)} & beside]
    return 2 * len(described) >= len(sounds) or {path.parent for path in sounds} == {PurePosixPath(folder)}


def _names(folder: Path, endings: tuple[str, ...] = ("",)) -> Iterator[str]:
    """Give the paths of files that are not hidden."""
    for entry in Files().walk(str(folder), lambda name: not name.startswith(".")):
        name = entry.path.rpartition("/")[2]
        if name.lower().endswith(endings) and not name.startswith("."):
            yield entry.path


def _kind_of(path: str, path_column: str) -> Kind | None:
    kind = kind_of(path)
    return None if kind != "audacity" and not Table(path, [path_column], "").missing else kind


def _kind_in_folder(path: str, path_column: str) -> Kind | None:
    try:
        return _kind_of(path, path_column)
    except UserError:  # some other file
        return None


def _clips_of(path: str, labels_column: str) -> list[ListedClip]:
    rows = read_selections(path, None if labels_column == "labels" else labels_column).rows
    beside = recording_of(path)
    files = {row.file: (row.file or beside).rpartition("/")[2] for row in rows}
    return [ListedClip(path, row.line, files[row.file], row.start, row.end, row.label) for row in rows]
