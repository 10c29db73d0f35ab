"""The findings of the doctor: as a table on screen, and in plain JSON."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import zip_longest
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from audiotok.doctor.finding import Finding

_STYLES = {"good": "green", "doubtful": "yellow", "bad": "bold red"}
_DIGITS = 6  # significant digits of a figure


def report(
    findings: Sequence[Finding], not_made: Mapping[str, str], seconds: Mapping[str, float]
) -> dict[str, Any]:
    """Return all findings in plain JSON; numbers that are not finite become null."""
    counts = {f"n_{state}": sum(finding.state == state for finding in findings) for state in _STYLES}
    return {
        **counts,
        "findings": [_plain(asdict(finding)) for finding in findings],
        "not_made": dict(not_made),
        "seconds": {topic: round(value, 2) for topic, value in seconds.items()},
    }


def show(findings: Sequence[Finding], not_made: Mapping[str, str]) -> None:
    """Print the findings, the classes that tokens tell most and least about, and what was not examined."""
    console = Console(emoji=False)
    console.print(_table(findings))
    for finding in findings:
        if finding.topic == "information":
            console.print(_classes(finding))
    for topic, reason in not_made.items():
        console.print(f"Not examined: {topic}; {reason}.", highlight=False, markup=False, soft_wrap=True)


def _table(findings: Sequence[Finding]) -> Table:
    table = Table(title="Findings", show_lines=True)
    for name in ("topic", "", "finding, and what to do"):
        table.add_column(name, overflow="fold", no_wrap=name != "finding, and what to do")
    for finding in findings:
        advice = f"\n[italic]{escape(finding.advice)}[/italic]" if finding.advice else ""
        style = _STYLES[finding.state]
        table.add_row(finding.topic, f"[{style}]{finding.state}[/{style}]", escape(finding.says) + advice)
    return table


def _classes(finding: Finding) -> Table:
    columns = {
        "Most information: bits (with shuffled labels)": finding.figures["best"],
        "Least information: bits (with shuffled labels)": finding.figures["worst"],
    }
    table = Table(*(heading for heading, rows in columns.items() if rows))
    for rows in zip_longest(*(rows for rows in columns.values() if rows)):
        table.add_row(*(_line(row) if row else "" for row in rows))
    return table


def _line(row: Mapping[str, Any]) -> str:
    return f"{row['bits']:.3f} ({row['bits_by_chance']:.3f}) {escape(row['class'])}"


def _plain(value: Any) -> Any:
    """Return a value as JSON can write it: rounded, and null if it is not finite."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None
    return value
