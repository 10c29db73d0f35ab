"""docs/TOKENS.md: the commands of its first section run as written, on a tiny folder of sounds."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import soundfile
from runs import TINY, command
from tiny import SAMPLE_RATE, tones
from typer.testing import CliRunner

from audiotok.cli import app

PAGE = (Path(__file__).parents[1] / "docs" / "TOKENS.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("## Made, saved, exported\n")[2].partition("\n## ")[0]
COMMANDS, PYTHON = (re.findall(rf"```{kind}\n(.*?)```", SECTION, re.DOTALL) for kind in ("sh", "python"))
OF_TOKENIZER = [part for part in TINY if part.startswith(("features", "clustering"))]
REST = [part for part in TINY if part not in OF_TOKENIZER and not part.startswith("model.")]
TINY_OF = {
    "fit": (*OF_TOKENIZER, "data.clip_seconds=1.0"),
    "train": (*REST, "data.clip_seconds=1.0", "model=bag", "augment=none", "logger=none"),
}


def test_the_commands_do_what_the_page_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name, hertz in (("chirp", 2500.0), ("hum", 250.0), ("other", 900.0)):
        (tmp_path / "sounds" / name).mkdir(parents=True)
        for number in range(12):
            soundfile.write(tmp_path / "sounds" / name / f"{number}.wav", tones([hertz], rng), SAMPLE_RATE)
    (tmp_path / "recordings").mkdir()
    soundfile.write(tmp_path / "recordings" / "1.wav", tones([700.0], rng, 2.5), SAMPLE_RATE)
    for line in COMMANDS[0].splitlines():
        _, verb, *arguments = shlex.split(line.partition("  #")[0])
        if verb in TINY_OF:
            command(*arguments, *TINY_OF[verb], verb=verb)
        else:
            result = CliRunner().invoke(app, [verb, *arguments])
            assert result.exit_code == 0, (line, result.output)
    names: dict = {}
    exec(PYTHON[0], names)
    assert names["frames"].shape == (len(names["tokens"]), 24)
    np.testing.assert_array_equal(np.load("tokens.npz")["tokens"], names["tokens"])
    assert (tmp_path / "exported" / "model.safetensors").is_file()  # loaded in test_huggingface.py


@pytest.mark.parametrize("block", PYTHON)
def test_the_python_of_the_page_is_python(block):
    assert compile(block, "TOKENS.md", "exec")
