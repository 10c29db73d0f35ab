"""What an installation needs: the requirements of pyproject.toml, with and without CUDA libraries."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OPTIONAL = {"compare", "download"}  # their commands name the extra that they need


def name_of(requirement: str) -> str:
    return re.match(r"[\w.-]+", requirement)[0].lower()


def imported_with(path: Path) -> Iterator[str]:
    """Go through the packages that a module imports as it is itself imported, not inside a function."""
    for statement in ast.parse(path.read_bytes()).body:
        if isinstance(statement, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in statement.names)
        if isinstance(statement, ast.ImportFrom) and statement.module:
            yield statement.module.partition(".")[0]


def test_training_imports_nothing_but_its_requirements():
    required = {name_of(requirement) for requirement in PROJECT["dependencies"]}
    required |= {"safetensors"}  # of transformers
    distributions = packages_distributions()
    package = ROOT / "src" / "audiotok"
    for path in package.rglob("*.py"):
        if path.relative_to(package).parts[0] in OPTIONAL:
            continue
        for name in set(imported_with(path)) - set(sys.stdlib_module_names) - {"audiotok"}:
            owners = {owner.lower() for owner in distributions.get(name, [name])}
            assert owners & required, f"{path} imports {name}"


def test_the_requirements_without_cuda_are_those_of_the_project_with_another_faiss():
    listed = [
        line
        for line in (ROOT / "requirements-cpu.txt").read_text(encoding="utf-8").splitlines()
        if not line.startswith("#")
    ]
    project = [requirement.partition(";")[0].strip() for requirement in PROJECT["dependencies"]]
    assert listed == [requirement for requirement in project if name_of(requirement) != "faiss-gpu"]


def test_versions_that_are_pinned_are_of_packages_that_are_required():
    pinned = [
        name_of(line)
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    ]
    extras = [requirement for extra in PROJECT["optional-dependencies"].values() for requirement in extra]
    required = {name_of(requirement) for requirement in [*PROJECT["dependencies"], *extras]}
    of_others = {"alembic", "optuna", "joblib", "submitit", "aiobotocore", "boto3", "botocore"}
    assert len(pinned) == len(set(pinned))
    assert set(pinned) <= required | of_others
