"""Your own sounds: a CSV file with a path, labels and a split for each clip."""

from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import Literal

from audiotok.data.clip import SPLITS, Clip, Findings, Listing, Location, SoundClass, Split
from audiotok.data.reading.delimited import Table
from audiotok.data.reading.files import Files, fingerprint, fingerprint_of_content
from audiotok.data.source import Source
from audiotok.errors import UserError

_COLUMNS = ("path_column", "labels_column", "split_column")


@dataclass(frozen=True, kw_only=True)
class CSV(Source):
    """Clips listed in a CSV file.

    Args:
        root: The CSV file.
        audio_folder: Folder that the paths in the CSV are relative to: absolute, or relative to the folder of
            the CSV; None is the folder of the CSV.
        path_column: Column with the path of the audio file.
        labels_column: Column with the labels of the clip.
        label_separator: Separates the labels of a clip.
        split_column: Column with train, val or test.
        classes: "table" uses every label of the CSV, "present" only those of the training clips.

    The other arguments are those of `Source`; `validation` has no effect if the CSV has clips with the split
    val.
    """

    root: str | None = None
    audio_folder: str | None = None
    path_column: str = "path"
    labels_column: str = "labels"
    label_separator: str = ";"
    split_column: str = "split"
    classes: Literal["table", "present"] = "present"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.label_separator:
            raise UserError(
                'data.label_separator="" is empty; give the character that separates labels, for example ";".'
            )

    def check_tables(self) -> None:
        """Check that the CSV is present and has the columns."""
        self._open_table()

    def fingerprint_of_tables(self) -> str:
        """Return a name for the bytes of the CSV."""
        return fingerprint_of_content([str(self._path())])

    def fingerprint_of_audio(self) -> str:
        """Return a name for the files that the CSV lists, made of their sizes and times."""
        locations = [clip.location for clip in self.read().clips]
        return fingerprint(Files().stat(location.path) for location in locations if location)

    def read(self) -> Listing:
        """Read the CSV.

        Raises:
            UserError: The file or a column is missing, or a row is broken.
        """
        findings = Findings()
        listed = self._read_rows(findings)
        names = sorted({name for _, labels, split in listed for name in labels if self._counts(split)})
        index = {name: i for i, name in enumerate(names)}
        has_val = any(split == "val" for _, _, split in listed)
        folder = self._path().parent / Path(self.audio_folder or "").expanduser()
        clips = tuple(
            Clip(
                path,
                Location("folders", str(folder / path)),
                tuple(sorted({index[name] for name in labels if name in index})),
                "val" if split == "train" and not has_val and self.validation.takes(path) else split,
            )
            for path, labels, split in listed
        )
        return Listing(tuple(SoundClass(name, name) for name in names), clips, findings)

    def _path(self) -> Path:
        path = Path(self.root).expanduser() if self.root else None
        if path is None or not path.is_file():
            raise UserError(
                f"data.root={self.root} is not a file; give a CSV with the columns {self.path_column}, "
                f"{self.labels_column} and {self.split_column} (train, val or test)."
            )
        return path

    def _counts(self, split: str) -> bool:
        return self.classes == "table" or split == "train"

    def _read_rows(self, findings: Findings) -> list[tuple[str, list[str], Split]]:
        """Return the path, the labels and the split of every row; of one path, the first row counts."""
        table = self._open_table()
        rows: dict[str, tuple[str, list[str], Split]] = {}
        for row in table:
            path, labels, named = row.values
            split = next((split for split in SPLITS if split == named.casefold()), None)
            if split is None or not path:
                raise table.error(
                    row.line,
                    f"{table.shown(row)} needs a path, labels, and train, val or test as its split",
                )
            if path in rows:
                findings.listed_twice.add(path)
            separated = (label.strip() for label in labels.split(self.label_separator))
            rows.setdefault(path, (path, [label for label in separated if label], split))
        return list(rows.values())

    def _open_table(self) -> Table:
        path = self._path()
        table = Table(str(path), [getattr(self, key) for key in _COLUMNS], "give another data.root")
        for key in _COLUMNS:
            if (column := getattr(self, key)) in table.missing:
                raise UserError(
                    f"data.{key}={column} is not a column of {path}, which has "
                    f"{shorten(', '.join(table.names), 500) or 'none'}; name one of these."
                )
        return table
