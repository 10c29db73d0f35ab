"""Files on this machine, through os, and at URLs (`s3://`, `hf://`, `memory://`), through fsspec."""

import hashlib
import io
import logging
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

from audiotok.data.reading.passwords import hide, reveal
from audiotok.disk.parsing import check_regular
from audiotok.errors import UnreachableError, UserError

log = logging.getLogger(__name__)


class Entry(NamedTuple):
    """A file: its path, its size in bytes, and its version.

    The version is the time of the last change, ns; if a server has none, its own name for the bytes, or 0.
    """

    path: str
    size: int
    version: int | str


def fingerprint(entries: Iterable[Entry | None]) -> str:
    """Return 16 hex digits that identify the paths, sizes and versions of files; None is a missing file."""
    digest = hashlib.sha256()
    for entry in entries:
        digest.update(repr(entry).encode())
    return digest.hexdigest()[:16]


def fingerprint_of_content(paths: Iterable[str]) -> str:
    """Return 16 hex digits that identify the contents of files; a missing file counts as empty."""
    digest = hashlib.sha256()
    for path in paths:
        content = Files().read(path) if Files().stat(path) else b""
        digest.update(b"%d:%b" % (len(content), content))
    return digest.hexdigest()[:16]


def join(folder: str, name: str) -> str:
    """Return the path of a name in a folder; an absolute path or a URL is returned unchanged."""
    name = os.path.expanduser(name)  # noqa: PTH111
    return name if is_url(name) or os.path.isabs(name) else f"{folder.rstrip('/')}/{name}"  # noqa: PTH117


def is_url(path: str) -> bool:
    """Tell whether a path is a URL, which fsspec opens."""
    return "://" in path


