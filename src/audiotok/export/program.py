"""The verb `audiotok export`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from audiotok.disk.writing import complaint
from audiotok.errors import UserError
from audiotok.export.request import check_request
from audiotok.run.trained import Trained

if TYPE_CHECKING:  # it would import torch
    from audiotok.tokens.quantizer import Quantizer


def export(run: Path, directory: Path, to: str, push: str | None = None, trust: Sequence[str] = ()) -> str:
    """Write a run as a folder that works without audiotok, and upload it where that is asked for.

    Args:
        run: The folder of a run, a checkpoint in it, or the folder of a tokenizer.
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
    try:
        if found is None:
            from audiotok.experiment.tokenizer import open_tokenizer
            from audiotok.export.tokenizer import write_tokenizer

            tokenizer = open_tokenizer(run, trust)
            _check_portable(run, tokenizer)
            write_tokenizer(tokenizer, directory)
        else:
            _write(found, run, directory, to, trust)
    except OSError as error:
        sentence = complaint(error, {"DIR": directory}) or f"DIR={directory} cannot be written ({error})."
        raise UserError(sentence) from error
    size = sum(file.stat().st_size for file in directory.iterdir())
    what = "tokenizer" if found is None else "model"
    said = f"{directory} holds the {what} for {_USERS[to]} ({size / 1e6:.1f} MB); its README.md says how."
    if push is None:
        return said
    from audiotok.export.upload import upload

    return f"{said} It was uploaded to {upload(directory, push)}."


def _write(found: Trained, run: Path, directory: Path, to: str, trust: Sequence[str]) -> None:
    from audiotok.export.card import Facts  # torch, from here on
    from audiotok.prediction.tagger import load

    trained = load(run, "cpu", trust)
    _check_portable(run, trained.tokenizer)
    facts = Facts.of(found.folder, trained)
    if to == "hf":
        from audiotok.export.huggingface import write_huggingface

        write_huggingface(trained, facts, directory)
    else:
        from audiotok.export.onnx_model import write_onnx

        write_onnx(trained, facts, directory)


def _check_portable(given: Path, tokenizer: "Quantizer") -> None:
    """Refuse features that read a model which lies elsewhere."""
    features = tokenizer.features
    if not features.is_portable:
        raise UserError(
            f"{given} reads the {features.analysis_name} of a pretrained model "
            f"(features={features.settings.get('kind')}), which an export does not hold; export one of "
            "features=logmel or features=mfcc."
        )


_USERS = {"hf": "transformers", "onnx": "ONNX runtimes"}
