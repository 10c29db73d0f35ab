"""The nouns of a download: a file on a server, an archive made of such files, and a corpus made of both."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Remote:
    """One file on a server.

    Args:
        name: Its name on the server, and on the disk.
        checksum: `sha256:...` or `md5:...` as published; "" where nobody publishes one, and then what came
            at first is what is expected ever after.
        size: Bytes, as published; 0 where it is not known in advance.
    """

    name: str
    checksum: str = ""
    size: int = 0


@dataclass(frozen=True, slots=True)
class Archive:
    """A zip archive, whole or in parts, that holds one folder.

    Args:
        parts: Its files in order; the last one ends in `.zip`.
        folder: What its folder is called once it is unpacked.
        unpacked_size: Bytes of its folder, about.
    """

    parts: tuple[Remote, ...]
    folder: str
    unpacked_size: int


@dataclass(frozen=True, slots=True)
class Source:
    """A corpus, or the tables of one.

    Args:
        title: Its name for people, and its licence.
        base_url: Where its files are; a mirror takes this place.
        archives: What is unpacked.
        files: What is kept as it came.
        files_folder: Where such files go, below the destination.
        root: `data.root`, below the destination.
        data: The option of the config group `data` that reads it, and the overrides that it needs.
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
        """Bytes to fetch, as far as they are known."""
        return sum(file.size for file in (*self.files, *(p for a in self.archives for p in a.parts)))
