"""How often each fault is tried, and the table of what came of it.

`make faults` runs a share of the full numbers in a few minutes; `make faults ARGS="--scale=1"` runs all of
them. docs/RELIABILITY.md shows the table of the full numbers.
"""

from collections import Counter
from collections.abc import Callable

import pytest

TALLIES = "fault tallies"  # name of the property by which a worker process reports to the one that prints


@pytest.fixture
def tries(request: pytest.FixtureRequest) -> Callable[..., int]:
    """Return `tries(full, least=1)`: how many of the full number of tries this run makes."""
    scale = float(request.config.getoption("--scale"))
    return lambda full, least=1: max(least, round(full * scale))


@pytest.fixture
def tally(record_property: Callable[[str, object], None]) -> Callable[[str, Counter[str]], None]:
    """Return `tally(fault, outcomes)`, which enters what came of a fault into the final table."""
    return lambda fault, outcomes: record_property(TALLIES, (fault, dict(outcomes)))


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
