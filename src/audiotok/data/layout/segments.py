"""AudioSet's tables: the segments of each set, and the classes.

Source of the format: research.google.com/audioset/download.html. Three header lines, then
`--PJHxphWEs, 30.000, 40.000, "/m/09x0r,/t/dd00088"`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from audiotok.data.clip import SoundClass, times_of
from audiotok.data.reading.delimited import Table, number
from audiotok.errors import UserError

SourceSet = Literal["bal_train", "unbal_train", "eval"]

SEGMENTS: dict[SourceSet, str] = {
    "bal_train": "balanced_train_segments.csv",
    "unbal_train": "unbalanced_train_segments.csv",
    "eval": "eval_segments.csv",
}
CLASS_TABLE = "class_labels_indices.csv"
_REMEDY = (
    "download it from research.google.com/audioset/download.html, or name its folder as data.metadata_folder"
)
_OF_CLASSES = ("index", "mid", "display_name")
_OF_SEGMENTS = ("YTID", "start_seconds", "end_seconds", "positive_labels")


@dataclass(frozen=True, slots=True)
class Segment:
    """One row of a segments CSV.

    Args:
        id: The id of the video, or another that `Videos` gives to a further segment of it.
        labels: Ids of its labels.
        start_seconds: Where it starts in the video, s, if that is known.
        end_seconds: Where it ends in the video, s, if that is known.
        further_of: The id of the video, if `id` is another.
    """

    id: str
    labels: tuple[str, ...]
    start_seconds: float | None = None
    end_seconds: float | None = None
    further_of: str = ""

    @property
    def video(self) -> str:
        """The id of the video."""
        return self.further_of or self.id


class Videos:
    """Name the segments of videos: the first of a video is called as the video, others have their times, too.

    So the ids of a table that lists one segment of each video are those of the videos. The first segment is
    the one that is named first.
    """

    def __init__(self) -> None:
        self._starts: dict[str, float | None] = {}  # of the first segments

    def named(self, segment: Segment) -> Segment:
        """Return a segment with the id that it has in a corpus; a repeated row gets the id of the first."""
        first = self._starts.setdefault(segment.id, segment.start_seconds)
        if first is None or segment.start_seconds is None or segment.start_seconds == first:
            return segment
        times = times_of(segment.start_seconds, segment.end_seconds)
        return replace(segment, id=f"{segment.id}_{times}", further_of=segment.id)


def read_class_table(path: str) -> list[SoundClass]:
    """Read the class table (`index,mid,display_name`), sorted by index.

    Raises:
        UserError: The file is missing, a row is broken, or an index or a mid is listed twice.
    """
    table = Table(path, _OF_CLASSES, _REMEDY, is_row=lambda row: number(row[0]) is not None)
    classes: dict[int, SoundClass] = {}
    mids: set[str] = set()
    for row in table:
        listed, mid, name = row.values
        index = number(listed)
        if index is None or not index.is_integer() or not mid:
            raise table.broken(row)
        if index in classes or mid in mids:
            twice = f"the index {int(index)}" if index in classes else f"the class {mid}"
            raise table.error(row.line, f"{twice} is listed twice", "keep one of the two rows")
        classes[int(index)] = SoundClass(mid, name)
        mids.add(mid)
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
    table = Table(path, _OF_SEGMENTS, _REMEDY, is_row=_has_times, comments=True)
    for row in table:
        id_, start, end, listed = row.values
        labels = tuple(label.strip() for label in listed.split(","))
        times = number(start), number(end)
        if not id_ or not all(labels) or None in times:
            raise table.broken(row)
        for label in labels:
            if known is not None and label not in known:
                raise table.error(
                    row.line,
                    f"label {label} of clip {id_} is not in {CLASS_TABLE}",
                    "use the table and the segments of one release",
                )
        yield Segment(id_, labels, *times)


def _has_times(row: list[str]) -> bool:
    return number(row[1]) is not None and number(row[2]) is not None
