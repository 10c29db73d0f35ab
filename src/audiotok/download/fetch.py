"""Download one file, verified by pooch; interrupted transfers are resumed.

Pooch verifies checksums and gives a file its name only when it is complete, but starts again after every
interruption. The bytes received so far are therefore kept in a `.part` file, and only the rest is requested
(HTTP Range, RFC 9110, section 14). Because of `If-Range`, a server whose file has changed sends all of it; so
does a server that does not support ranges.
"""

import logging
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from audiotok.download.record import NAME, Record
from audiotok.download.release import Remote
from audiotok.errors import UserError

if TYPE_CHECKING:
    import requests

log = logging.getLogger(__name__)
# s between attempts that receive nothing; any progress starts them anew
_WAITS = (1.0, 2.0, 4.0, 8.0)
_TIMEOUT = (10.0, 60.0)  # s to connect, and between blocks
_BLOCK = 1 << 16  # bytes; what an interruption loses at most
_TRY_LATER = {408, 429, 500, 502, 503, 504}


class _InterruptedError(Exception):
    """A transfer was interrupted, perhaps temporarily; the message says how."""


def fetch(remote: Remote, base_url: str, folder: Path, record: Record, parts: Path) -> Path:
    """Download a file, unless it exists already with the right checksum.

    Args:
        remote: The file.
        base_url: Its URL without its name.
        folder: Where to put it.
        record: Knows earlier downloads, and remembers this one.
        parts: Folder for incomplete files.

    Returns:
        The path of the file.

    Raises:
        UserError: pooch is not installed, or the server refuses, keeps interrupting the transfer, or sends
            bytes other than the published ones or those of the first download.
    """
    try:
        import pooch
    except ImportError as error:
        raise UserError("audiotok download needs pooch; pip install 'audiotok[download]'.") from error
    pooch.get_logger().setLevel("WARNING")  # the progress bar says more than its log
    url = f"{base_url.rstrip('/')}/{remote.name}"
    path = folder / remote.name
    known = remote.checksum or record.checksum(remote.name)
    part = parts / f"{remote.name}.part"
    try:
        pooch.retrieve(url, known or None, remote.name, folder, downloader=Resuming(part, remote.size))
    except UserError:
        raise
    except ValueError as error:
        got = re.search(r"but got (\w+)", str(error))
        origin = "is published" if remote.checksum else f"was recorded in {NAME} at the first download"
        remedy = "try again, or give another --mirror"
        if not remote.checksum:
            remedy += f"; if the new file is the right one, remove {remote.name} from {record.path}"
        raise UserError(
            f"{url} sent a file with the checksum {got[1] if got else '?'}, but {known} {origin}; it was "
            f"discarded; {remedy}."
        ) from error
    checksum = known or f"sha256:{pooch.file_hash(str(path))}"
    record.add_file(remote.name, url, path.stat().st_size, checksum, published=bool(remote.checksum))
    return path


class Resuming:
    """A downloader for pooch that resumes interrupted transfers.

    Args:
        part: File of the bytes received so far; it is moved to its destination when complete.
        size: Size of the complete file, bytes; 0 if unknown.
    """

    def __init__(self, part: Path, size: int = 0) -> None:
        self.part, self.size = part, size
        self._validator = part.with_name(f"{part.name}.etag")

    def __call__(self, url: str, output_file: str, pooch: Any) -> None:
        """Download all of a file.

        Raises:
            UserError: The server refuses, or transfers are interrupted repeatedly without any progress.
        """
        self.part.parent.mkdir(parents=True, exist_ok=True)
        n_vain = 0
        while not self.size or self._n_bytes() != self.size:
            before = self._n_bytes()
            try:
                self._transfer(url)
                break
            except _InterruptedError as reason:
                n_vain = 0 if self._n_bytes() > before else n_vain + 1
                if n_vain > len(_WAITS):
                    raise UserError(
                        f"{url} was interrupted after {self._n_bytes():,} bytes ({reason}); run the same "
                        "command again to continue from there."
                    ) from reason
                log.warning("%s: %s; retrying.", url, reason)
                time.sleep(_WAITS[max(0, n_vain - 1)])
        self.part.replace(output_file)
        self._validator.unlink(missing_ok=True)

    def _n_bytes(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _transfer(self, url: str) -> None:
        import requests

        start = self._n_bytes()
        headers = {"Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
            if self._validator.exists():
                headers["If-Range"] = self._validator.read_text(encoding="latin-1")
        try:
            with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as response:
                self._receive(url, response, start)
        except (
            requests.ConnectionError,
            requests.Timeout,
            requests.exceptions.ChunkedEncodingError,
        ) as error:
            raise _InterruptedError(_cause(error)) from error
        except requests.RequestException as error:
            raise UserError(f"{url} cannot be requested ({error}); give another --mirror.") from error

    def _receive(self, url: str, response: "requests.Response", start: int) -> None:
        status = response.status_code
        if status == 416:  # nothing follows the bytes received: the file is complete, or has changed
            if response.headers.get("Content-Range", "").endswith(f"/{start}"):
                return
            self.part.unlink()
            raise _InterruptedError(f"the {start:,} bytes received earlier do not belong to this file")
        if status in _TRY_LATER:
            raise _InterruptedError(f"the server answered {status} {response.reason}")
        if status >= 400:
            raise UserError(
                f"{url} was refused ({status} {response.reason}); give another server with --mirror."
            )
        continued = status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {start}-")
        if not continued:
            start = 0
            self._remember(response)
        length = response.headers.get("Content-Length")
        total = start + int(length) if length else None
        with (
            self.part.open("ab" if continued else "wb") as file,
            tqdm(
                desc=self.part.stem, total=total, initial=start, unit="B", unit_scale=True,
                disable=None, leave=False,
            ) as bar,
        ):  # fmt: skip
            for block in response.iter_content(_BLOCK):
                file.write(block)
                bar.update(len(block))
        if total is not None and self._n_bytes() != total:
            raise _InterruptedError(f"the connection was closed at {self._n_bytes():,} of {total:,} bytes")

    def _remember(self, response: "requests.Response") -> None:
        """Store the identifier of this version of the file for If-Range, which does not accept weak tags."""
        etag = response.headers.get("ETag", "")
        validator = etag if etag.startswith('"') else response.headers.get("Last-Modified", "")
        if validator:
            self._validator.write_text(validator, encoding="latin-1")
        else:
            self._validator.unlink(missing_ok=True)


def _cause(error: BaseException) -> str:
    """Return the cause of an error that requests has wrapped in several layers."""
    text = str(error)
    found = re.search(r"IncompleteRead\([^)]*\)|Connection refused|Name or service not known|timed out", text)
    return found[0] if found else text
