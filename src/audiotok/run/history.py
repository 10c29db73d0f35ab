"""The scores of every epoch as a table: `epoch`, `step`, then one column for each score."""

import csv
from collections.abc import Sequence
from pathlib import Path

from audiotok.disk.writing import write_rows


def write_history(path: Path, rows: Sequence[dict[str, float]]) -> None:
    """Write one row an epoch, in one step; a score that an epoch lacks is an empty cell."""
    names = dict.fromkeys(name for row in rows for name in row)
    write_rows(path, [names, *([row.get(name, "") for name in names] for row in rows)])


def read_history(path: Path) -> list[dict[str, float]]:
    """Read what `write_history` wrote: one dictionary an epoch.

    Raises:
        OSError: The file is missing or cannot be read.
        ValueError: A cell is not a number, or the file is not a table.
    """
    with path.open(newline="", encoding="utf-8") as file:
        try:
            return [{name: float(cell) for name, cell in row.items() if cell} for row in csv.DictReader(file)]
        except (csv.Error, TypeError) as error:
            raise ValueError(str(error)) from error
