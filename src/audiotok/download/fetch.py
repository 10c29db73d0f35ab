"""One file from a server, checked by pooch; a cut connection goes on where it broke off.

Pooch verifies checksums and shows a file under its name only when it is whole, but begins anew after every
cut. What has come is therefore kept in a `.part` file, and asked for from there on (HTTP Range, RFC 9110
section 14). `If-Range` makes a server whose file has changed send all of it; a server that knows no ranges
sends all of it as well.
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
_WAITS = (1.0, 2.0, 4.0, 8.0)  # s between attempts that bring nothing; one that brings something resets them
_TIMEOUT = (10.0, 60.0)  # s to connect, and between two blocks
_BLOCK = 1 << 16  # bytes; as much as is lost of what a cut connection has brought
_TRY_LATER = {408, 429, 500, 502, 503, 504}


class _InterruptedError(Exception):
    """A transfer broke off in a way that may not last; the message says how."""


def fetch(remote: Remote, base_url: str, folder: Path, record: Record, parts: Path) -> Path:
    """Bring a file, unless it lies there already, whole and with the right checksum.

    Args:
        remote: The file.
        base_url: What its name is appended to.
        folder: Where it goes.
        record: Says what came before, and remembers what comes.
        parts: Folder of files that are not whole yet.

    Returns:
        Its path.

    Raises:
        UserError: pooch is missing, the server refuses, breaks off time and again, or sends other bytes than
            were published or came at first.
    """
    try:
        import pooch
    except ImportError as error:
        raise UserError(
            "audiotok download needs pooch, which is not installed; pip install 'audiotok[download]'."
        ) from error
    pooch.get_logger().setLevel("WARNING")  # its own lines say less than the bar
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
        origin = "is published" if remote.checksum else f"came at first, as {NAME} says"
        remedy = "try again, or give another --mirror"
        if not remote.checksum:
            remedy += f"; if the new file is the right one, take {remote.name} out of {record.path}"
        raise UserError(
            f"{url} sent bytes with the checksum {got[1] if got else '?'}, and {known} {origin}; they were "
            f"thrown away; {remedy}."
        ) from error
    checksum = known or f"sha256:{pooch.file_hash(str(path))}"
    record.add_file(remote.name, url, path.stat().st_size, checksum, published=bool(remote.checksum))
    return path


class Resuming:
    """A downloader for pooch that keeps what has come.

    Args:
        part: What has come so far; moved to where pooch wants it when it is whole.
        size: Bytes of the whole file; 0 where only the server knows.
    """

    def __init__(self, part: Path, size: int = 0) -> None:
        self.part, self.size = part, size
        self._validator = part.with_name(f"{part.name}.etag")

    def __call__(self, url: str, output_file: str, pooch: Any) -> None:
        """Bring all of a file.

        Raises:
            UserError: The server refuses, or transfers break off with nothing to show for it.
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
                        f"{url} broke off after {self._n_bytes():,} bytes ({reason}); run the same command "
                        "again, and it goes on from there."
                    ) from reason
                log.warning("%s: %s, trying again.", url, reason)
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
            raise UserError(f"{url} cannot be asked for ({error}); give another --mirror.") from error

    def _receive(self, url: str, response: "requests.Response", start: int) -> None:
        status = response.status_code
        if status == 416:  # nothing comes after what is there: it is whole, or it is something else
            if response.headers.get("Content-Range", "").endswith(f"/{start}"):
                return
            self.part.unlink()
            raise _InterruptedError(f"what had come, {start:,} bytes, is not the beginning of it")
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
        """Keep what names this version of the file, for If-Range, which takes no weak tags."""
        etag = response.headers.get("ETag", "")
        validator = etag if etag.startswith('"') else response.headers.get("Last-Modified", "")
        if validator:
            self._validator.write_text(validator, encoding="latin-1")
        else:
            self._validator.unlink(missing_ok=True)


def _cause(error: BaseException) -> str:
    """Say in a few words what requests wraps in several layers."""
    text = str(error)
    found = re.search(r"IncompleteRead\([^)]*\)|Connection refused|Name or service not known|timed out", text)
    return found[0] if found else text
