"""docs/OWN_SOUNDS.md: its commands and its Python run as written, on a tiny folder of sounds."""

import csv
import re
import shlex
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import soundfile
from runs import TINY, command
from tiny import SAMPLE_RATE, tones
from typer.testing import CliRunner

from audiotok.cli import app

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "OWN_SOUNDS.md").read_text(encoding="utf-8")
COMMANDS = [
    line.split("  #")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", PAGE, flags=re.DOTALL)
    for line in block.splitlines()
]
PROGRAMS = ("audiotok prepare ", "audiotok doctor ", "audiotok train ")
TINY_OF = {
    "train": (
        *(override for override in TINY if not override.startswith("model.")),
        *("model=bag", "augment=none", "logger=none", "data.clip_seconds=1.0"),
        *("optimizer.lr=0.05", "trainer.max_epochs=12"),
        *("callbacks.best.monitor=val/loss", "callbacks.best.mode=min"),  # val/mAP is soon 1
    ),
    "doctor": (*TINY, "data.clip_seconds=1.0", "doctor.n_clips=16", "doctor.n_steps=5", "doctor.seconds=2"),
    "prepare": (),
}


def write_sounds(folder):
    """Write what the page speaks of: three classes, a long recording, and a folder with two."""
    rng = np.random.default_rng(0)
    frequencies = {"chirp": [2500.0], "hum": [250.0], "other": []}
    for name, hertz in frequencies.items():
        (folder / "sounds" / name).mkdir(parents=True)
        for number in range(12):
            soundfile.write(folder / "sounds" / name / f"dawn {number}.wav", tones(hertz, rng), SAMPLE_RATE)
    night = np.concatenate([tones(hertz, rng, 2.0) for hertz in ([], [2500.0], [])])
    (folder / "recordings").mkdir()
    for path in (folder / "night.wav", folder / "recordings" / "1.wav", folder / "recordings" / "2.wav"):
        soundfile.write(path, night, SAMPLE_RATE)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """The folder in which the page's commands were given, and what each said."""
    folder, said = tmp_path_factory.mktemp("own"), {}
    write_sounds(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for line in COMMANDS:
            _, verb, *arguments = shlex.split(line)
            if line.startswith(PROGRAMS):
                with suppress(SystemExit):  # the doctor's, which finds much to say of so little
                    command(*arguments, *TINY_OF[verb], verb=verb)
            elif verb != "demo":  # test_demo.py
                result = CliRunner().invoke(app, [verb, *arguments])
                assert result.exit_code == 0, (line, result.output)
                said[line] = result.output
    return folder, said


def test_the_commands_lead_from_a_folder_to_a_table_of_detections(done):
    folder, said = done
    rows = list(csv.DictReader((folder / "detections.csv").open()))
    chirps = [row for row in rows if row["label"] == "chirp"]
    assert {Path(row["file"]).name for row in chirps} == {"1.wav", "2.wav"}
    assert all((float(row["start"]), float(row["end"])) == (2.0, 4.0) for row in chirps)
    assert "chirp" in said["audiotok predict RUN night.wav"]
    assert (folder / "night.png").stat().st_size > 10_000


def test_the_python_of_the_page_runs(done, monkeypatch, capsys):
    monkeypatch.chdir(done[0])
    [block] = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    exec(block, {})
    assert re.search(
        r"^\d\.\d to \d\.\d s: chirp \([01]\.\d\d\)$", capsys.readouterr().out, flags=re.MULTILINE
    )


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)]+)\)", PAGE):
        assert (ROOT / "docs" / target).exists(), target
