"""How often each fault is tried, and the table of what came of it.

`make faults` tries a hundredth of the full numbers, but at least one of each, in minutes; `make faults
ARGS="--scale=1"` tries all of them. docs/RELIABILITY.md shows the table of the full numbers.
"""

import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from forks import COMMANDS, Forks

TALLIES = "fault tallies"  # name of the property by which a worker process reports to the one that prints


@pytest.fixture
def tries(request: pytest.FixtureRequest) -> Callable[..., int]:
    """Return `tries(full, least=1)`: how many of the full number of tries this run makes."""
    scale = float(request.config.getoption("--scale"))
    return lambda full, least=1: max(least, round(full * scale))


@pytest.fixture
def at_length(request: pytest.FixtureRequest) -> None:
    """Skip a test that takes half a minute at its shortest, where few faults are tried."""
    if float(request.config.getoption("--scale")) < 0.05:
        pytest.skip("takes half a minute; tried with --scale=0.05 and more")


@pytest.fixture
def tally(record_property: Callable[[str, object], None]) -> Callable[[str, Counter[str]], None]:
    """Return `tally(fault, outcomes)`, which enters what came of a fault into the final table."""
    return lambda fault, outcomes: record_property(TALLIES, (fault, dict(outcomes)))


@dataclass
class Scene:
    """A command of `forks.COMMANDS`, what it leaves when nothing disturbs it, and how long that takes.

    Args:
        name: Of the command.
        forks: Where it runs.
        arguments: Verb and overrides.
        before: What its folder holds before.
        after: What it holds afterwards.
        n_changes: How often it changes the file system.
        seconds: How long it takes.
    """

    name: str
    forks: Forks
    arguments: tuple[str, ...]
    before: Path
    after: Path
    n_changes: int = 0
    seconds: float = 0.0

    def prepared(self, folder: Path) -> Path:
        """Make a folder to run in, with TMPDIR beside it."""
        shutil.copytree(self.before, folder)
        folder.with_suffix(".tmp").mkdir()
        return folder

    def run(self, folder: Path, **request: Any) -> dict[str, Any]:
        """Run the command in a folder; see `Forks.run`."""
        environment = {"TMPDIR": str(folder.with_suffix(".tmp"))}
        return self.forks.run(*self.arguments, folder=str(folder), environment=environment, **request)


@pytest.fixture(scope="session")
def scenes(tiny_audioset: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Scene]]:
    """Return `scenes(name)`: a command, run once undisturbed."""
    if not hasattr(os, "fork") or not Path("/proc").is_dir():
        pytest.skip("programs are killed in forks, on Linux")
    root, made = tmp_path_factory.mktemp("scenes"), {}

    def scene(name: str) -> Scene:
        if name not in made:
            before = root / f"{name}-before"
            if name == "resume":
                shutil.copytree(scene("train").after, before)
            else:
                before.mkdir()
            arguments = (*COMMANDS[name], f"data.root={tiny_audioset}")
            found = Scene(name, forks, arguments, before, root / f"{name}-after")
            begun = time.monotonic()
            ended = found.run(found.prepared(found.after))
            assert ended["status"] == 0, ended["output"]
            found.n_changes, found.seconds = ended["n_changes"], time.monotonic() - begun
            made[name] = found
        return made[name]

    with Forks() as forks:
        yield scene


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print one line for each fault: how often it was tried, and what came of it."""
    reports = [report for key in ("passed", "failed") for report in terminalreporter.stats.get(key, ())]
    lines = [value for report in reports for name, value in report.user_properties if name == TALLIES]
    totals: dict[str, Counter[str]] = {}
    for fault, outcomes in lines:
        totals.setdefault(fault, Counter()).update(outcomes)
    if totals:
        terminalreporter.section("faults")
    for fault, outcomes in sorted(totals.items()):
        shown = ", ".join(f"{n} {outcome}" for outcome, n in sorted(outcomes.items()))
        terminalreporter.write_line(f"| {fault} | {sum(outcomes.values()):,} | {shown} |")
