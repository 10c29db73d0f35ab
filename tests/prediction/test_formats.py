"""Files of detections: each is read back by what reads that format."""

import csv
import json

import pyarrow.parquet as pq
import pytest

from audiotok.data.clip import SoundClass
from audiotok.data.reading.selections import read_selections
from audiotok.prediction.formats import COLUMNS, FORMATS, Tagged, ending, format_of, write
from audiotok.prediction.results import Detection

DOG, BELL = SoundClass("/m/0bt9lr", 'Dog, "hound"'), SoundClass("/m/bell", "Church\tbell")


def sound(file, seconds, *found):
    return Tagged(file, file, seconds, tuple(Detection(file, *stretch, 0.75) for stretch in found))


SOUNDS = [
    sound("à b.wav", 12.5, (0.0, 10.0, DOG), (2.5, 12.5, BELL)),
    sound("silent.wav", 3.0),
    sound("c.wav", 4.0, (1.0, 2.0, DOG)),
]
ROWS = [
    ("à b.wav", 0.0, 10.0, DOG.name, DOG.id, 0.75),
    ("à b.wav", 2.5, 12.5, BELL.name, BELL.id, 0.75),
    ("c.wav", 1.0, 2.0, DOG.name, DOG.id, 0.75),
]


def written(folder, kind, sounds):
    path = folder / f"found{ending(kind)}"
    write(path, kind, sounds, 11025.0)
    return path


def test_the_ending_of_a_name_tells_the_format(tmp_path):
    assert [format_of(tmp_path / f"x{ending(kind)}") for kind in FORMATS] == list(FORMATS)
    assert format_of(tmp_path / "A.CSV") == "csv"
    assert format_of(tmp_path / "a.BirdNET.selection.table.txt") == "raven"
    assert format_of(tmp_path / "a") is None


def test_csv_and_parquet_have_a_row_for_each_detection(tmp_path):
    with written(tmp_path, "csv", SOUNDS).open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert tuple(header) == COLUMNS
    assert rows == [list(map(str, row)) for row in ROWS]
    assert [
        tuple(row.values()) for row in pq.read_table(written(tmp_path, "parquet", SOUNDS)).to_pylist()
    ] == ROWS


def test_json_lines_have_a_line_for_each_sound(tmp_path):
    lines = written(tmp_path, "jsonl", SOUNDS).read_text(encoding="utf-8").splitlines()
    sounds = list(map(json.loads, lines))
    assert [(s["file"], s["seconds"], len(s["detections"])) for s in sounds] == [
        ("à b.wav", 12.5, 2), ("silent.wav", 3.0, 0), ("c.wav", 4.0, 1),
    ]  # fmt: skip
    assert sounds[2]["detections"] == [dict(zip(COLUMNS[1:], ROWS[2][1:], strict=True))]


@pytest.mark.parametrize("kind", ["audacity", "raven"])
def test_selections_are_read_back(tmp_path, kind):
    """Tabs cannot be in a label of either format."""
    sounds = SOUNDS if kind == "raven" else SOUNDS[:1]
    found = read_selections(str(written(tmp_path, kind, sounds)))
    assert found.kind == kind
    read = [(row.start, row.end, row.label) for row in found.rows]
    assert read == [(start, end, " ".join(name.split())) for _, start, end, name, *_ in ROWS][: len(read)]
    if kind == "raven":
        assert [(row.file, row.confidence) for row in found.rows] == [(row[0], 0.75) for row in ROWS]


@pytest.mark.parametrize("kind", FORMATS)
def test_no_detection_at_all_makes_a_file_too(tmp_path, kind):
    assert written(tmp_path, kind, [SOUNDS[1]]).is_file()
