"""The README's commands run as written, in a tiny world."""

import contextlib
import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from runs import EXPECTED, SYNTHETIC, TINY, command
from tiny import SAMPLE_RATE, tones
from typer.testing import CliRunner

from audiotok import experiment
from audiotok.cli import app

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    line.split("  #")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", README, flags=re.DOTALL)
    for line in block.splitlines()
    if line.strip() and not line.startswith("#")
]
# What TINY says of the default option and others have not.
WITHOUT = {
    "bag": ("model.",),
    "cnn": ("model.",),
    "random": ("clustering.n_iter",),
}
TRAIN = [line for line in COMMANDS if line.startswith("python train.py")]


def test_the_readme_has_commands_and_fits_its_length():
    assert len(TRAIN) >= 8
    assert len(README.splitlines()) < 200


@pytest.fixture
def first_run(plain_run):
    return plain_run[0]


def test_the_pretrain_command_is_the_fixture_s():
    [line] = [line for line in COMMANDS if line.startswith("audiotok pretrain")]
    assert shlex.split(line)[2:] == ["hydra.run.dir=PRE"]


@pytest.fixture
def roots(tiny_audioset, tmp_path):
    """A folder or file for DIR of each data option."""
    sounds = sorted((tiny_audioset / "audio" / "bal_train").rglob("*.*"))[:12]
    esc = tmp_path / "esc"
    (esc / "audio").mkdir(parents=True)
    rows = ["filename,fold,target,category,esc10,src_file,take"]
    for i, sound in enumerate(sounds):
        (esc / "audio" / sound.name).symlink_to(sound)
        rows.append(f"{sound.name},{1 + i % 2},{i % 3},class{i % 3},True,{i // 2},A")
    (esc / "meta.csv").write_text("\n".join(rows))
    splits = ("train", "train", "train", "val", "val", "test") * 2
    labels = ("tone", "other") * 6
    lines = [f"{s},{label},{split}" for s, label, split in zip(sounds, labels, splits, strict=True)]
    (tmp_path / "FILE.csv").write_text("\n".join(["path,labels,split", *lines]))
    fsd = tmp_path / "fsd"
    write_fsd50k(fsd, sounds)
    return {"audioset": tiny_audioset, "esc50": esc, "fsd50k": fsd, "csv": tmp_path / "FILE.csv"}


def write_fsd50k(root, sounds):
    """Write FSD50K's tables and folders around some sounds."""
    rows = {"dev": ["fname,labels,mids,split"], "eval": ["fname,labels,mids"]}
    for folder in ("FSD50K.ground_truth", "FSD50K.dev_audio", "FSD50K.eval_audio"):
        (root / folder).mkdir(parents=True)
    for i, sound in enumerate(sounds):
        part = "eval" if i < 3 else "dev"
        (root / f"FSD50K.{part}_audio" / f"{i}.wav").symlink_to(sound)
        split = "" if part == "eval" else ",val" if i < 6 else ",train"
        rows[part].append(f"{i},{'Bark' if i % 2 else 'Meow'},{'/m/b' if i % 2 else '/m/a'}{split}")
    (root / "FSD50K.ground_truth" / "vocabulary.csv").write_text("0,Meow,/m/a\n1,Bark,/m/b\n")
    for name, lines in rows.items():
        (root / "FSD50K.ground_truth" / f"{name}.csv").write_text("\n".join(lines) + "\n")


def check_and_score(config, destination):
    """Be a training that takes no time."""
    experiment.check(config)
    destination.folder.write_metrics({"val/mAP": 0.5})
    return {"val/mAP": 0.5}


@pytest.mark.parametrize("line", TRAIN)
def test_every_train_command_runs(line, tmp_path, roots, first_run, pretrained, monkeypatch, capsys):
    _, _, *overrides = shlex.split(line)
    if "--help" in overrides:
        command(*overrides)
        assert "kmeans, product, random, residual, spherical" in " ".join(capsys.readouterr().out.split())
        return
    given = dict(override.split("=", 1) for override in overrides if "=" in override)
    data = "audioset" if "experiment" in given else given.get("data", "synthetic")
    tiny = [*TINY, "logger=none"]
    if data == "synthetic":
        tiny += SYNTHETIC
    else:
        tiny += ["data.clip_seconds=1.0"]
        tiny += [] if data == "fsd50k" else ["data.validation.fraction=0.3"]  # it says itself what validates
        overrides = [re.sub(r"^data.root=.*", f"data.root={roots[data]}", o) for o in overrides]
    if given.get("experiment") == "seed":
        tiny = [o for o in tiny if "n_components" not in o and "fraction" not in o]
    if given.get("trainer") == "gpu":  # what is left of the preset runs on any machine
        tiny += ["trainer.precision=32-true"]
    overrides = [o.replace("RUN", str(first_run)).replace("PRE", str(pretrained[0])) for o in overrides]
    without = tuple(WITHOUT.get(given.get("model"), ()) + WITHOUT.get(given.get("clustering"), ()))
    tiny = [o for o in tiny if o.split("=")[0] not in given and not o.startswith(without)]
    tiny = [o for o in tiny if "ckpt_path" not in given or "max_epochs" not in o] + (
        ["trainer.max_epochs=2"] if "ckpt_path" in given else []
    )
    if "-m" in overrides:
        monkeypatch.setattr(experiment, "train", check_and_score)  # sweeps that train are in test_sweep.py
        command(*overrides, *tiny, f"hydra.sweep.dir={tmp_path}")
        assert len(list(tmp_path.glob("[0-9]/metrics.json"))) == 6
    else:
        command(*overrides, *tiny, f"hydra.run.dir={tmp_path}/run")
        metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
        assert metrics.keys() >= EXPECTED
        assert 0 < metrics["test/mAP"] <= 1


