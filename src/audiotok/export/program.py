"""The verb `audiotok export`."""

from collections.abc import Sequence
from pathlib import Path

from audiotok.disk.writing import complaint
from audiotok.errors import UserError
from audiotok.export.request import check_request


def export(run: Path, directory: Path, to: str, push: str | None = None, trust: Sequence[str] = ()) -> str:
    """Write a run as a folder that works without audiotok, and upload it where that is asked for.

    Args:
        run: The folder of a run, or a checkpoint in it.
        directory: The folder to write, new or empty.
        to: "hf" or "onnx".
        push: The name of a repository on the Hugging Face Hub, or None.
        trust: Modules whose classes the run's configuration may name.

    Returns:
        A sentence that says what was written.

    Raises:
        UserError: The user can fix something.
    """
    found = check_request(run, directory, to, push)
    from audiotok.export.card import Facts  # torch, from here on
    from audiotok.prediction.tagger import load

    trained = load(run, "cpu", trust)
    facts = Facts.of(found.folder, trained)
    try:
        if to == "hf":
            from audiotok.export.huggingface import write_huggingface

            write_huggingface(trained, facts, directory)
        else:
            from audiotok.export.onnx_model import write_onnx

            write_onnx(trained, facts, directory)
    except OSError as error:
        sentence = complaint(error, {"DIR": directory}) or f"DIR={directory} cannot be written ({error})."
        raise UserError(sentence) from error
    size = sum(file.stat().st_size for file in directory.iterdir())
    said = f"{directory} holds the model for {_USERS[to]} ({size / 1e6:.1f} MB); its README.md says how."
    if push is None:
        return said
    from audiotok.export.upload import upload

    return f"{said} It was uploaded to {upload(directory, push)}."


_USERS = {"hf": "transformers", "onnx": "ONNX runtimes"}
