"""Selections of recordings, as programs for listening save them: a stretch of time, and what is heard in it.

Three formats, told apart by their first lines:

- *Audacity's label files*: start, end (s) and a label between tabs, without a header. A second line that
  begins with a backslash has the frequencies of the selection, and is passed over. BirdNET adds a confidence.
- *Raven's selection tables*: tabs, with `Begin Time (s)` and `End Time (s)` among the columns. Columns of
  annotations have names of the user's choice. A selection occurs once for each view (waveform, spectrogram);
  it counts once. If a table is about several files, `Begin Time (s)` counts from the beginning of the first,
  and `File Offset (s)` from that of the named one.
- *BirdNET-Analyzer's results*: commas, with `Start (s)` and `End (s)` among the columns. It also writes
  tables for Raven and label files for Audacity.

Sources: manual.audacityteam.org/man/importing_and_exporting_labels.html, the manual of Raven Pro 1.6
(ravensoundsoftware.com), and `birdnet_analyzer/analyze/utils.py` of github.com/birdnet-team/BirdNET-Analyzer.
"""

import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath
from textwrap import shorten
from typing import Literal

from audiotok.data.reading.delimited import Row, Table, error_of_line, number, read_text
from audiotok.errors import UserError

Kind = Literal["audacity", "raven", "birdnet"]
_REMEDY = "give a label file of Audacity, a selection table of Raven, or results of BirdNET"
_TIMES: dict[Kind, tuple[str, str]] = {
    "raven": ("Begin Time (s)", "End Time (s)"),
    "birdnet": ("Start (s)", "End (s)"),
}
_LABELS = ("Species", "Annotation", "Label", "Tag", "Common Name", "Scientific Name", "Species Code")
_FILES = ("Begin Path", "Begin File", "File")
_OFFSET, _CONFIDENCE, _NUMBER, _VIEW = ("File Offset (s)",), ("Confidence",), ("Selection",), ("View",)
# What the programs add to the name of a recording, before .txt or .csv.
_ADDED = re.compile(
    r"(?:\.Table\.\d+)?\.selections|\.BirdNET(?:\.selection\.table|\.results)?|\.labels?|[-_ ]labels?", re.I
)


@dataclass(frozen=True, slots=True)
class Selection:
    """A stretch of a recording, and what is heard in it.

    Args:
        line: Line of the table.
        file: The recording as the table names it, often by a path on another machine; None if the table does
            not name any, being about the recording of `recording_of`.
        start: s from the beginning of the recording.
        end: s from the beginning of the recording, later than `start`.
        label: The text of the annotation; "" if there is none.
        confidence: Of a detector, 0 to 1; None if a person made the selection.
    """

    line: int
    file: str | None
    start: float
    end: float
    label: str
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Selections:
    """The selections of a table.

    Args:
        kind: The format.
        rows: In the order of the table.
        points: Number of labels that mark a point in time instead of a stretch; they are left out.
    """

    kind: Kind
    rows: tuple[Selection, ...]
    points: int = 0


def kind_of(path: str) -> Kind | None:
    """Return the format of a table of selections; None if it is empty, or not one.

    Raises:
        UserError: The file cannot be read, or is not text.
    """
    first = next((fields for _, fields in _labels(path)), None)
    if first is None:
        return None
    if _is_label(first):
        return "audacity"
    names = {name.casefold() for name in Table(path, [*_TIMES["raven"], *_TIMES["birdnet"]], _REMEDY).names}
    kinds = (kind for kind, times in _TIMES.items() if names.issuperset(time.casefold() for time in times))
    return next(kinds, None)


def read_selections(path: str, label_column: str | None = None) -> Selections:
    """Read a table of selections.

    Args:
        path: A file, or the URL of one.
        label_column: Column with the annotation; None for the first of the usual names that is there.

    Raises:
        UserError: The file cannot be read or is not such a table, a column is missing, or a row is broken.
    """
    kind = kind_of(path)
    if kind is None:
        raise UserError(f"{path} is not a table of selections; {_REMEDY}.")
    found = _from_labels(path) if kind == "audacity" else _from_table(path, kind, label_column)
    rows, n_points = [], 0
    for row in found:
        if row.start < 0 or row.end < row.start:
            problem = "is before the beginning" if row.start < 0 else f"is after its end at {row.end:g} s"
            raise error_of_line(path, row.line, f"the start at {row.start:g} s {problem}")
        if row.end > row.start:
            rows.append(row)
        else:
            n_points += 1
    return Selections(kind, tuple(rows), n_points)


