"""An exported folder to the Hugging Face Hub, through huggingface_hub and its own login."""

import os
from pathlib import Path
from typing import Any

from audiotok.errors import UserError


def upload(directory: Path, name: str) -> str:
    """Upload the files of a folder to a repository, which is created, private, if it does not exist.

    Args:
        directory: The folder.
        name: The repository, `user/name`.

    Returns:
        Its URL.

    Raises:
        UserError: The server refuses or cannot be reached; the folder stays as it is.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    network_error: Any = HfHubHTTPError.__mro__[1]  # of the HTTP library, which differs between versions
    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT"), library_name="audiotok")
    try:
        url = api.create_repo(name, private=True, exist_ok=True)
        api.upload_folder(repo_id=name, folder_path=directory, commit_message="audiotok export")
    except (HfHubHTTPError, network_error, OSError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(
            f"--push={name} failed at {api.endpoint} ({reason}); {directory} is complete: `hf upload {name} "
            f"{directory}` tries again."
        ) from error
    return str(url)
