"""Lists of files in JSON, as read by AST and PSLA (github.com/YuanGongND/ast).

`{"data": [{"wav": "/somewhere/Y<id>.wav", "labels": "/m/09x0r,/t/dd00088"}, ...]}`, one JSON for each set:
`balanced_train_data.json`, `eval_data.json`. A relative path is relative to the JSON's own folder or, if
nothing is found there, to `data.audio_folder`. A URL counts only below `data.audio_folder`, so that a list of
somebody else's cannot make this machine request addresses.
"""

from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from audiotok.data.clip import Location
from audiotok.data.layout.containers import Containers
from audiotok.data.layout.layout import Found, labels_of
from audiotok.data.reading.files import Entry, Files, as_text, is_url
from audiotok.data.reading.passwords import conceal
from audiotok.disk.parsing import parse_json
from audiotok.errors import UserError


class ASTJSON(Containers):
    """Files that are listed in JSON."""

    name = "ast_json"
    extensions = (".json",)

    def entries(self, files: Files, folder: str, source_set: str) -> Iterator[Entry]:
        """List the JSON files of a set, and the files that they list."""
        for entry in self.containers(files, folder, source_set):
            yield entry
            for found in self.find_in(files, folder, entry.path):
                path = found.location.path
                yield files.stat(path) or Entry(path, 0, 0)

    def find_in(self, files: Files, folder: str, path: str) -> Iterable[Found]:
        """List the clips of a JSON file.

        Raises:
            UserError: The JSON is broken, contains something else, or lists a URL elsewhere.
        """
        rows = _rows(path, files.read(path))
        for wav, _ in rows:
            if leaves(wav, folder):
                raise UserError(
                    f"{path} lists {conceal(wav)}, "
                    f"which is not below data.audio_folder={folder}; "
                    "list paths, or URLs below that folder."
                )
        base = _base([wav for wav, _ in rows], [path.rpartition("/")[0], folder], files)
        for wav, labels in rows:
            place = wav if _is_absolute(wav) else f"{base}/{wav}"
            yield Found(PurePosixPath(wav).stem, Location("folders", place), labels)

    def read(self, location: Location) -> bytes:
        """Return the bytes of a file."""
        return Files().read(location.path)


def leaves(wav: str, folder: str) -> bool:
    """Tell whether a listed place is a URL outside a folder."""
    if is_url(wav):
        inside = wav.removeprefix(f"{folder.rstrip('/')}/")
        return inside == wav or not is_url(folder) or "::" in inside or ".." in inside.split("/")
    return is_url(folder) and ".." in PurePosixPath(wav).parts


def _rows(path: str, text: bytes) -> list[tuple[str, tuple[str, ...]]]:
    try:
        return [_row(row) for row in parse_json(text)["data"]]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(
            f'{path} is not {{"data": [{{"wav": path, "labels": "/m/..,/m/.."}}, ...]}} ({error!r}); '
            "fix it, move it out of data.audio_folder, or choose another data.layout."
        ) from error


def _row(row: dict[str, str]) -> tuple[str, tuple[str, ...]]:
    wav = row["wav"]
    if not isinstance(wav, str) or not PurePosixPath(wav).name:
        raise ValueError(f"{wav!r} is not a path")
    return as_text(wav), labels_of(row["labels"].split(","))


def _base(paths: list[str], folders: list[str], files: Files) -> str:
    """Return the first folder that contains one of the relative paths, else the first folder."""
    relative = (path for path in paths if not _is_absolute(path))
    there = (folder for path in relative for folder in folders if files.exists(f"{folder}/{path}"))
    return next(there, folders[0])


def _is_absolute(path: str) -> bool:
    return is_url(path) or PurePosixPath(path).is_absolute()
