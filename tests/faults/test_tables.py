"""Tables as spreadsheets, editors and other programs save them, and damaged ones.

A table that says the same in another form is read as before or refused in one sentence. A damaged one is
refused in one sentence, or gives the rows that it then has. Nothing else may be raised.
"""

import csv
import io
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from limits_of_tries import one_sentence, within_seconds, without_network
from tiny import LIMITS, tiny_source

from audiotok.data.clip import Listing
from audiotok.data.csv import CSV
from audiotok.data.esc50 import ESC50
from audiotok.data.fsd50k import FSD50K
from audiotok.data.layout.segments import CLASS_TABLE
from audiotok.data.source import Source
from audiotok.errors import UserError

pytestmark = pytest.mark.faults
FULL = 300  # tries of each of the two kinds, over all tables

Rows = list[list[str]]
SEGMENTS_OF_TRAIN = [
    [f"{first}aaaaaaaaa{n}", "30.000", "40.000", "/m/0a,/m/0b"] for n, first in enumerate("-_Yb0")
]
SEGMENTS_OF_EVAL = [[f"-eaaaaaaaa{n}", "0.000", "10.000", "/m/0b"] for n in range(3)]
TABLES: dict[str, tuple[str, Rows, bool]] = {  # the file, its rows, and whether the first of them is a header
    "segments": ("metadata/balanced_train_segments.csv", SEGMENTS_OF_TRAIN, False),
    "classes": (
        f"metadata/{CLASS_TABLE}",
        [["index", "mid", "display_name"], ["0", "/m/0a", "Tone, low"], ["1", "/m/0b", "Tone"]],
        True,
    ),
    "csv": (
        "clips.csv",
        [["path", "labels", "split"]]
        + [[f"a/{n}, b.wav", "dog;cat" if n % 2 else "cat", "train" if n < 6 else "test"] for n in range(9)],
        True,
    ),
    "esc50": (
        "meta/esc50.csv",
        [["filename", "fold", "target", "category", "esc10", "src_file", "take"]]
        + [
            [f"{n}.wav", str(n % 5 + 1), "0", "dog" if n % 2 else "rain", "True", str(n), "A"]
            for n in range(10)
        ],
        True,
    ),
    "vocabulary": (
        "FSD50K.ground_truth/vocabulary.csv",
        [["0", "Bark", "/m/0a"], ["1", "Low_tone", "/m/0b"]],
        False,
    ),
    "birdnet": (
        "night.BirdNET.results.csv",
        [["Start (s)", "End (s)", "Common name", "Confidence", "File"]]
        + [[f"{n}.0", f"{n + 3}.0", "Tawny Owl" if n % 2 else "Wren", "0.5", f"{n}.wav"] for n in range(9)],
        True,
    ),
    "dev": (
        "FSD50K.ground_truth/dev.csv",
        [["fname", "labels", "mids", "split"]]
        + [[str(n), "Bark", "/m/0a,/m/0b", "val" if n % 2 else "train"] for n in range(6)],
        True,
    ),
}


def text_of(rows: Rows, delimiter: str = ",", quoting: int = csv.QUOTE_MINIMAL, end: str = "\n") -> str:
    """Return rows as a table."""
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=delimiter, quoting=quoting, lineterminator=end).writerows(rows)
    return file.getvalue()


def shuffled(rows: Rows, chance: random.Random) -> Rows:
    """Return the columns in another order."""
    order = chance.sample(range(len(rows[0])), len(rows[0]))
    return [[row[place] for place in order] for row in rows]


def with_blank_lines(rows: Rows, chance: random.Random) -> str:
    """Return a table with a blank line here and there, the last one too."""
    lines = text_of(rows).splitlines()
    for _ in range(3):
        lines.insert(chance.randrange(len(lines) + 1), chance.choice(["", "  ", "," * (len(rows[0]) - 1)]))
    return "\n".join(lines) + "\n\n"


