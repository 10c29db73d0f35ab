"""Selections that people and detectors made in other programs are read as they were meant."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiotok.data.reading.selections import Selection, kind_of, read_selections, recording_of
from audiotok.errors import UserError

RAVEN = """Selection|View|Channel|Begin Time (s)|End Time (s)|Low Freq (Hz)|High Freq (Hz)|Species
1|Waveform 1|1|0.5|1.25|0.0|8000.0|Blackbird
1|Spectrogram 1|1|0.5|1.25|0.0|8000.0|Blackbird
2|Spectrogram 1|1|3|4|||
""".replace("|", "\t")
SEVERAL_FILES = r"""Selection|Begin Time (s)|End Time (s)|Begin Path|Begin File|File Offset (s)|Tag|Confidence
1|1|2|C:\rec\a.wav|a.wav|1|Wren|0.9
2|3601|3604|C:\rec\b.wav|b.wav|1|Wren|0.5
""".replace("|", "\t")
BIRDNET = """Start (s),End (s),Scientific name,Common name,Confidence,File
0.0,3.0,Turdus merula,Eurasian Blackbird,0.8613,/sounds/a.wav
3.0,6.0,Strix aluco,"Owl, tawny",0.5,/sounds/a.wav
"""
AUDACITY = (
    "0.500000\t1.250000\tdog; cat\n\\\t200.0\t3000.0\n2.0\t2.0\ta point\n3,5\t4,5\t\n5\t6\n7\t8\ta, b\t0.75\n"
)


def read(path, text: str, **options) -> list[tuple]:
    path.write_text(text, encoding="utf-8")
    found = read_selections(str(path), **options).rows
    return [(row.file, row.start, row.end, row.label, row.confidence) for row in found]


def test_a_raven_table_gives_each_selection_once(tmp_path):
    assert read(tmp_path / "a.txt", RAVEN) == [(None, 0.5, 1.25, "Blackbird", None), (None, 3, 4, "", None)]
    assert kind_of(str(tmp_path / "a.txt")) == "raven"


def test_times_in_a_raven_table_of_several_files_count_from_the_named_file(tmp_path):
    assert read(tmp_path / "a.txt", SEVERAL_FILES) == [
        ("C:/rec/a.wav", 1.0, 2.0, "Wren", 0.9),
        ("C:/rec/b.wav", 1.0, 4.0, "Wren", 0.5),
    ]


def test_birdnet_results(tmp_path):
    assert read(tmp_path / "a.csv", BIRDNET) == [
        ("/sounds/a.wav", 0.0, 3.0, "Eurasian Blackbird", 0.8613),
        ("/sounds/a.wav", 3.0, 6.0, "Owl, tawny", 0.5),
    ]
    assert read(tmp_path / "a.csv", BIRDNET, label_column="scientific name")[0][3] == "Turdus merula"
    assert kind_of(str(tmp_path / "a.csv")) == "birdnet"


def test_audacity_labels_with_frequencies_points_and_scores(tmp_path):
    assert read(tmp_path / "a.txt", AUDACITY) == [
        (None, 0.5, 1.25, "dog; cat", None),
        (None, 3.5, 4.5, "", None),
        (None, 5.0, 6.0, "", None),
        (None, 7.0, 8.0, "a, b", 0.75),
    ]
    found = read_selections(str(tmp_path / "a.txt"))
    assert (found.kind, found.points, [row.line for row in found.rows]) == ("audacity", 1, [1, 4, 5, 6])


@pytest.mark.parametrize(
    "text", ["path,labels,split\na.wav,dog,train\n", "", "\n\n", "path,start,end\na.wav,0,1\n"]
)
def test_other_tables_are_not_selections(tmp_path, text):
    (tmp_path / "a.csv").write_text(text)
    assert kind_of(str(tmp_path / "a.csv")) is None
    with pytest.raises(UserError, match="not a table of selections; give"):
        read_selections(str(tmp_path / "a.csv"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0\t1\ta\n2\t1\tb\n", "a.txt:2: the start at 2 s is after its end at 1 s"),
        ("0\t1\ta\n-1\t1\tb\n", "a.txt:2: the start at -1 s is before the beginning"),
        ("0\t1\ta\n2\tb\n", "a.txt:2: 2 b is not a start, an end and a label"),
        ("0\t1\ta\nb\n", "a.txt:2: b is not a start"),
        (RAVEN.replace("4\t", "nan\t"), "a.txt:4: .* times that are not numbers"),
        (RAVEN.replace("Species", "Call type"), "has no column of annotations, only .*; name one"),
        (BIRDNET.replace("6.0", "1.0"), "a.txt:3: the start at 3 s is after its end at 1 s"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_line(tmp_path, text, words):
    with pytest.raises(UserError, match=words):
        read(tmp_path / "a.txt", text)


@pytest.mark.parametrize(
    ("name", "recording"),
    [
        ("x/a.txt", "a"),
        ("a.b.Table.1.selections.txt", "a.b"),
        ("a.BirdNET.selection.table.txt", "a"),
        ("a.BirdNET.results.csv", "a"),
        ("a_labels.txt", "a"),
        ("labels.txt", "labels"),
        ("a.wav.txt", "a.wav"),
    ],
)
def test_a_table_is_named_after_its_recording(name, recording):
    assert recording_of(name) == recording


times = st.floats(0, 1e5, allow_subnormal=False).map(lambda seconds: round(seconds, 6))
labels = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), max_size=8)
selections = st.tuples(times, times, labels).filter(lambda row: row[0] < row[1])


@settings(max_examples=30)
@given(st.lists(selections, min_size=1, max_size=5))
def test_labels_that_are_written_are_read_again(tmp_path_factory, rows):
    path = tmp_path_factory.getbasetemp() / "labels.txt"
    path.write_text(
        "".join(f"{start:.6f}\t{end:.6f}\t{label}\n" for start, end, label in rows), encoding="utf-8"
    )
    found = read_selections(str(path))
    assert found.kind == "audacity"
    assert found.rows == tuple(
        Selection(line, None, start, end, label) for line, (start, end, label) in enumerate(rows, 1)
    )
    assert all(math.isfinite(row.end) for row in found.rows)
