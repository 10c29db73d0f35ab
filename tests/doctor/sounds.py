"""A corpus of tones with a fault, and the doctor's report on it: what the tests of the doctor share."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from runs import TINY, command
from tiny import SAMPLE_RATE, tones

FREQUENCIES = {"low": 250.0, "middle": 800.0, "high": 2500.0}  # Hz, of the classes
N_CLIPS = {"train": 72, "val": 40, "test": 8}
LEARNING = ("augment=none", "optimizer.lr=0.01", "optimizer.fused=false")
BRIEF = ("doctor.n_clips=72", "doctor.n_steps=24", "doctor.n_batches=2", "doctor.n_permutations=10")


def write_sounds(
    root: Path, *, silent: bool = False, shuffled: bool = False, without_positives: tuple[str, ...] = ()
) -> Path:
    """Write clips of 0.6 s whose labels are their tones, and a CSV of them; return the CSV.

    Args:
        root: A folder that is made.
        silent: All samples are 0.
        shuffled: Labels go to other clips of the split.
        without_positives: Splits without any label.
    """
    rng = np.random.default_rng(0)
    root.mkdir()
    rows = []
    for split, n_clips in N_CLIPS.items():
        heard = rng.random((n_clips, len(FREQUENCIES))) < 0.4
        labelled = rng.permutation(heard) if shuffled else heard
        for number in range(n_clips):
            chosen = [
                hz for hz, is_heard in zip(FREQUENCIES.values(), heard[number], strict=True) if is_heard
            ]
            wave = tones([60.0, *chosen], rng, 0.6)
            name = f"{split}{number:03}.wav"
            soundfile.write(root / name, 0 * wave if silent else wave, SAMPLE_RATE)
            labels = [c for c, is_so in zip(FREQUENCIES, labelled[number], strict=True) if is_so]
            rows.append([name, "" if split in without_positives else ";".join(labels), split])
    table = root / "clips.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["path", "labels", "split"], *rows])
    return table


def call_doctor(folder: Path, table: Path, *overrides: str, tiny: tuple[str, ...] = TINY) -> None:
    """Run `audiotok doctor` on a corpus; SystemExit comes through."""
    data = ("data=csv", f"data.root={table}", "data.clip_seconds=0.6")
    command(f"hydra.run.dir={folder}", *tiny, *data, *LEARNING, *BRIEF, *overrides, verb="doctor")


def examine(
    folder: Path, table: Path, *overrides: str, tiny: tuple[str, ...] = TINY
) -> tuple[dict[str, Any], int]:
    """Run `audiotok doctor` on a corpus; return its report and its exit status."""
    status = 0
    try:
        call_doctor(folder, table, *overrides, tiny=tiny)
    except SystemExit as exit_:
        status = int(exit_.code or 0)
    return json.loads((folder / "doctor.json").read_text()), status


def states(report: dict[str, Any]) -> dict[str, str]:
    """Return the state of every topic that was looked at."""
    return {finding["topic"]: finding["state"] for finding in report["findings"]}
