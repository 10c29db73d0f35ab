"""The nouns of a download: a file on a server, an archive of such files, and the release of a corpus."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Remote:
    """One file on a server.

    Args:
        name: Its name on the server and on disk.
        checksum: `sha256:...` or `md5:...` as published; "" if none is published, in which case later
            downloads are checked against the first one.
        size: Published size, bytes; 0 if unknown.
    """

    name: str
    checksum: str = ""
    size: int = 0


@dataclass(frozen=True, slots=True)
class Archive:
    """A zip archive, in one or several parts, that contains one folder.

    Args:
        parts: Its files, in order; the last one ends in `.zip`.
        folder: Name of the folder after unpacking.
        unpacked_size: Approximate size of the folder, bytes.
    """

    parts: tuple[Remote, ...]
    folder: str
    unpacked_size: int


@dataclass(frozen=True, slots=True)
class Release:
    """The published files of a corpus, or of its tables.

    Args:
        title: Name and licence, for people.
        base_url: URL of the files without their names; a mirror replaces it.
        archives: Archives to unpack.
        files: Files to keep unchanged.
        files_folder: Folder for those files, below the destination.
        root: `data.root`, below the destination.
        data: The option of the config group `data` that reads the corpus, and the overrides that it needs.
    """

    title: str
    base_url: str
    archives: tuple[Archive, ...] = ()
    files: tuple[Remote, ...] = ()
    files_folder: str = ""
    root: str = ""
    data: str = ""

    @property
    def size(self) -> int:
        """Size of the download as far as it is known, bytes."""
        return sum(file.size for file in (*self.files, *(p for a in self.archives for p in a.parts)))
