"""Tables of events: which class is heard from when to when in which clip.

A table has a header with the columns `id` (or filename, path, file), `onset` (or start), and `offset` (or
end) or `duration`, in s, and `labels` (or label, event_label, class): ids or names of classes, several in one
cell with commas.
"""

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import PurePath

from audiotok.data.audio import EXTENSIONS
from audiotok.data.clip import SoundClass
from audiotok.data.reading.delimited import Row, Table
from audiotok.errors import UserError
from audiotok.evaluation.detection import Event

_NAMES = {
    "id": ("id", "clip", "filename", "file", "path", "fname"),
    "onset": ("onset", "start", "begin"),
    "offset": ("offset", "end"),
    "duration": ("duration", "length"),
    "labels": ("labels", "label", "event_label", "class", "category"),
}


def read_events(path: str, classes: Sequence[SoundClass]) -> dict[str, list[Event]]:
    """Read the events of every clip that a table lists; those of other classes are left out.

    Args:
        path: A file, or the URL of one.
        classes: Those that are counted, C.

    Returns:
        Events by `name_of` of the clip. A class that is heard twice at a time in a clip makes one event.

    Raises:
        UserError: The table cannot be read, lacks a column, or a row is broken.
    """
    remedy = "give events=FILE with the columns id, onset, offset or duration, and labels"
    header = Table(path, [name for names in _NAMES.values() for name in names], remedy).names
    columns = {key: next((name for name in names if name in header), None) for key, names in _NAMES.items()}
    end = "offset" if columns["offset"] else "duration"
    wanted = [columns[key] for key in ("id", "onset", end, "labels")]
    if None in wanted:
        missing = [key for key in ("id", "onset", end, "labels") if columns[key] is None]
        raise UserError(f"events={path} has no column {' and no '.join(missing)}; {remedy}.")
    places = _places(classes)
    found: dict[str, list[Event]] = {}
    table = Table(path, [str(name) for name in wanted], remedy)
    for row in table:
        clip, onset, until, labels = row.values
        start = _seconds(table, row, onset)
        stop = _seconds(table, row, until) + (start if end == "duration" else 0.0)
        if stop <= start:
            raise table.error(row.line, f"an event ends at {stop:g} s and begins at {start:g} s")
        mine = found.setdefault(name_of(clip), [])
        for label in next(csv.reader([labels]), []):
            if (place := places.get(label.strip().casefold())) is not None:
                mine.append(Event(start, stop, place))
    return {clip: joined(events) for clip, events in found.items()}


def name_of(clip: str) -> str:
    """Return what tables and data may both call a clip: its file's name, without folder and ending."""
    path = PurePath(clip)
    return path.stem if path.suffix.lower().lstrip(".") in EXTENSIONS else path.name


def joined(events: Sequence[Event]) -> list[Event]:
    """Join the events of a class that overlap or follow each other, in the order of their beginnings."""
    result: list[Event] = []
    for event in sorted(events, key=lambda event: (event.sound_class, event.start)):
        last = result[-1] if result else None
        if last and last.sound_class == event.sound_class and event.start <= last.end:
            result[-1] = last._replace(end=max(last.end, event.end))
        else:
            result.append(event)
    return sorted(result)


def _places(classes: Sequence[SoundClass]) -> Mapping[str, int]:
    by_name = {one.name.casefold(): place for place, one in enumerate(classes)}
    return by_name | {one.id.casefold(): place for place, one in enumerate(classes)}


def _seconds(table: Table, row: Row, text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < 1e9:
        raise table.error(row.line, f"{text[:20]!r} is not a time in s")
    return seconds
