"""FSD50K: 51,197 clips from Freesound, 0.3 to 30 s long, in 200 classes of the AudioSet ontology.

Source: E. Fonseca et al., "FSD50K: An Open Dataset of Human-Labeled Sound Events", IEEE/ACM Transactions on
Audio, Speech and Language Processing 30, 2022; zenodo.org/records/4060432.
"""

import csv
from dataclasses import dataclass, field
from pathlib import Path

from audiotok.data.clip import Clip, Listing, Location, SoundClass, Split
from audiotok.data.limits import Limits
from audiotok.data.reading.files import Files, fingerprint, fingerprint_of_content
from audiotok.data.source import Source
from audiotok.data.validation import Validation
from audiotok.errors import UserError

TABLES = "FSD50K.ground_truth"
VOCABULARY = "vocabulary.csv"  # index,name,mid, without a header
_COLUMNS = {"dev": ("fname", "mids", "split"), "eval": ("fname", "mids")}


@dataclass(frozen=True, kw_only=True)
class FSD50K(Source):
    """FSD50K with the development set for training and validation and the evaluation set for testing.

    Args:
        root: Folder with `FSD50K.ground_truth/`, `FSD50K.dev_audio/` and `FSD50K.eval_audio/`.
        validation: Which clips of the development set are for validation; None uses the split of the release.

    The other arguments are those of `Source`.
    """

    root: str | None = None
    validation: Validation | None = None  # type: ignore[assignment]  # only FSD50K has a split of its own
    limits: Limits = field(default_factory=lambda: Limits(min_seconds=0.2))

    def check_tables(self) -> None:
        """Check that the folder of the tables is present."""
        self._root()

    def fingerprint_of_tables(self) -> str:
        """Return a name for the bytes of the tables."""
        names = (VOCABULARY, *map("{}.csv".format, _COLUMNS))
        return fingerprint_of_content(str(self._root() / TABLES / name) for name in names)

    def fingerprint_of_audio(self) -> str:
        """Return a name for the audio files, made of their sizes and times."""
        return fingerprint(entry for part in _COLUMNS for entry in Files().walk(str(self._audio(part))))

    def read(self) -> Listing:
        """Read the vocabulary and the clips of both sets.

        Raises:
            UserError: The root or a CSV is missing, a row is broken, or a label is not in the vocabulary.
        """
        tables = self._root() / TABLES
        classes = _read_vocabulary(tables / VOCABULARY)
        index = {sound_class.id: number for number, sound_class in enumerate(classes)}
        clips = []
        for part in _COLUMNS:
            for row in _read_rows(tables / f"{part}.csv", _COLUMNS[part], index):
                labels = tuple(sorted({index[mid] for mid in row["mids"].split(",")}))
                location = Location("folders", str(self._audio(part) / f"{row['fname']}.wav"))
                clips.append(Clip(row["fname"], location, labels, self._split(row)))
        return Listing(tuple(classes), tuple(clips))

    def _split(self, row: dict[str, str]) -> Split:
        if "split" not in row:
            return "test"
        if self.validation is None:
            return "val" if row["split"] == "val" else "train"
        return "val" if self.validation.takes(row["fname"]) else "train"

    def _audio(self, part: str) -> Path:
        return self._root() / f"FSD50K.{part}_audio"

    def _root(self) -> Path:
        root = Path(self.root).expanduser() if self.root else None
        if root is None or not (root / TABLES).is_dir():
            raise UserError(
                f"data.root={self.root} has no folder {TABLES}; give the folder of FSD50K "
                f"(zenodo.org/records/4060432) with {TABLES}/, FSD50K.dev_audio/ and FSD50K.eval_audio/."
            )
        return root


def _read_vocabulary(path: Path) -> list[SoundClass]:
    rows = _open_rows(path)
    for number, row in enumerate(rows, start=1):
        if len(row) != 3:
            raise UserError(f"{path}:{number}: {','.join(row)} is not index,name,mid; fix that row.")
    return [SoundClass(mid, name.replace("_", " ")) for _, name, mid in rows]


def _read_rows(path: Path, columns: tuple[str, ...], mids: dict[str, int]) -> list[dict[str, str]]:
    header, *rows = _open_rows(path) or [[]]
    missing = [column for column in columns if column not in header]
    if missing:
        raise UserError(
            f"{path} has no column {missing[0]}, only {header}; use the file in FSD50K.ground_truth.zip."
        )
    named = [dict(zip(header, row, strict=False)) for row in rows]
    for number, row in enumerate(named, start=2):
        if any(not row.get(column) for column in columns) or row.get("split", "val") not in {"train", "val"}:
            raise UserError(f"{path}:{number}: {list(row.values())} is not {','.join(header)}; fix that row.")
        unknown = [mid for mid in row["mids"].split(",") if mid not in mids]
        if unknown:
            raise UserError(
                f"{path}:{number}: label {unknown[0]} of clip {row['fname']} is not in {VOCABULARY}; use the "
                "tables of one release."
            )
    return named


def _open_rows(path: Path) -> list[list[str]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.reader(file))
    except OSError as error:
        raise UserError(
            f"{path} cannot be read ({error.strerror}); it is in FSD50K.ground_truth.zip."
        ) from error
