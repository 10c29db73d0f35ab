"""An ONNX model of a run, and a JSON file that says how to use it."""

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from textwrap import shorten
from typing import Any

import torch

from audiotok.disk.writing import replacing_folder, write_json, write_text
from audiotok.errors import UserError
from audiotok.export.card import Facts, card
from audiotok.export.graph import Graph
from audiotok.prediction.tagger import TrainedRun

_COLOURS = re.compile(r"\x1b\[\d*m")  # in messages of torch
_OPSET = 20
_MOST_CLIPS = 4096  # in a batch
_LOUD = ("torch.onnx", "torch.export", "onnxscript", "onnx_ir", "torch._subclasses")  # loggers


def write_onnx(run: TrainedRun, facts: Facts, directory: Path) -> None:
    """Write `model.onnx`, `model.json` and README.md in one step.

    Args:
        run: On the CPU.
        facts: What is known about it.
        directory: A folder that is new or empty.

    Raises:
        UserError: A part of the model has no counterpart in ONNX.
        OSError: The folder cannot be written.
    """
    n_samples = round(run.clip_seconds * run.sample_rate)
    program = _program(run, n_samples)
    with replacing_folder(directory) as temporary:
        program.save(temporary / "model.onnx")
        write_json(temporary / "model.json", _description(run, n_samples))
        write_text(temporary / "README.md", card(facts, "onnx", directory))


def _program(run: TrainedRun, n_samples: int) -> Any:
    example = torch.zeros(2, n_samples), torch.full((2,), n_samples)
    batch = torch.export.Dim("batch", min=1, max=_MOST_CLIPS)
    try:
        with _quiet():
            return torch.onnx.export(
                Graph(run),
                example,
                dynamo=True,
                input_names=["waveform", "n_samples"],
                output_names=["scores", "tokens", "n_tokens"],
                dynamic_shapes=({0: batch}, {0: batch}),
                opset_version=_OPSET,
                external_data=False,
                verbose=False,
            )
    except Exception as error:  # of torch's exporter, which raises whatever a step raises
        name, said = type(run.model).__name__, _COLOURS.sub("", str(error)).partition(". ")[0]
        raise UserError(
            f"--to onnx cannot translate the model {name} ({shorten(said, 200)}); choose --to hf."
        ) from error


def _description(run: TrainedRun, n_samples: int) -> dict[str, Any]:
    return {
        "inputs": {
            "waveform": f"float32 (batch, {n_samples}), mono, padded with zeros",
            "n_samples": "int64 (batch,), samples of each clip that are not padding",
        },
        "outputs": {
            "scores": f"float32 (batch, {len(run.classes)}), probabilities",
            "tokens": "int64 (batch, positions, codebooks)",
            "n_tokens": "int64 (batch,), positions of each clip that are not padding",
        },
        "sample_rate": run.sample_rate,
        "clip_seconds": run.clip_seconds,
        "activation": run.calibration.activation,
        "classes": [
            {"id": sound_class.id, "name": sound_class.name, "threshold": threshold}
            for sound_class, threshold in zip(run.classes, run.thresholds, strict=True)
        ],
    }


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave out what the exporter says about itself."""
    levels = {name: logging.getLogger(name).level for name in _LOUD}
    for name in _LOUD:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
