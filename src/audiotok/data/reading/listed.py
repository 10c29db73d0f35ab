"""The clips that tables list: path, times, labels and split of each, as the cells of its row have them."""

from collections.abc import Collection, Mapping, Sequence
from textwrap import shorten
from typing import NamedTuple

from audiotok.data.clip import id_of_stretch
from audiotok.data.layout.folders import is_audio
from audiotok.data.reading.delimited import Row, Table, error_of_line, number
from audiotok.errors import UserError

# What people call these columns, without spaces, brackets and case: "Begin Time (s)" is begintimes.
_ALIASES: dict[str, Sequence[str]] = {
    "path": (
        *(
            "filepath",
            "file",
            "filename",
            "fname",
            "audiopath",
            "audiofilepath",
            "audiofile",
            "audiofilename",
        ),
        *("audio", "wavpath", "wavfile", "wav", "soundfile", "sound", "clippath", "clip", "recordingpath"),
    ),
    "labels": (
        *(
            "label",
            "categories",
            "category",
            "classes",
            "class",
            "classname",
            "classlabel",
            "species",
            "tags",
        ),
        *("tag", "primarylabel", "commonname", "scientificname", "soundclass", "eventlabel", "annotation"),
    ),
    "split": ("set", "subset", "partition", "splits"),
    "fold": ("folds", "foldid", "kfold", "cvfold"),
    "start": (
        *("startseconds", "starttime", "starttimes", "starts", "startsec", "onset", "onsets", "onsetseconds"),
        *("begin", "begintime", "begintimes", "beginseconds"),
    ),
    "end": ("endseconds", "endtime", "endtimes", "ends", "endsec", "endingtime", "stop", "finish"),
    "offset": (),
    "duration": ("durations", "durationseconds", "durationsec"),
    "recording": ("recordingid", "group", "groupid", "srcfile", "sourcefile"),
}
_NEEDED = {"path", "labels"}


class ListedClip(NamedTuple):
    """A clip of a table.

    Args:
        table: The file.
        line: The line on which its row begins.
        path: As the row has it; "" for the recording beside a table that names none.
        start: Where it begins in its recording, s.
        end: Where it ends, s; None for the end of the recording.
        labels: The cell of its labels.
        split: The cell of its split, or "".
        fold: The cell of its fold, or "".
        recording: The cell of the recording that it is of, or "".
    """

    table: str
    line: int
    path: str
    start: float
    end: float | None
    labels: str
    split: str = ""
    fold: str = ""
    recording: str = ""

    @property
    def id(self) -> str:
        """The id of the clip: its path, with its times if it is a stretch."""
        is_stretch = self.start > 0 or self.end is not None
        return id_of_stretch(self.path, self.start, self.end) if is_stretch else self.path

    def error(self, problem: str, remedy: str = "fix or delete that row") -> UserError:
        """Return the error of the row."""
        return error_of_line(self.table, self.line, problem, remedy)


class ListedClips(NamedTuple):
    """The clips of a table, and the columns that they were read from, by what these are."""

    clips: list[ListedClip]
    columns: dict[str, str]


def read_listed(path: str, columns: Mapping[str, str | None], recording: str | None) -> ListedClips:
    """Read the clips of a table with a header.

    Args:
        path: A file.
        columns: Column of path, labels, split, fold, start and end; None for none. One that has the name of
            what it is may have another usual name, and be missing, except path and labels.
        recording: Column of the recording, if there is one of this name; None for the usual names.

    Raises:
        UserError: The file cannot be read, a column is missing, or a row is broken.
    """
    wanted = {role: columns.get(role, role) for role in _ALIASES} | {"recording": recording or "recording"}
    names = {role: name for role, name in wanted.items() if name is not None}
    usual = {role for role, name in names.items() if role == name}
    table = Table(
        path,
        [*names.values()],
        "give another data.root",
        aliases={role: _ALIASES[role] for role in usual},
        optional=[names["recording"], *(usual - _NEEDED)],
    )
    _check_columns(table, names)
    found = {role: table.found[name] for role, name in names.items() if name in table.found}
    times = _columns_of_times(path, found) if "start" in names else ()
    clips = [_clip(table, row, dict(zip(names, row.values, strict=True)), times) for row in table]
    unused = {"start", "end", "offset", "duration"}.difference(times)
    return ListedClips(clips, {role: column for role, column in found.items() if role not in unused})


def _check_columns(table: Table, names: Mapping[str, str]) -> None:
    """Refuse a table that lacks a column, or whose first row is not a header."""
    missing = [role for role, name in names.items() if name in table.missing]
    if not missing:
        return
    shown = shorten(", ".join(table.names), 500)
    if any(is_audio(name) for name in table.names):
        raise table.error(1, f"{shown} is not a header", "put a line path,labels before it")
    role = missing[0]
    raise UserError(
        f"data.{role}_column={names[role]} is not a column of {table.path}, which has {shown or 'none'}; "
        "name one of these."
    )


def _columns_of_times(path: str, found: Collection[str]) -> tuple[str, ...]:
    """Return the two columns that tell the start of clips and their end or duration, or none."""
    for times in (("start", "end"), ("start", "offset"), ("start", "duration"), ("offset", "duration")):
        if {*found}.issuperset(times):
            return times
    if "start" in found:
        raise UserError(
            f"{path} tells where clips start, but not where they end; name that column with data.end_column, "
            "or choose data.start_column=null for whole files."
        )
    return ()


def _clip(table: Table, row: Row, cells: Mapping[str, str], times: Sequence[str]) -> ListedClip:
    if not cells["path"]:
        raise table.error(row.line, f"{table.shown(row)} has no path")
    start, end = 0.0, None
    if any(texts := [cells[role] for role in times]):
        first, second = map(seconds_of, texts)
        if first is None or second is None or first < 0:
            raise table.error(row.line, f"{' and '.join(texts)} are not times in seconds")
        start, end = first, first + second if times[1] == "duration" else second
        if end <= start:
            raise table.error(row.line, f"the clip starts at {start:g} s and ends at {end:g} s")
    split, fold, recording = (cells.get(role, "") for role in ("split", "fold", "recording"))
    return ListedClip(
        table.path, row.line, cells["path"], start, end, cells["labels"], split, fold, recording
    )


def seconds_of(text: str) -> float | None:
    """Return a time in s, also one with minutes and hours (`1:02:30.5`); None if it is not a time."""
    parts = [number(part) for part in text.split(":")]
    if len(parts) > 3 or any(part is None or (part < 0 and len(parts) > 1) for part in parts):
        return None
    return sum((part or 0) * 60**place for place, part in enumerate(reversed(parts)))