# What says the same: a function of the rows, of whether the first is a header, and of a generator.
Form = Callable[[Rows, bool, random.Random], str | bytes]
FORMS: dict[str, Form] = {
    "byte-order mark": lambda rows, has_header, chance: text_of(rows).encode("utf-8-sig"),
    "UTF-16": lambda rows, has_header, chance: text_of(rows, "\t").encode("utf-16"),
    "UTF-16 without a mark": lambda rows, has_header, chance: text_of(rows).encode("utf-16-le"),
    "semicolons": lambda rows, has_header, chance: text_of(rows, ";"),
    "tabs": lambda rows, has_header, chance: text_of(rows, "\t"),
    "every field quoted": lambda rows, has_header, chance: text_of(rows, quoting=csv.QUOTE_ALL),
    "CRLF": lambda rows, has_header, chance: text_of(rows, end="\r\n").encode(),
    "CR": lambda rows, has_header, chance: text_of(rows, end="\r").encode(),
    "no end of the last line": lambda rows, has_header, chance: text_of(rows).rstrip("\n"),
    "blank lines": lambda rows, has_header, chance: with_blank_lines(rows, chance),
    "spaces": lambda rows, has_header, chance: text_of(
        [[f" {value}\u00a0 " for value in row] for row in rows]
    ),
    "empty columns": lambda rows, has_header, chance: text_of([[*row, "", ""] for row in rows]),
    "columns in another order": lambda rows, has_header, chance: text_of(
        shuffled(rows, chance) if has_header else rows
    ),
    "another column": lambda rows, has_header, chance: text_of(
        [[*row, "note" if n == 0 else f'5" {n}'] for n, row in enumerate(rows)] if has_header else rows
    ),
    "rows twice": lambda rows, has_header, chance: text_of([*rows, *rows[has_header:]]),
}


def write(kind: str, root: Path) -> Source:
    """Write all tables of the corpus that a table belongs to, and return its source."""
    for name, rows, _ in TABLES.values():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text_of(rows))
    (root / "metadata/eval_segments.csv").write_text(text_of(SEGMENTS_OF_EVAL))
    (root / "FSD50K.ground_truth/eval.csv").write_text("fname,labels,mids\n9,Bark,/m/0a\n")
    (root / "audio").mkdir(exist_ok=True)
    shared = {"root": str(root), "limits": LIMITS}
    if kind in {"segments", "classes"}:
        return tiny_source(root)
    if kind in {"csv", "birdnet"}:
        return CSV(root=str(root / TABLES[kind][0]), limits=LIMITS)
    return ESC50(**shared) if kind == "esc50" else FSD50K(**shared)


def outcome_of(source: Source, expected: Listing) -> str:
    """Read the tables and say what came of it."""
    with within_seconds(10), without_network():
        try:
            listing = source.read()
        except UserError as error:
            return "refused in one sentence" if one_sentence(error) else f"refused with {error}"
    return (
        "as before"
        if (listing.classes, listing.clips) == (expected.classes, expected.clips)
        else "other rows"
    )