class Files:
    """The file system as layouts see it; they use nothing else.

    Raises:
        UserError: The package for the protocol of a URL is not installed.
        UnreachableError: The server of a URL does not answer, or refuses.
    """

    def walk(self, folder: str, enters: Callable[[str], bool] = lambda name: True) -> Iterator[Entry]:
        """List the files of a folder and its sub-folders, sorted by name; none if the folder is missing.

        Args:
            folder: Where to begin.
            enters: Tells by the name of a sub-folder whether to enter it.

        Files are regular files: no pipes, sockets or devices. A sub-folder that cannot be read is passed over
        with a warning.

        Raises:
            UserError: The folder cannot be read.
        """
        return _walk_url(folder, enters) if is_url(folder) else _walk(folder, enters)

    def read(self, path: str, start: int = 0, size: int | None = None) -> bytes:
        """Return the bytes of a file, or a range of them.

        Raises:
            OSError: The file cannot be read.
        """
        if is_url(path):
            end = None if size is None else start + size
            with _reaching(path) as (file_system, inner):  # by keyword: S3's second argument is a version
                content: bytes = file_system.cat_file(inner, start=start, end=end)
            return content
        with self.open(path) as file:
            file.seek(start)
            if size is None:
                return file.read()
            there = os.fstat(file.fileno()).st_size - start  # a container may promise more than memory holds
            return file.read(max(0, min(size, there)))

    def open(self, path: str) -> BinaryIO:
        """Open a file for reading; it can seek, and fetches only what is read.

        Raises:
            OSError: It cannot be opened, or is a pipe, a socket or a device, which might never end.
        """
        if is_url(path):
            return cast(BinaryIO, _Remote(path))
        try:
            check_regular(Path(path))
        except ValueError as error:  # also a path with a NUL character
            raise OSError(str(error)) from error
        return open(path, "rb")  # noqa: PTH123  # a Path object for each of 2 million files is slow

    def stat(self, path: str) -> Entry | None:
        """Return the size and version of a file, or None if there is no such file."""
        try:
            if is_url(path):
                with _reaching(path) as (file_system, inner):
                    info = file_system.info(inner)
                return _entry(path, info) if info["type"] == "file" else None
            found = os.stat(path)  # noqa: PTH116
        except (OSError, ValueError):  # no such file, or no such path: one with a NUL character
            return None
        return Entry(path, found.st_size, found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else None

    def exists(self, path: str) -> bool:
        """Tell whether a file or a folder exists."""
        if is_url(path):
            with _reaching(path) as (file_system, inner):
                return bool(file_system.exists(inner))
        try:
            return os.path.exists(path)  # noqa: PTH110
        except ValueError:  # a path with a NUL character, in Python 3.11
            return False


def _walk(folder: str, enters: Callable[[str], bool]) -> Iterator[Entry]:
    """List files depth first. Of the links to one folder, the first is followed, unless it leads back."""
    walked: set[tuple[int, int]] = set()
    pending = [iter(_scan(folder, walked, is_top=True))]
    while pending:
        entry = next(pending[-1], None)
        if entry is None:
            pending.pop()
            continue
        try:
            found = entry.stat()
        except OSError:  # a broken link
            continue
        if stat.S_ISDIR(found.st_mode):
            if enters(entry.name):
                pending.append(iter(_scan(entry.path, walked, is_link=entry.is_symlink())))
        elif stat.S_ISREG(found.st_mode):
            yield Entry(entry.path, found.st_size, found.st_mtime_ns)


def _scan(
    folder: str, walked: set[tuple[int, int]], is_top: bool = False, is_link: bool = False
) -> list["os.DirEntry[str]"]:
    """List a folder by name, and note that it was walked.

    A link to a folder that was walked gives nothing, and neither does a folder that cannot be read, except
    the first, nor a name that is not text.

    Raises:
        UserError: The first folder cannot be read.
    """
    try:
        found = os.stat(folder)  # noqa: PTH116
        here = (found.st_dev, found.st_ino)
        if is_link and here in walked:
            return []
        walked.add(here)
        with os.scandir(folder) as scan:
            entries = sorted(scan, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        if is_top:
            raise UserError(f"{folder} cannot be read ({error.strerror}); make it readable.") from error
        warn_once(f"{folder} is passed over, because it cannot be read ({error.strerror}).")
        return []
    named = [entry for entry in entries if is_text(entry.name)]
    if len(named) < len(entries):
        warn_once(
            f"{len(entries) - len(named):,} files or folders in {folder} are passed over, because their "
            "names are not UTF-8; rename them."
        )
    return named


def is_text(name: str) -> bool:
    """Tell whether a name can be written as UTF-8; the system may have given one that is not."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def as_text(name: str) -> str:
    """Return a name with a question mark for whatever cannot be written as UTF-8."""
    return name.encode("utf-8", "replace").decode()


@cache
def warn_once(message: str) -> None:
    """Log a warning once in a process, however often a folder is walked."""
    log.warning(message)


def _walk_url(folder: str, enters: Callable[[str], bool]) -> Iterator[Entry]:
    with _reaching(folder) as (file_system, inner):
        found = file_system.find(inner, detail=True)
    for path, info in sorted(found.items()):
        inside = path[len(inner.rstrip("/")) + 1 :]
        if all(enters(name) for name in inside.split("/")[:-1]):
            yield _entry(f"{folder.rstrip('/')}/{inside}", info)


@contextmanager
def _reaching(url: str) -> Iterator[tuple[Any, str]]:
    """Return fsspec's file system for a URL, and the path in it; report what cannot be reached.

    The clients of servers raise errors without a common base class.

    Raises:
        UserError: A required package is not installed.
        UnreachableError: The server does not answer, or refuses.
        FileNotFoundError: There is no such file.
    """
    import fsspec

    try:
        file_system, inner = fsspec.core.url_to_fs(reveal(url))
    except ImportError as error:
        package = "'audiotok[s3]'" if url.startswith("s3://") else "that"
        raise UserError(f"{url} cannot be opened: {error}; pip install {package}, or give a path.") from error
    except ValueError as error:
        raise UserError(f"{url} cannot be opened: {hide(str(error))}; give a path, or another URL.") from None
    try:
        yield file_system, inner
    except FileNotFoundError as error:
        raise FileNotFoundError(error.errno, hide(error.strerror or str(error)), url) from None
    except Exception as error:
        said = hide(" ".join(str(error).split()).rstrip(".")) or type(error).__name__
        raise UnreachableError(
            f"{url} cannot be reached ({said}); check the address, the credentials and the network."
        ) from error


class _Remote(io.RawIOBase):
    """A file at a URL; every read fetches the bytes that it returns."""

    def __init__(self, url: str) -> None:
        self._url = url
        with _reaching(url) as (file_system, inner):
            self._file = file_system.open(inner, "rb", cache_type="none")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        return int(self._file.tell())

    def readinto(self, buffer: Any) -> int:
        content = self._fetch(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def readall(self) -> bytes:
        return self._fetch(-1)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()

    def _fetch(self, size: int) -> bytes:
        with _reaching(self._url):
            return bytes(self._file.read(size))


def _entry(path: str, info: dict[str, Any]) -> Entry:
    changed = next((info[key] for key in ("mtime", "LastModified", "created") if info.get(key)), None)
    if changed is None:
        return Entry(path, int(info["size"]), info.get("blob_id", 0))  # the Hugging Face Hub's
    seconds = changed.timestamp() if hasattr(changed, "timestamp") else float(changed)
    return Entry(path, int(info["size"]), round(seconds * 1e9))