def recording_of(path: str) -> str:
    """Return the name, without extension, of the recording that a table beside it is about.

    `a.txt`, `a.Table.1.selections.txt` and `a.BirdNET.results.csv` are about `a`, `a.wav.txt` about `a.wav`.
    """
    stem = PurePosixPath(path).stem
    added = [match for match in _ADDED.finditer(stem) if match.end() == len(stem)]
    return stem[: added[0].start()] if added and added[0].start() else stem


# ---- label files ----


def _labels(path: str) -> Iterator[tuple[int, list[str]]]:
    """Give the line and the fields of every line that is neither blank nor about frequencies.

    Labels are not quoted, so that this is not CSV.
    """
    content, encoding = read_text(path, _REMEDY)
    for line, text in enumerate(io.TextIOWrapper(io.BytesIO(content), encoding), 1):
        if text.strip() and not text.startswith("\\\t"):
            yield line, [field.strip() for field in text.split("\t")]


def _is_label(fields: list[str]) -> bool:
    return len(fields) > 1 and all(number(field) is not None for field in fields[:2])


def _from_labels(path: str) -> Iterator[Selection]:
    for line, fields in _labels(path):
        start, end, label, *more = [*fields, "", ""]
        times = number(start), number(end)
        if times[0] is None or times[1] is None or any(more[1:]):
            shown = shorten(" ".join(fields), 200, placeholder="...")
            raise error_of_line(path, line, f"{shown} is not a start, an end and a label between tabs")
        yield Selection(line, None, times[0], times[1], label, number(more[0]))


# ---- tables ----


def _from_table(path: str, kind: Kind, label_column: str | None) -> Iterator[Selection]:
    names = Table(path, _TIMES[kind], _REMEDY).names
    label = _first(_LABELS if label_column is None else (label_column,), names)
    if label is None:
        listed = shorten(", ".join(names), 500)
        raise UserError(
            f"{path} has no column {label_column or 'of annotations'}, only {listed}; name one of these with "
            "data.labels_column."
        )
    optional = [_first(aliases, names) for aliases in (_FILES, _OFFSET, _CONFIDENCE, _NUMBER, _VIEW)]
    present = [name for name in optional if name is not None]
    table = Table(path, [*_TIMES[kind], label, *present], _REMEDY)
    views: dict[tuple[str, ...], str] = {}  # the first of each selection
    for row in table:
        start, end, text, *values = row.values
        given = dict(zip(present, values, strict=True))
        file, offset, confidence, number_, view = (given.get(name or "", "") for name in optional)
        if views.setdefault((number_, file, start, end, text), view) == view:
            times = start, end, offset if file else ""
            yield _selection(table, row, times, text, file, confidence)


def _selection(
    table: Table, row: Row, times: tuple[str, str, str], label: str, file: str, confidence: str
) -> Selection:
    start, end, offset = map(number, times)
    if start is None or end is None:
        raise table.error(row.line, f"{table.shown(row)} has times that are not numbers")
    if offset is not None:
        start, end = offset, offset + (end - start)
    return Selection(row.line, _posix(file) or None, start, end, label, number(confidence))


def _first(wanted: Sequence[str], names: Sequence[str]) -> str | None:
    """Return the first of the wanted names that is among some names, whatever its case, as it is there."""
    folded = {name.casefold(): name for name in reversed(names)}
    return next((folded[name.casefold()] for name in wanted if name.casefold() in folded), None)


def _posix(file: str) -> str:
    """Return a path with slashes; Windows writes backslashes, which elsewhere may be part of a name."""
    is_of_windows = re.match(r"[A-Za-z]:\\|\\\\", file)
    return PureWindowsPath(file).as_posix() if is_of_windows else file
