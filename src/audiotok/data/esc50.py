"""ESC-50 and its subset ESC-10: recordings of 5 s, one class each, in 5 official folds.

Source: K. J. Piczak, "ESC: Dataset for Environmental Sound Classification", ACM Multimedia 2015.
"""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from audiotok.data.clip import Clip, Listing, Location, SoundClass, Split
from audiotok.data.reading.files import Files, fingerprint, fingerprint_of_content
from audiotok.data.source import Source
from audiotok.errors import UserError

_TABLES = ("meta/esc50.csv", "meta.csv", "esc50.csv")
_COLUMNS = ("filename", "fold", "category", "esc10", "src_file")


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
        rows = [row for row in _read_rows(table) if self.subset == "esc50" or row["esc10"] == "True"]
        folds = sorted({row["fold"] for row in rows})
        if str(self.test_fold) not in folds:
            raise UserError(f"data.test_fold={self.test_fold} is not in {table}; choose one of {folds}.")
        names = sorted({row["category"] for row in rows})
        audio = self._audio()
        clips = tuple(
            Clip(
                row["filename"],
                Location("folders", str(audio / row["filename"])),
                (names.index(row["category"]),),
                self._split(row),
            )
            for row in rows
        )
        return Listing(tuple(SoundClass(name, name.replace("_", " ")) for name in names), clips)

    def _split(self, row: dict[str, str]) -> Split:
        if row["fold"] == str(self.test_fold):
            return "test"
        return "val" if self.validation.takes(row["src_file"]) else "train"

    def _audio(self) -> Path:
        return Path(self.root or "").expanduser() / "audio"

    def _table(self) -> Path:
        root = Path(self.root).expanduser() if self.root else None
        for name in _TABLES:
            if root and (root / name).is_file():
                return root / name
        raise UserError(
            f"data.root={self.root} has no {' or '.join(_TABLES)}; give the folder of ESC-50 "
            "(github.com/karolpiczak/ESC-50), which has that table and audio/."
        )


def _read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        rows = []
        for row in reader:
            if any(not row.get(column) for column in _COLUMNS):
                raise UserError(
                    f"{path}:{reader.line_num}: a row lacks one of {', '.join(_COLUMNS)}; fix that row."
                )
            rows.append(row)
    return rows
