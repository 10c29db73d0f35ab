"""Long recordings with stretches in them: a table, or tables beside them, lead to a tagger that is used."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from runs import TINY, command
from tiny import SAMPLE_RATE, tones

import audiotok

HERTZ = {"chirp": 2500.0, "hum": 250.0}
TABLE = "recordings.csv"
SETTINGS = (
    *(override for override in TINY if not override.startswith("model.")),
    *("model=bag", "augment=none", "logger=none", "data.clip_seconds=1.0", "optimizer.lr=0.05"),
    *("trainer.max_epochs=4", "callbacks.best.monitor=val/loss", "callbacks.best.mode=min"),
)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory) -> Path:
    """Ten recordings, two of them MP3, of a chirp and a hum in turn; a CSV, and tables beside them."""
    folder, rng = tmp_path_factory.mktemp("recordings"), np.random.default_rng(0)
    rows = ["file,begin,end,species"]
    for number in range(10):
        names = ["chirp", "hum", "chirp", "hum"][number % 2 :][:3]
        name = f"{number}.{'mp3' if number % 5 == 0 else 'wav'}"
        sound = np.concatenate([tones([HERTZ[name]], rng, 1.0) for name in names])
        soundfile.write(folder / name, sound, SAMPLE_RATE)
        rows += [f"{name},{start},{start + 1},{label}" for start, label in enumerate(names)]
        lines = [f"{start}.0\t{start + 1}.0\t{label}" for start, label in enumerate(names)]
        (folder / f"{number}.txt").write_text("\n".join(lines), encoding="utf-8")
    (folder.parent / TABLE).write_text("\n".join(rows), encoding="utf-8")
    return folder


@pytest.mark.parametrize("kind", ["table", "folder"])
def test_stretches_are_trained_on_and_a_recording_is_tagged(recordings, kind, tmp_path):
    data = shutil.copy(recordings.parent / TABLE, recordings) if kind == "table" else recordings
    folder, cache = tmp_path / "run", tmp_path / "cache"
    command(str(data), f"hydra.run.dir={folder}", f"cache_dir={cache}", *SETTINGS)
    metrics = json.loads((folder / "metrics.json").read_text())
    assert sum(metrics[f"n_{split}_clips"] for split in ("train", "val", "test")) == 30
    run = audiotok.load(folder)
    assert [sound_class.id for sound_class in run.classes] == ["chirp", "hum"]
    found = run.predict(recordings / "3.wav").detections(run.thresholds)
    heard = sorted((round(part.start), round(part.end), part.sound_class.id) for part in found)
    assert heard == [(0, 1, "hum"), (1, 2, "chirp"), (2, 3, "hum")]
