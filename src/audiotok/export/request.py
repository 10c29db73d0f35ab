"""What an export needs, checked before torch is imported."""

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from audiotok.errors import UserError
from audiotok.run.trained import Trained, find_trained
from audiotok.tokens.sidecar import SIDECAR

Format = Literal["hf", "onnx"]
_NAME = re.compile(r"[\w.-]{1,96}/[\w.-]{1,96}")  # of a repository on the Hub


def check_request(run: Path, directory: Path, to: str, push: str | None) -> Trained | None:
    """Check what the disk tells of an export, and find the run; None if it is the folder of a tokenizer.

    Args:
        run: The folder of a run, a checkpoint in it, or the folder of a tokenizer.
        directory: The folder to write.
        to: "hf" or "onnx".
        push: The name of a repository on the Hub, or None.

    Raises:
        UserError: The run is not one of `audiotok train`, the folder is in use, what the export needs is not
            installed, or the Hub would refuse.
    """
    if to not in ("hf", "onnx"):
        raise UserError(f"--to={to} is not a format; choose hf or onnx.")
    is_tokenizer = (run / SIDECAR).is_file()
    found = None if is_tokenizer else find_trained(run)
    if is_tokenizer and to == "onnx":
        raise UserError(
            "--to=onnx is for taggers; give a run, whose model returns tokens, too, or choose hf."
        )
    if directory.exists() and not (directory.is_dir() and not any(directory.iterdir())):
        raise UserError(f"DIR={directory} exists and is not an empty folder; give a new one.")
    if to == "onnx" and not (find_spec("onnx") and find_spec("onnxscript")):
        raise UserError("--to onnx needs onnx and onnxscript; pip install 'audiotok[onnx]'.")
    if push is not None:
        _check_push(push)
    return found


def _check_push(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise UserError(f"--push={name} is not the name of a repository; give USER/NAME.")
    from huggingface_hub import get_token

    if not get_token():
        raise UserError(f"--push={name} needs a login to the Hugging Face Hub; run `hf auth login` first.")