def test_the_predict_command_runs(first_run, tiny_audioset):
    [line] = [line for line in COMMANDS if line.startswith("audiotok predict")]
    sound = next((tiny_audioset / "audio" / "eval").rglob("*.*"))
    _, *arguments = shlex.split(line.replace("RUN", str(first_run)).replace("FILE...", str(sound)))
    assert CliRunner().invoke(app, arguments).exit_code == 0


def test_the_prepare_command_runs(tmp_path, tiny_audioset):
    [line] = [line for line in COMMANDS if line.startswith("audiotok prepare")]
    _, _, *overrides = shlex.split(line.replace("DIR", str(tiny_audioset)))
    command(*overrides, f"hydra.run.dir={tmp_path}", verb="prepare")
    assert (tmp_path / "report.json").is_file()


def test_the_compare_command_runs(first_run, tmp_path, monkeypatch):
    pytest.importorskip("plotly", reason="plotly is not installed: pip install 'audiotok[compare]'")
    shutil.copytree(first_run, tmp_path / "outputs" / "run")
    monkeypatch.chdir(tmp_path)
    [line] = [line for line in COMMANDS if line.startswith("audiotok compare")]
    result = CliRunner().invoke(app, shlex.split(line)[1:])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "compare.html").is_file()


def test_the_repeat_command_runs(first_run, tmp_path):
    [line] = [line for line in COMMANDS if line.startswith("audiotok repeat")]
    arguments = [*shlex.split(line.replace("RUN", str(first_run)))[1:], f"hydra.run.dir={tmp_path}"]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    assert (tmp_path / "metrics.json").is_file()


def test_the_doctor_command_runs(tmp_path, tiny_audioset):
    [line] = [line for line in COMMANDS if line.startswith("audiotok doctor")]
    _, _, *overrides = shlex.split(line.replace("DIR", str(tiny_audioset)))
    tiny = [*TINY, "data.clip_seconds=1.0", "data.validation.fraction=0.3", "doctor.seconds=2"]
    with contextlib.suppress(SystemExit):  # of so tiny a world something may well be bad
        command(*overrides, *tiny, f"hydra.run.dir={tmp_path}", verb="doctor")
    assert (tmp_path / "doctor.json").is_file()


@pytest.mark.parametrize("line", [line for line in COMMANDS if line.startswith("make")])
def test_every_make_command_is_a_target(line):
    done = subprocess.run(
        [*shlex.split(line), "--dry-run"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert {"train": "train.py", "test": "pytest"}[line.split()[1]] in done.stdout


def test_no_command_of_the_readme_is_left_out():
    verbs = ("predict", "pretrain", "prepare", "compare", "repeat", "doctor")
    tested = ("git clone ", "python train.py", "make ", *(f"audiotok {verb} " for verb in verbs))
    downloaded = ("audiotok download audioset --to DIR",)  # tests/download, from a server on loopback
    assert all(line.startswith(tested) or line in downloaded for line in COMMANDS)


def test_ten_lines_lead_from_a_folder_of_sounds_to_a_trained_bert(tmp_path, monkeypatch):
    [block] = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert len([line for line in block.splitlines() if line.strip()]) <= 10
    rng = np.random.default_rng(0)
    for name, hertz in {"low": 250.0, "middle": 800.0, "high": 2500.0}.items():
        (tmp_path / "sounds" / name).mkdir(parents=True)
        for number in range(8):
            path = tmp_path / "sounds" / name / f"{number}.wav"
            soundfile.write(path, tones([hertz], rng, 2.0), SAMPLE_RATE)
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    found: dict[str, Any] = {}
    exec(block, found)
    assert found["classes"] == ["high", "low", "middle"]
    assert found["tokens"].shape == (24, 108, 8)
    with torch.no_grad():
        guesses = found["model"].eval()(found["tokens"], found["lengths"]).argmax(1)
    assert (guesses == found["labels"]).float().mean() > 0.9


def test_add_your_own_names_everything_that_an_implementer_writes():
    from audiotok.clustering.codebooks import Codebooks
    from audiotok.data.source import Source
    from audiotok.features.features import Features
    from audiotok.model.model import Model, PretrainableModel

    section = README.partition("## Add your own")[2]
    for interface in (Features, Codebooks, Model, PretrainableModel, Source):
        assert f"`{interface.__name__}`" in section
        for name in interface.__abstractmethods__:
            assert f"`{name}`" in section, f"{interface.__name__}.{name}"
    for module in ("loss", "optimizer", "schedule", "objective"):
        assert f"src/audiotok/training/{module}.py" in section


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert (ROOT / target).exists(), target
    for path in re.findall(r"`(src/audiotok/[\w/.]+)`", README):
        assert (ROOT / path).exists(), path
