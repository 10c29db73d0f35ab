"""Lists of files in JSON, as AST and PSLA read them (github.com/YuanGongND/ast).

`{"data": [{"wav": "/somewhere/Y<id>.wav", "labels": "/m/09x0r,/t/dd00088"}, ...]}`, one JSON for each set:
`balanced_train_data.json`, `eval_data.json`. A path that is not absolute counts from the JSON's own folder
or, where nothing is there, from `data.audio_folder`.
"""

import json
from collections.abc import Iterator
from pathlib import PurePosixPath

from audiotok.data.clip import Location
from audiotok.data.files import Files, is_url
from audiotok.data.layout.containers import containers
from audiotok.data.layout.folders import Folders
from audiotok.data.layout.layout import Found
from audiotok.errors import UserError


class ASTJSON(Folders):
    """Files that are listed in JSON; they are read as those of folders."""

    name = "ast_json"

    @classmethod
    def looks_right(cls, files: Files, folder: str) -> bool:
        """Tell whether there is a JSON in any sub-folder."""
        return any(entry.path.lower().endswith(".json") for entry in files.walk(folder))

    def find(self, files: Files, folder: str, source_set: str) -> Iterator[Found]:
        """List what the JSONs of a set list.

        Raises:
            UserError: A JSON is broken or lists something else.
        """
        for entry in containers(files, folder, source_set, (".json",)):
            rows = _rows(entry.path, files.read(entry.path))
            base = _base([wav for wav, _ in rows], [entry.path.rpartition("/")[0], folder], files)
            for wav, labels in rows:
                path = wav if _is_absolute(wav) else f"{base}/{wav}"
                yield Found(PurePosixPath(wav).stem, Location(Folders.name, path), labels)


def _rows(path: str, text: bytes) -> list[tuple[str, tuple[str, ...]]]:
    try:
        rows = json.loads(text)["data"]
        return [(str(row["wav"]), tuple(label.strip() for label in row["labels"].split(","))) for row in rows]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(
            f'{path} is not {{"data": [{{"wav": path, "labels": "/m/..,/m/.."}}, ...]}} ({error!r}); mend it '
            "or move it out of data.audio_folder, or choose another data.layout."
        ) from error


def _base(paths: list[str], folders: list[str], files: Files) -> str:
    """Return the first folder in which one of the relative paths lies, else the first."""
    relative = (path for path in paths if not _is_absolute(path))
    there = (folder for path in relative for folder in folders if files.exists(f"{folder}/{path}"))
    return next(there, folders[0])


def _is_absolute(path: str) -> bool:
    return is_url(path) or PurePosixPath(path).is_absolute()
