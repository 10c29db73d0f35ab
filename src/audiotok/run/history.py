"""The scores of every epoch as a table: `epoch`, `step`, then one column for each score."""

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path

from audiotok.disk.writing import rows_as_text
from audiotok.run.sums import read_summed, write_summed


def write_history(path: Path, rows: Sequence[dict[str, float]]) -> None:
    """Write one row an epoch, in one step; a score that an epoch lacks is an empty cell."""
    names = dict.fromkeys(name for row in rows for name in row)
    table = [names, *([row.get(name, "") for name in names] for row in rows)]
    write_summed(path, rows_as_text(table))


def read_history(path: Path) -> list[dict[str, float]]:
    """Read what `write_history` wrote: one dictionary an epoch.

    Raises:
        OSError: The file is missing or cannot be read.
        ValueError: A cell is not a number, or the file is not a table.
    """
    text = io.StringIO(read_summed(path).decode(), newline="")
    try:
        rows = [{name: float(cell) for name, cell in row.items() if cell} for row in csv.DictReader(text)]
    except (csv.Error, TypeError) as error:
        raise ValueError(str(error)) from error
    if any(not math.isfinite(row.get("epoch", math.nan)) for row in rows):
        raise ValueError("a row has no epoch")
    return rows
