"""What a run on the embedded data gave when this version was made: a guard against silent change.

`tests/golden.json` is written by `python tests/test_golden.py`, and a change of it belongs into CHANGELOG.md,
written by hand. Where the libraries and the instructions of the CPU are those that it was written with, all
must be equal: the key of the vocabulary, the tokens and the scores. Elsewhere sums are rounded in another
order, so that a frame halfway between two centroids may get the other token, and two clips of almost equal
probability may change places; there, scores may differ by the tolerances below, and tokens are not compared.
"""

import hashlib
import json
import platform
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch
from runs import run

GOLDEN = Path(__file__).with_name("golden.json")
SCORES = ("val/loss", "test/loss", "val/mAP", "test/mAP", "test/hamming_loss")
# Two clips of twelve that change places move the mean average precision by less than this.
TOLERANCES = {"mAP": 0.05, "loss": 0.01, "hamming_loss": 0.02}
ADVICE = "if it is meant to, run `python tests/test_golden.py`, and write the change into CHANGELOG.md"


def measure(folder: Path) -> dict:
    """Train for two epochs on one thread, and return what must not change in silence."""
    torch.set_num_threads(1)
    results = run(folder, "trainer.max_epochs=2", "threads=1", f"cache_dir={folder}/cache")
    centroids = np.load(folder / "vocabulary" / "centroids.npy")
    tokens = hashlib.sha256()
    for path in sorted((folder / "cache" / "tokens").rglob("rows.npy")):
        tokens.update(np.ascontiguousarray(np.load(path)).tobytes())
    libraries = ("torch", "numpy", "soundfile", "torchmetrics", "transformers")
    return {
        "made_with": {
            **{name: version(name) for name in libraries},
            "machine": f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}",
        },
        "vocabulary": results["centroid_key"],
        "centroids": hashlib.sha256(centroids.tobytes()).hexdigest()[:16],
        "tokens": tokens.hexdigest()[:16],
        "scores": {name: results[name] for name in SCORES},
    }


def test_scores_tokens_and_vocabulary_are_those_that_are_on_record(tmp_path):
    golden, now = json.loads(GOLDEN.read_text(encoding="utf-8")), measure(tmp_path / "run")
    assert now["scores"].keys() == golden["scores"].keys()
    assert now["vocabulary"] == golden["vocabulary"], f"The key of the vocabulary changes; {ADVICE}."
    is_same = now["made_with"] == golden["made_with"]
    for name, value in golden["scores"].items():
        tolerance = 1e-6 if is_same else TOLERANCES[name.rpartition("/")[2]]
        assert now["scores"][name] == pytest.approx(value, abs=tolerance), f"{name} changes; {ADVICE}."
    if is_same:
        for kind in ("centroids", "tokens"):
            assert now[kind] == golden[kind], f"The {kind} change; {ADVICE}."


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        text = json.dumps(measure(Path(scratch) / "run"), indent=2) + "\n"
    GOLDEN.write_text(text, encoding="utf-8")
