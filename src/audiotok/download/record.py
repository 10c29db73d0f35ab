"""A record of the downloads in a folder, in plain JSON, against which later downloads are checked."""

import json
from pathlib import Path
from typing import Any

from audiotok.disk.writing import write_json
from audiotok.errors import UserError

NAME = "download.json"


class Record:
    """The file `download.json` in a destination: `files` by name, and unpacked `folders`.

    Args:
        destination: The folder of the file.

    Raises:
        UserError: The file exists but is not such a record.
    """

    def __init__(self, destination: Path) -> None:
        self.path = destination / NAME
        self.files: dict[str, dict[str, Any]] = {}
        self.folders: dict[str, dict[str, Any]] = {}
        if self.path.is_file():
            try:
                content = json.loads(self.path.read_text(encoding="utf-8"))
                self.files, self.folders = content["files"], content["folders"]
            except (ValueError, KeyError, TypeError) as error:
                raise UserError(
                    f"{self.path} is not a record of downloads ({error!r}); move it away and start again."
                ) from error

    def checksum(self, name: str) -> str:
        """Return the recorded checksum of a file, or "" if it was never downloaded."""
        return str(self.files.get(name, {}).get("checksum", ""))

    def add_file(self, name: str, url: str, size: int, checksum: str, published: bool) -> None:
        """Record a file that has been downloaded and verified."""
        self.files[name] = {
            "url": url,
            "bytes": size,
            "checksum": checksum,
            "checksum_from": "its publisher" if published else "the first download",
        }
        self._write()

    def add_folder(self, name: str, archives: list[str], n_files: int) -> None:
        """Record a folder that has been unpacked."""
        self.folders[name] = {"from": archives, "files": n_files}
        self._write()

    def _write(self) -> None:
        write_json(self.path, {"files": self.files, "folders": self.folders})
