"""What came, in plain JSON beside the data: for people, and to check what comes later against."""

import json
from pathlib import Path
from typing import Any

from audiotok.errors import UserError

NAME = "download.json"


class Record:
    """The file `download.json` of a destination: `files` by name, and `folders` that were unpacked.

    Args:
        destination: Folder that it lies in.

    Raises:
        UserError: There is a file of this name that is not such a record.
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
                    f"{self.path} is no record of a download ({error!r}); move it away and start again."
                ) from error

    def checksum(self, name: str) -> str:
        """Return the checksum that a file had when it came, or "" where it never has."""
        return str(self.files.get(name, {}).get("checksum", ""))

    def add_file(self, name: str, url: str, size: int, checksum: str, published: bool) -> None:
        """Remember a file that has come and been checked."""
        self.files[name] = {
            "url": url,
            "bytes": size,
            "checksum": checksum,
            "checksum_from": "its publisher" if published else "the first download",
        }
        self._write()

    def add_folder(self, name: str, archives: list[str], n_files: int) -> None:
        """Remember a folder that has been unpacked."""
        self.folders[name] = {"from": archives, "files": n_files}
        self._write()

    def _write(self) -> None:
        temporary = self.path.with_name(f".{NAME}.part")
        content = {"files": self.files, "folders": self.folders}
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        temporary.replace(self.path)