@pytest.mark.parametrize("kind", TABLES)
def test_a_table_that_says_the_same_in_another_form_is_read_as_before_or_refused(
    kind, tmp_path, tries, tally
):
    source = write(kind, tmp_path)
    expected = source.read()
    name, rows, has_header = TABLES[kind]
    outcomes: Counter[str] = Counter()
    for seed in range(tries(FULL // len(TABLES), least=len(FORMS))):
        form = list(FORMS)[seed % len(FORMS)]
        content = FORMS[form](rows, has_header, random.Random(f"{kind} {seed}"))
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        outcome = outcome_of(source, expected)
        assert outcome in {"as before", "refused in one sentence"}, f"{form}, seed {seed}: {outcome}"
        assert outcome == "as before" or form == "rows twice", f"{form}, seed {seed}: {outcome}"
        outcomes[outcome] += 1
    tally(f"{kind} table in another form", outcomes)


def put(text: str) -> Callable[[bytearray, random.Random], None]:
    """Return the damage that puts a text somewhere."""

    def damage(content: bytearray, chance: random.Random) -> None:
        place = chance.randrange(len(content))
        content[place:place] = text.encode("latin-1")

    return damage


def flip(content: bytearray, chance: random.Random) -> None:
    """Change up to four bits."""
    for _ in range(chance.randint(1, 4)):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)


def cut(content: bytearray, chance: random.Random) -> None:
    """Keep the beginning."""
    del content[chance.randrange(len(content)) :]


def take_out(content: bytearray, chance: random.Random) -> None:
    """Leave a stretch out."""
    start = chance.randrange(len(content))
    del content[start : start + chance.randint(1, 60)]


def spoil_a_field(content: bytearray, chance: random.Random) -> None:
    """Replace a field by what a spreadsheet makes of it."""
    lines = content.decode().splitlines()
    place = chance.randrange(len(lines))
    fields = lines[place].split(",")
    fields[chance.randrange(len(fields))] = chance.choice(
        ["#NAME?", "#REF!", "#N/A", "1.2E+10", "FALSE", "", "nan"]
    )
    lines[place] = ",".join(fields)
    content[:] = "\n".join(lines).encode()


DAMAGES = {
    "flip": flip,
    "cut": cut,
    "take_out": take_out,
    "spoil_a_field": spoil_a_field,
    "NUL": put("\0"),
    "quote": put('"'),
    "Latin-1": put("B\xe4r"),
    "long field": put("x" * 10**6),
    "line": put("\n"),
    "separators": put(",;\t"),
    "path": put("../../../../dev/zero"),
}


LABELS = "".join(f"{n}.5\t{n}.75\t{'ab'[n % 2]}, c\n\\\t200.0\t3000.0\n" for n in range(9))
RAVEN = "Selection\tView\tBegin Time (s)\tEnd Time (s)\tSpecies\n" + "".join(
    f"{n}\tSpectrogram 1\t{n}.5\t{n}.75\t{'ab'[n % 2]}\n" for n in range(9)
)


@pytest.mark.parametrize("program", ["audacity", "raven"])
def test_damaged_selections_in_a_folder_are_refused_in_one_sentence_or_read(program, tmp_path, tries, tally):
    """One of two tables is damaged; where it is no longer taken for one, the other is read."""
    for name in ("a", "b"):
        (tmp_path / f"{name}.wav").touch()
        (tmp_path / f"{name}.txt").write_text(LABELS if program == "audacity" else RAVEN)
    source = CSV(root=str(tmp_path), limits=LIMITS, group=".+")
    expected, whole = source.read(), (tmp_path / "a.txt").read_bytes()
    outcomes: Counter[str] = Counter()
    for seed in range(tries(FULL // 3, least=len(DAMAGES))):
        name, content = list(DAMAGES)[seed % len(DAMAGES)], bytearray(whole)
        DAMAGES[name](content, random.Random(f"{program} {seed}"))
        (tmp_path / "a.txt").write_bytes(content)
        outcome = outcome_of(source, expected)
        assert outcome in {"as before", "other rows", "refused in one sentence"}, f"{name}, seed {seed}"
        outcomes[outcome] += 1
    tally(f"damaged selections of {program} in a folder", outcomes)


@pytest.mark.parametrize("kind", TABLES)
def test_a_damaged_table_is_refused_in_one_sentence_or_gives_its_rows(kind, tmp_path, tries, tally):
    source = write(kind, tmp_path)
    expected = source.read()
    path = tmp_path / TABLES[kind][0]
    whole = path.read_bytes()
    outcomes: Counter[str] = Counter()
    for seed in range(tries(2 * FULL // len(TABLES), least=len(DAMAGES))):
        name, content = list(DAMAGES)[seed % len(DAMAGES)], bytearray(whole)
        DAMAGES[name](content, random.Random(f"{kind} {seed}"))
        path.write_bytes(content)
        try:
            outcome = outcome_of(source, expected)
        except Exception as error:
            raise AssertionError(f"{name}, seed {seed}: {error!r}") from error
        assert outcome in {"as before", "other rows", "refused in one sentence"}, f"{name}, seed {seed}"
        outcomes[outcome] += 1
    tally(f"damaged {kind} table", outcomes)
