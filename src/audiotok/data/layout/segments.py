"""AudioSet's tables: the segments of each set, and the classes.

Source of the format: research.google.com/audioset/download.html. Three header lines, then
`--PJHxphWEs, 30.000, 40.000, "/m/09x0r,/t/dd00088"`.
"""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TextIO

from audiotok.data.clip import SoundClass
from audiotok.data.reading.files import Files
from audiotok.errors import UserError

SourceSet = Literal["bal_train", "unbal_train", "eval"]

SEGMENTS: dict[SourceSet, str] = {
    "bal_train": "balanced_train_segments.csv",
    "unbal_train": "unbalanced_train_segments.csv",
    "eval": "eval_segments.csv",
}
CLASS_TABLE = "class_labels_indices.csv"


@dataclass(frozen=True, slots=True)
class Segment:
    """One row of a segments CSV: a YouTube id and the ids of its labels."""

    id: str
    labels: tuple[str, ...]


def read_class_table(path: str) -> list[SoundClass]:
    """Read the class table (`index,mid,display_name`), sorted by index.

    Raises:
        UserError: The file is missing or a row is broken.
    """
    classes: dict[int, SoundClass] = {}
    with _open_csv(path) as file:
        for number, row in enumerate(csv.reader(file), start=1):
            if number == 1:
                continue
            if len(row) != 3 or not row[0].isdigit():
                raise UserError(f"{path}:{number}: {row} is not index,mid,display_name; fix that row.")
            classes[int(row[0])] = SoundClass(row[1], row[2])
    if not classes:
        raise UserError(f"{path} lists no classes; download the table from AudioSet's website.")
    return [classes[index] for index in sorted(classes)]


def read_segments(path: str, known: set[str] | None) -> Iterator[Segment]:
    """Read the rows of a segments CSV.

    Args:
        path: A file such as `balanced_train_segments.csv`.
        known: The label ids that may occur; None for any.

    Raises:
        UserError: The file is missing, a row is broken, or a label is unknown.
    """
    with _open_csv(path) as file:
        reader = csv.reader(_lines_with_closed_quotes(path, file), skipinitialspace=True)
        for row in reader:
            if not row or row[0].startswith("#"):
                continue
            if len(row) != 4 or not row[0] or not row[3]:
                raise UserError(
                    f"{path}:{reader.line_num}: {','.join(row)} is not "
                    'YTID, start_seconds, end_seconds, "labels"; fix or delete that row.'
                )
            labels = tuple(label.strip() for label in row[3].split(","))
            unknown = [label for label in labels if known is not None and label not in known]
            if unknown:
                raise UserError(
                    f"{path}:{reader.line_num}: label {unknown[0]} of clip {row[0]} is not in {CLASS_TABLE}; "
                    "use the table and the segments of one release."
                )
            yield Segment(row[0], labels)


def _lines_with_closed_quotes(path: str, file: Iterable[str]) -> Iterator[str]:
    """Check that quotes are closed: an open quote would swallow the lines that follow."""
    for number, line in enumerate(file, start=1):
        if line.count('"') % 2:
            raise UserError(f"{path}:{number}: a quote is not closed; fix or delete that row.")
        yield line


def _open_csv(path: str) -> TextIO:
    try:
        return io.TextIOWrapper(Files().open(path), encoding="utf-8", newline="")
    except OSError as error:
        raise UserError(
            f"{path} cannot be read ({error.strerror}); download it from "
            "research.google.com/audioset/download.html."
        ) from error
