"""ESC-50 and its subset ESC-10: recordings of 5 s, one class each, in 5 official folds.

Source: K. J. Piczak, "ESC: Dataset for Environmental Sound Classification", ACM Multimedia 2015.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from audiotok.data.clip import Clip, Findings, Listing, Location, SoundClass, Split
from audiotok.data.reading.delimited import Table
from audiotok.data.reading.files import Files, fingerprint, fingerprint_of_content
from audiotok.data.source import Source
from audiotok.data.splits import fold_of, splits_of_folds
from audiotok.errors import UserError

TABLES = ("meta/esc50.csv", "meta.csv", "esc50.csv")
_COLUMNS = ("filename", "fold", "category", "esc10", "src_file")
_TRUTH = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}


@dataclass(frozen=True, kw_only=True)
class ESC50(Source):
    """ESC-50 with one fold for testing and the others for training and validation.

    Args:
        root: Folder with `meta/esc50.csv` (or `meta.csv`) and `audio/`.
        subset: "esc50" for all 50 classes, "esc10" for the ten classes of ESC-10.
        test_fold: The fold for testing, 1 to 5.

    The other arguments are those of `Source`; `validation` chooses among the recordings of the other folds,
    so that clips cut from one recording stay together.
    """

    root: str | None = None
    subset: Literal["esc50", "esc10"] = "esc50"
    test_fold: int = 1
    clip_seconds: float = 5.0

    def check_tables(self) -> None:
        """Check that the table is present."""
        self._table()

    def fingerprint_of_tables(self) -> str:
        """Return a name for the bytes of the table."""
        return fingerprint_of_content([str(self._table())])

    def fingerprint_of_audio(self) -> str:
        """Return a name for the audio files, made of their sizes and times."""
        return fingerprint(Files().walk(str(self._audio())))

    def read(self) -> Listing:
        """Read the table of clips.

        Raises:
            UserError: The root or its table is missing, a row is broken, or the fold does not exist.
        """
        table = self._table()
        findings = Findings()
        rows = [row for row in _read_rows(table, findings) if self.subset == "esc50" or row.is_esc10]
        tested = splits_of_folds([row.fold for row in rows], self.test_fold, str(table))
        names = sorted({row.category for row in rows})
        audio = self._audio()
        clips = tuple(
            Clip(
                row.filename,
                Location("folders", str(audio / row.filename)),
                (names.index(row.category),),
                self._split(row, split),
            )
            for row, split in zip(rows, tested, strict=True)
        )
        classes = tuple(SoundClass(name, name.replace("_", " ")) for name in names)
        return Listing(classes, clips, findings)

    def _split(self, row: "_Row", split: Split | None) -> Split:
        if split == "test":
            return "test"
        return "val" if self.validation.takes(row.recording) else "train"

    def _audio(self) -> Path:
        return Path(self.root or "").expanduser() / "audio"

    def _table(self) -> Path:
        root = Path(self.root).expanduser() if self.root else None
        for name in TABLES:
            if root and (root / name).is_file():
                return root / name
        raise UserError(
            f"data.root={self.root} has no {' or '.join(TABLES)}; give the folder of ESC-50 "
            "(github.com/karolpiczak/ESC-50), which has that table and audio/."
        )


class _Row(NamedTuple):
    """A row of the table, as the columns say."""

    filename: str
    fold: int
    category: str
    is_esc10: bool
    recording: str


def _read_rows(path: Path, findings: Findings) -> list[_Row]:
    table = Table(str(path), _COLUMNS, "take it from github.com/karolpiczak/ESC-50")
    rows: dict[str, _Row] = {}
    for row in table:
        filename, fold, category, esc10, recording = row.values
        number, truth = fold_of(fold), _TRUTH.get(esc10.casefold())
        if not all(row.values) or number is None or truth is None:
            raise table.error(
                row.line,
                f"{table.shown(row)} needs a filename, a fold from 1 to 5, a category, True or False as "
                "esc10, and a src_file",
                "fix that row",
            )
        if filename in rows:
            findings.listed_twice.add(filename)
        rows.setdefault(filename, _Row(filename, number, category, truth, recording))
    return list(rows.values())
