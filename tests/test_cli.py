"""The command line: light to start, the same from a checkout and from a wheel, and predict."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from runs import run
from typer.testing import CliRunner

from audiotok import __version__
from audiotok.cli import app
from audiotok.data.clip import SoundClass
from audiotok.prediction import Tag

ROOT = Path(__file__).parents[1]
HEAVY = {"torch", "pytorch_lightning", "torchmetrics", "transformers", "sklearn", "wandb", "faiss"}


def modules_after(code: str, *arguments: str) -> tuple[set[str], str]:
    """Run code with arguments in a new interpreter; return the top-level modules it loaded and its output."""
    script = (
        f"import sys\nsys.argv = {['prog', *arguments]!r}\n"
        f"try:\n    {code}\nexcept SystemExit:\n    pass\n"
        "print('MODULES', *{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    output, _, modules = done.stdout.rpartition("MODULES")
    return set(modules.split()), output


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["--help"], "clustering.n_clusters=256"),
        (["--cfg", "job"], "n_clusters: 256"),
        (["--version"], f"audiotok {__version__}"),
    ],
)
def test_looking_at_the_configuration_loads_no_heavy_library(arguments, shown):
    modules, output = modules_after("from audiotok.programs import train; train()", *arguments)
    assert shown in output
    assert not HEAVY & modules


def test_the_version_loads_no_hydra_either():
    for code in ("from audiotok.programs import train; train()", "from audiotok.cli import app; app()"):
        modules, output = modules_after(code, "--version")
        assert output.strip() == f"audiotok {__version__}"
        assert "hydra" not in modules


def test_audiotok_help_names_the_verbs_and_loads_no_heavy_library():
    modules, output = modules_after("from audiotok.cli import app; app()", "--help")
    assert "train" in output
    assert "predict" in output
    assert "doctor" in output
    assert not (HEAVY | {"hydra", "numpy"}) & modules


def test_audiotok_train_is_train_py():
    _, by_verb = modules_after(
        "from audiotok.cli import app; app()", "train", "model.num_layers=7", "--cfg", "job"
    )
    _, by_script = modules_after(
        "from audiotok.programs import train; train()", "model.num_layers=7", "--cfg", "job"
    )
    assert "num_layers: 7" in by_verb
    assert by_verb == by_script


def test_train_py_works_from_any_directory(tmp_path):
    command = [sys.executable, str(ROOT / "train.py"), "--cfg", "job"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=True)
    assert "n_clusters: 256" in done.stdout


def test_the_wheel_carries_the_configs_and_the_page_of_compare(tmp_path):
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
    installed = tmp_path / "installed"
    page = {path.name for path in (installed / "audiotok" / "compare").glob("*.*") if path.suffix != ".py"}
    assert page == {"page.html", "page.css", "page.js", "plots.js", "table.js"}
    code = "import audiotok; print(audiotok.__file__); from audiotok.cli import app; app()"
    done = subprocess.run(
        [sys.executable, "-c", code, "train", "experiment=seed", "--cfg", "job"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(installed)},
        check=True,
    )
    assert done.stdout.startswith(str(installed))
    assert "num_layers: 12" in done.stdout


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    run(folder, f"cache_dir={folder}/cache")  # its own, so that no other corpus lies there
    return folder


@pytest.fixture(scope="module")
def sound(trained):
    return next(trained.glob("cache/synthetic/*/audio/eval/*/*.flac"))


def test_predict_prints_the_tags_of_a_sound(trained, sound):
    result = CliRunner().invoke(app, ["predict", str(trained), str(sound), "--top", "3"])
    assert result.exit_code == 0
    lines = result.output.strip().splitlines()
    assert lines[0].endswith(sound.name)
    probabilities = [float(line.split()[0]) for line in lines[1:]]
    assert len(probabilities) == 3
    assert probabilities == sorted(probabilities, reverse=True)


def test_predict_prints_names_as_they_are(monkeypatch):
    classes = [SoundClass("/m/0k4j", name) for name in ("car [/m/0k4j]", ":cat: [red]mew", "[/]")]
    monkeypatch.setattr("audiotok.experiment.restore", lambda run, trusted: None)
    monkeypatch.setattr("audiotok.prediction.tag", lambda run, file: [Tag(c, 0.5) for c in classes])
    result = CliRunner().invoke(app, ["predict", "run", "a[1] [red]:dog:.wav"])
    assert result.exit_code == 0
    assert result.output == (
        "a[1] [red]:dog:.wav\n   0.500  car [/m/0k4j]\n   0.500  :cat: [red]mew\n   0.500  [/]\n"
    )


def test_predict_agrees_with_the_test_scores(trained, sound):
    from audiotok.experiment import restore
    from audiotok.prediction import tag

    data = np.load(trained / "predictions.npz")
    [scores] = data["scores"][data["ids"] == sound.stem]
    tags = {found.sound_class.id: found.probability for found in tag(restore(trained), sound)}
    assert [tags[class_id] for class_id in data["classes"]] == pytest.approx(scores.tolist(), abs=1e-5)


def test_predict_names_a_file_that_is_no_sound_and_tags_the_others(trained, sound, tmp_path):
    (tmp_path / "x.wav").write_text("no sound")
    result = CliRunner().invoke(app, ["predict", str(trained), str(tmp_path / "x.wav"), str(sound)])
    assert result.exit_code == 1
    assert "x.wav cannot be read as audio" in result.output
    assert sound.name in result.output


def test_predict_names_a_folder_that_is_no_run(tmp_path, sound):
    result = CliRunner().invoke(app, ["predict", str(tmp_path), str(sound)])
    assert result.exit_code == 1
    assert "not the folder of a trained run" in result.output
