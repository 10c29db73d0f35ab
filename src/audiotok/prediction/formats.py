"""Detections as files for other programs: CSV, JSON lines, Parquet, Audacity's labels, Raven's selections.

CSV and Parquet have a row for each detection, and none for a sound without; JSON lines have a line for each
sound. Audacity's label files are about one sound each. Raven's tables may be about several; then, as Raven
has it, `Begin Time (s)` counts from the beginning of the first.
"""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal, get_args

from audiotok.data.clip import SoundClass
from audiotok.disk.writing import replacing
from audiotok.prediction.results import Detection

Format = Literal["csv", "jsonl", "parquet", "audacity", "raven"]
FORMATS: tuple[Format, ...] = get_args(Format)
COLUMNS = ("file", "start", "end", "label", "id", "score")
# Ends of names, and the format that each stands for; the first of a format is the one that is written.
_ENDS: dict[str, Format] = {
    ".selections.txt": "raven",
    ".selection.table.txt": "raven",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".parquet": "parquet",
    ".txt": "audacity",
}
_RAVEN = (
    "Selection", "View", "Channel", "Begin Time (s)", "End Time (s)", "Low Freq (Hz)", "High Freq (Hz)",
    "Begin Path", "File Offset (s)", "Annotation", "Confidence",
)  # fmt: skip
_GROUP = 100_000  # rows of a Parquet file that are in memory at a time


@dataclass(frozen=True, slots=True)
class Tagged:
    """A sound that is done.

    Args:
        file: Its path, as it was given.
        name: Its path below the folder that was given.
        seconds: Its length, s.
        detections: By their start.
    """

    file: str
    name: str
    seconds: float
    detections: tuple[Detection, ...]


def format_of(path: Path) -> Format | None:
    """Return the format that the end of a file's name stands for; None for none."""
    name = path.name.lower()
    return next((kind for end, kind in _ENDS.items() if name.endswith(end)), None)


def ending(kind: Format) -> str:
    """Return the end of the name of a file in a format."""
    return next(end for end, of in _ENDS.items() if of == kind)


def known_endings() -> str:
    """Return the formats with their endings, for errors."""
    return ", ".join(f"{ending(kind)} ({kind})" for kind in FORMATS)


def write(path: Path, kind: Format, sounds: Iterable[Tagged], high_hz: float) -> None:
    """Write the detections of sounds in one step.

    Args:
        path: The file.
        kind: Its format.
        sounds: For Audacity, one.
        high_hz: The highest frequency that was listened to, Hz, which Raven shows.

    Raises:
        OSError: It cannot be written.
    """
    with replacing(path) as temporary:
        if kind == "parquet":
            _write_parquet(temporary, sounds)
            return
        with temporary.open("w", encoding="utf-8", newline="") as file:
            if kind == "csv":
                csv.writer(file).writerow(COLUMNS)
                csv.writer(file).writerows(_rows(sounds))
            elif kind == "jsonl":
                file.writelines(json.dumps(as_dict(sound), ensure_ascii=False) + "\n" for sound in sounds)
            elif kind == "audacity":
                file.writelines(_labels(sounds))
            else:
                file.writelines("\t".join(map(str, row)) + "\n" for row in _selections(sounds, high_hz))


def as_dict(sound: Tagged) -> dict[str, Any]:
    """Return a sound as JSON has it."""
    detections = [dict(zip(COLUMNS[1:], row[1:], strict=True)) for row in _rows([sound])]
    return {"file": sound.file, "seconds": round(sound.seconds, 3), "detections": detections}


def from_dict(line: Mapping[str, Any]) -> Tagged:
    """Return the sound of a line of the record, which has its `name` besides `as_dict`."""
    file, seconds = str(line["file"]), float(line["seconds"])
    detections = tuple(
        Detection(file, found["start"], found["end"], SoundClass(found["id"], found["label"]), found["score"])
        for found in line["detections"]
    )
    return Tagged(file, str(line["name"]), seconds, detections)


def _rows(sounds: Iterable[Tagged]) -> Iterator[tuple[str, float, float, str, str, float]]:
    """Give the columns of every detection; times to a millisecond, and scores to four digits."""
    for sound in sounds:
        for found in sound.detections:
            of_class = found.sound_class
            times = round(found.start, 3), round(found.end, 3)
            yield sound.file, *times, of_class.name, of_class.id, round(found.score, 4)


def _labels(sounds: Iterable[Tagged]) -> Iterator[str]:
    for _, start, end, name, _, _ in _rows(sounds):
        yield f"{start:.3f}\t{end:.3f}\t{_plain(name)}\n"


def _selections(sounds: Iterable[Tagged], high_hz: float) -> Iterator[Iterable[object]]:
    yield _RAVEN
    before, number = 0.0, 0  # s of the sounds before, and selections
    for sound in sounds:
        for number, (file, start, end, name, _, score) in enumerate(_rows([sound]), number + 1):  # noqa: B020
            times = f"{before + start:.3f}", f"{before + end:.3f}"
            where = _plain(file), f"{start:.3f}"
            yield number, "Spectrogram 1", 1, *times, 0, f"{high_hz:g}", *where, _plain(name), score
        before += sound.seconds


def _plain(text: str) -> str:
    """Return a text without tabs and line ends, which these formats cannot hold."""
    return " ".join(text.split())


def _write_parquet(path: Path, sounds: Iterable[Tagged]) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    types = (pa.string(), pa.float64(), pa.float64(), pa.string(), pa.string(), pa.float32())
    schema = pa.schema(zip(COLUMNS, types, strict=True))
    rows = _rows(sounds)
    with parquet.ParquetWriter(path, schema) as writer:
        while some := list(islice(rows, _GROUP)):
            writer.write_table(pa.table([*map(list, zip(*some, strict=True))], schema=schema))
