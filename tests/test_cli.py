"""The command line: light to start, and the same from a checkout and from a wheel."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from audiotok import __version__

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
