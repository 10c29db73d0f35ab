"""The results of a benchmark, on screen and in a file."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table


def show(results: Mapping[str, float], title: str) -> None:
    """Print figures as a table of one row each, with three digits or more."""
    table = Table(title=title, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, value in results.items():
        table.add_row(name, f"{value:,.3g}" if abs(value) < 100 else f"{value:,.0f}")
    Console().print(table)


def write_json(results: Mapping[str, Any] | Sequence[Any], path: Path | None) -> None:
    """Write results to a file; without a path, do nothing."""
    if path:
        path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
