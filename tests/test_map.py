"""One list of rooms: the import-linter contract, the map of the README and the docstring of `audiotok`."""

import re
import tomllib
from pathlib import Path

import audiotok

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "audiotok"
MOST_ROOMS = 37  # with benchmarks/ and train.py


def rooms_on_disk() -> set[str]:
    """Return the packages and modules of `audiotok`."""
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    return packages | {path.stem for path in PACKAGE.glob("*.py") if path.stem != "__init__"}


def rooms_of_contract() -> list[str]:
    """Return the layers of the contract, the lowest first."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    names = [name.strip() for layer in reversed(layers) for name in layer.split("|")]
    return [name.removeprefix("audiotok.") for name in names]


def rooms_of_docstring() -> list[str]:
    """Return the first words of the indented lines."""
    return re.findall(r"^    (\w+)  ", audiotok.__doc__ or "", re.MULTILINE)


def rooms_of_readme() -> list[str]:
    """Return the names in the first column of the map: `name/` and `name.py`."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = readme.partition("| `src/audiotok/` |")[2].partition("\n\n")[0]
    columns = [line.split("|")[1] for line in table.splitlines()[2:]]
    return [name for column in columns for name in re.findall(r"`(\w+)(?:/|\.py)`", column)]


def test_every_room_is_on_the_list_and_nothing_else_is():
    rooms = rooms_of_contract()
    assert sorted(rooms) == sorted(rooms_on_disk())


def test_the_three_lists_are_one():
    assert rooms_of_docstring() == rooms_of_contract()
    assert rooms_of_readme() == rooms_of_contract()


def test_the_house_stays_small():
    assert len(rooms_on_disk()) + 2 <= MOST_ROOMS


def test_a_list_of_modules_in_the_docstring_of_a_package_is_complete():
    for init in PACKAGE.rglob("*/__init__.py"):
        listed = re.findall(r"^(\w+)  +\S", init.read_text(encoding="utf-8"), re.MULTILINE)
        if listed:
            there = {path.stem for path in init.parent.glob("*.py")} | {
                path.parent.name for path in init.parent.glob("*/__init__.py")
            }
            assert sorted(listed) == sorted(there - {"__init__"}), init
