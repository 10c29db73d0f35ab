"""Whether the exports of a run compute what `predict` does: scores within 1e-4, and the same tokens.

    python benchmarks/exports.py RUN FOLDER [--clips 100]

Exports RUN for transformers and ONNX into a temporary folder, and reads the first clip of that many audio
files of FOLDER with both. transformers loads the code in the exported folder, as a machine without audiotok
would.
"""

import argparse
import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnxruntime
import torch
from transformers import pipeline

import audiotok
from audiotok.data.audio import UnreadableError, read_waveform
from audiotok.export.program import export
from audiotok.prediction.tagger import TrainedRun

MOST = 1e-4  # difference of scores
Answers = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]  # samples (S,) to scores (C,), tokens (T, Q)


def main() -> None:
    """Print a line for each format; exit with 1 if one differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clips", type=int, default=100)
    asked = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    run = audiotok.load(asked.run, "cpu")
    clips = _clips(asked.folder, run.sample_rate, round(run.clip_seconds * run.sample_rate), asked.clips)
    with TemporaryDirectory() as folder:
        exports = {}
        for name, build in (("hf", _transformers), ("onnx", _onnx)):
            start = time.perf_counter()
            print(export(asked.run, Path(folder) / name, name), f"{time.perf_counter() - start:.0f} s.")
            exports[name] = build(Path(folder) / name)
        failed = [name for name, answers in exports.items() if not _agree(name, answers, run, clips)]
    raise SystemExit(bool(failed))


def _clips(folder: Path, rate: int, n_samples: int, n_clips: int) -> list[np.ndarray]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    random.Random(0).shuffle(files)
    clips: list[np.ndarray] = []
    for path in files:
        try:
            samples = read_waveform(path, rate)
        except UnreadableError:
            continue
        if len(samples) > rate // 2:
            clips.append(np.asarray(samples, np.float32)[:n_samples])
        if len(clips) == n_clips:
            break
    return clips


def _agree(name: str, answers: Answers, run: TrainedRun, clips: list[np.ndarray]) -> bool:
    difference, others, n_tokens, seconds = 0.0, 0, 0, 0.0
    for clip in clips:
        expected = run.predict(clip, run.sample_rate).scores[0], run.tokens(clip, run.sample_rate)
        start = time.perf_counter()
        scores, tokens = answers(clip)
        seconds += time.perf_counter() - start
        wanted = expected[1].tokens[0][: expected[1].lengths[0]]
        difference = max(difference, float(np.abs(scores - expected[0]).max()))
        others += int((tokens != wanted).sum())
        n_tokens += wanted.size
    print(
        f"{name}: {len(clips)} clips, scores differ by {difference:.1e} at most, {others} of {n_tokens:,} "
        f"tokens differ; {1000 * seconds / len(clips):.0f} ms a clip."
    )
    return difference <= MOST and not others


def _transformers(folder: Path) -> Answers:
    tagger = pipeline("audio-classification", model=str(folder), trust_remote_code=True, top_k=None)
    names = tagger.model.config.id2label

    def answers(clip: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = {answer["label"]: answer["score"] for answer in tagger(clip)}
        codes = tagger.model.encode(**tagger.feature_extractor(clip, return_tensors="pt")).audio_codes
        return np.array([found[names[i]] for i in range(len(names))]), codes[0].T.numpy()

    return answers


def _onnx(folder: Path) -> Answers:
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    n_samples = session.get_inputs()[0].shape[1]

    def answers(clip: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        padded = np.pad(clip, (0, n_samples - len(clip)))[None]
        given = {"waveform": padded, "n_samples": np.array([len(clip)])}
        scores, tokens, n_tokens = session.run(None, given)
        return scores[0], tokens[0, : n_tokens[0]]

    return answers


if __name__ == "__main__":
    main()
