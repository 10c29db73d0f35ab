"""The README.md of an export, a model card: scores, data, command, classes, and how to use it."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from audiotok import __version__
from audiotok.data.clip import SoundClass
from audiotok.experiment.configuration import OF_THE_EXPERIMENT
from audiotok.prediction.tagger import TrainedRun
from audiotok.run.folder import RunFolder

_SCORES = {  # of metrics.json, and what a card calls them
    "test/mAP": "mean average precision",
    "chance/mAP": "mean average precision by chance",
    "test/top1": "top-1 accuracy",
    "test/f1_micro_tuned": "F1, micro, at the threshold chosen on validation",
    "test/f1_macro_tuned": "F1, macro, at the threshold chosen on validation",
    "test/hamming_loss": "Hamming loss",
}
_MOST_CLASSES = 100  # that a card lists
_PATH = re.compile(r"(?:~|/)[^\s,'\"\]]*/([^\s,'\"\]/]+)/?")


@dataclass(frozen=True)
class Facts:
    """What is known about a run, but for its weights.

    Args:
        parts: Groups of its configuration: the class of each (`_target_`), and its arguments.
        classes: What it knows.
        sample_rate: Rate of its waveforms, Hz.
        clip_seconds: Length of its clips, s.
        metrics: Scores and facts.
        data: Its configuration of data.
        command: What made it.
    """

    parts: Mapping[str, dict[str, Any]]
    classes: Sequence[SoundClass]
    sample_rate: int
    clip_seconds: float
    metrics: Mapping[str, Any]
    data: Mapping[str, Any]
    command: str

    @classmethod
    def of(cls, folder: RunFolder, run: TrainedRun) -> "Facts":
        """Read what a run's folder says; the configuration has been checked when the run was restored."""
        config = folder.read_config()
        model = {key: value for key, value in config["model"].items() if key not in OF_THE_EXPERIMENT}
        metrics: dict[str, Any] = {}
        command = ""
        with suppress(OSError, ValueError):
            metrics = folder.read_metrics()
        with suppress(OSError, ValueError):
            command = str(folder.read_provenance().get("command", ""))
        return cls(
            parts={"features": config["features"], "clustering": config["clustering"], "tagger": model},
            classes=run.classes,
            sample_rate=run.sample_rate,
            clip_seconds=run.clip_seconds,
            metrics=metrics,
            data=config.get("data") or {},
            command=command,
        )


def card(facts: Facts, to: str, directory: Path) -> str:
    """Return the text of a README.md.

    Paths are cut to their last part: a card is for others.

    Args:
        facts: What it tells.
        to: "hf" or "onnx".
        directory: The folder that it is for.
    """
    name = directory.absolute().name
    head = {"library_name": "transformers" if to == "hf" else "onnx"}
    head |= {"pipeline_tag": "audio-classification", "tags": ["audiotok", "audio", "sound"]}  # type: ignore[dict-item]
    sections = [
        f"---\n{yaml.safe_dump(head, sort_keys=False)}---\n\n# {_cell(name)}",
        f"A tagger of {len(facts.classes)} classes of sound, made by audiotok {__version__}. It reads mono "
        f"sound at {facts.sample_rate} Hz in clips of {facts.clip_seconds:g} s.",
        _HUGGINGFACE if to == "hf" else _ONNX,
        _scores(facts),
        _data(facts),
        _classes(facts, to),
    ]
    return "\n\n".join(section.strip() for section in sections if section) + "\n"


def _scores(facts: Facts) -> str:
    found = [(says, facts.metrics[key]) for key, says in _SCORES.items() if key in facts.metrics]
    rows = [f"| {says} | {value:.4f} |" for says, value in found if isinstance(value, float)]
    if not rows:
        return ""
    n_clips = facts.metrics.get("n_test_clips", "its")
    return f"## Scores\n\nOn {n_clips} test clips:\n\n| score | value |\n|---|---|\n" + "\n".join(rows)


def _data(facts: Facts) -> str:
    counts = [facts.metrics.get(f"n_{split}_clips") for split in ("train", "val", "test")]
    source = str(facts.data.get("_target_", "")).rpartition(".")[2] or "unknown"
    root = facts.data.get("root")
    where = f", `{_without_paths(str(root))}`" if root else ""
    lines = [f"Data: {source}{where}; {', '.join(map(str, counts))} clips for training, validation and test."]
    if facts.command:
        lines.append(f"Command:\n\n```sh\n{_without_paths(facts.command)}\n```")
    return "## Training\n\n" + "\n\n".join(lines)


def _classes(facts: Facts, to: str) -> str:
    shown = [f"{_cell(one.name)} (`{one.id.replace('`', '')}`)" for one in facts.classes[:_MOST_CLASSES]]
    more = len(facts.classes) - len(shown)
    return "## Classes\n\n" + ", ".join(shown) + (f", and {more} more in {_LISTS[to]}" if more else "")


def _without_paths(text: str) -> str:
    return _PATH.sub(r".../\1", text)


def _cell(text: str) -> str:
    """Return text that stays as it is in Markdown."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", " ".join(text.split()))


_LISTS = {"hf": "config.json", "onnx": "model.json"}
_HUGGINGFACE = """\
## Use

```python
from transformers import pipeline

tagger = pipeline("audio-classification", model=FOLDER, trust_remote_code=True)
tagger({"raw": samples, "sampling_rate": 44100})  # samples: one channel, float32, within -1 .. 1
```

It needs `transformers`, `torch`, `torchaudio` and `annotated-types`. Where audiotok is installed,
`import audiotok.export.auto` takes the place of `trust_remote_code=True`. Scores are probabilities;
`config.thresholds` says above which each class counts as heard. A longer sound is cut into clips, and the
score of a class is its highest in any of them. `tagger.model.encode(**inputs).audio_codes` returns the tokens
of a clip, (batch, codebooks, time).
"""
_ONNX = """\
## Use

```python
import numpy as np, onnxruntime

session = onnxruntime.InferenceSession("model.onnx")
clip = np.zeros((1, N), np.float32)  # N samples, as model.json says; shorter clips are padded with zeros
clip[0, : len(samples)] = samples
scores, tokens, n_tokens = session.run(None, {"waveform": clip, "n_samples": np.array([len(samples)])})
```

`model.json` lists inputs, outputs, sample rate, and the classes, each with the threshold above which it
counts as heard.
"""
