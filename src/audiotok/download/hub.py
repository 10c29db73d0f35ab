"""Download folders of a dataset from the Hugging Face Hub, through huggingface_hub.

The library resumes and retries by itself, reads HF_ENDPOINT and HF_TOKEN, and compares sizes. The SHA-256
that the Hub lists for every large file is verified here.
"""

import hashlib
import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audiotok.download.record import Record
from audiotok.errors import UserError

if TYPE_CHECKING:
    from huggingface_hub.hf_api import RepoFile

log = logging.getLogger(__name__)


def fetch_folders(
    repository: str, folders: list[str], destination: Path, record: Record, endpoint: str | None
) -> int:
    """Download the files of some folders of a dataset, unless they exist already.

    Args:
        repository: Repository of the dataset, `owner/name`.
        folders: Paths in the repository, which are also their paths below the destination.
        destination: Where to put them.
        record: Knows earlier downloads, and remembers these.
        endpoint: Server to use; None for HF_ENDPOINT, or the Hub itself.

    Returns:
        The size of the folders, bytes.

    Raises:
        UserError: huggingface_hub is not installed, the server refuses or cannot be reached, the disk is too
            small, or a file does not match its listed checksum.
    """
    try:
        from huggingface_hub import HfApi, hf_hub_download
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
    except ImportError as error:
        raise UserError(
            "audiotok download audioset needs huggingface_hub; pip install 'audiotok[download]'."
        ) from error
    network_error: Any = HfHubHTTPError.__mro__[
        1
    ]  # the base class of the HTTP library, which differs between versions
    api = HfApi(endpoint=endpoint)
    url = f"{api.endpoint}/datasets/{repository}"
    try:
        files = [file for folder in folders for file in _list(api, repository, folder)]
        missing = [file for file in files if not _is_there(file, destination, record)]
        n_bytes = sum(file.size for file in missing)
        if shutil.disk_usage(destination).free < n_bytes:
            raise UserError(
                f"--to={destination} has less than {n_bytes / 1e9:.1f} GB free, which {len(missing)} files "
                "of AudioSet need; give a folder on another disk, or fewer sets with --set."
            )
        log.info("Downloading %d of %d files, %.1f GB.", len(missing), len(files), n_bytes / 1e9)
        for file in missing:
            path = hf_hub_download(
                repository, file.path, repo_type="dataset", local_dir=destination, endpoint=endpoint
            )
            _check(file, Path(path), url, record)
    except (HfHubHTTPError, LocalEntryNotFoundError, network_error, OSError) as error:
        if isinstance(error, OSError) and error.errno:  # an error of the disk
            raise
        raise UserError(
            f"{url} cannot be read ({_first_line(error)}); run the same command again to continue, or give "
            "another --mirror."
        ) from error
    return sum(file.size for file in files)


def _list(api, repository: str, folder: str) -> list["RepoFile"]:  # type: ignore[no-untyped-def]
    from huggingface_hub.hf_api import RepoFile

    found = api.list_repo_tree(repository, folder, recursive=True, repo_type="dataset")
    return sorted((file for file in found if isinstance(file, RepoFile)), key=lambda file: file.path)


def _is_there(file: "RepoFile", destination: Path, record: Record) -> bool:
    path = destination / file.path
    return path.is_file() and path.stat().st_size == file.size and record.checksum(file.path) == _listed(file)


def _listed(file: "RepoFile") -> str:
    return f"sha256:{file.lfs.sha256}" if file.lfs else f"git:{file.blob_id}"


def _check(file: "RepoFile", path: Path, url: str, record: Record) -> None:
    with path.open("rb") as opened:
        if file.lfs:
            got = f"sha256:{hashlib.file_digest(opened, 'sha256').hexdigest()}"
        else:  # small files are listed with the hash of their git object
            got = "git:" + hashlib.sha1(b"blob %d\0" % file.size + opened.read()).hexdigest()
    if got != _listed(file):
        path.unlink()
        raise UserError(
            f"{url} sent {file.path} with the checksum {got}, but lists {_listed(file)}; the file was "
            "discarded; try again, or give another --mirror."
        )
    record.add_file(file.path, f"{url}/{file.path}", file.size, got, published=True)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
