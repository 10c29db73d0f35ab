"""Your own sounds: a CSV file with a path, labels and a split for each clip."""

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import Literal

from audiotok.data.clip import Clip, Findings, Listing, Location, SoundClass, Split
from audiotok.data.reading.files import Files, fingerprint, fingerprint_of_content
from audiotok.data.source import Source
from audiotok.errors import UserError

_ENCODING = "utf-8-sig"  # Excel writes a byte order mark


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
        if not self.label_separator:
            raise UserError(
                'data.label_separator="" is empty; give the character that separates labels, for example ";".'
            )

    def check_tables(self) -> None:
        """Check that the CSV is present and has the columns."""
        path = self._path()
        with _readable(path), path.open(newline="", encoding=_ENCODING) as file:
            self._check_columns(path, csv.DictReader(file).fieldnames or ())

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
        path, findings = self._path(), Findings()
        with _readable(path):
            rows = self._read_rows(path, findings)
        listed = [(row, self._labels(row)) for row in rows]
        names = sorted(
            {name for row, labels in listed for name in labels if self._counts(row[self.split_column])}
        )
        index = {name: i for i, name in enumerate(names)}
        has_val = any(row[self.split_column] == "val" for row in rows)
        folder = path.parent / Path(self.audio_folder or "").expanduser()
        clips = tuple(
            Clip(
                row[self.path_column],
                Location("folders", str(folder / row[self.path_column])),
                tuple(sorted({index[name] for name in labels if name in index})),
                self._split(row, has_val),
            )
            for row, labels in listed
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

    def _labels(self, row: dict[str, str]) -> list[str]:
        labels = row[self.labels_column].split(self.label_separator)
        return [label.strip() for label in labels if label.strip()]

    def _split(self, row: dict[str, str], has_val: bool) -> Split:
        split = row[self.split_column]
        if split == "train" and not has_val and self.validation.takes(row[self.path_column]):
            return "val"
        return split  # type: ignore[return-value]  # checked in _read_rows

    def _read_rows(self, path: Path, findings: Findings) -> list[dict[str, str]]:
        rows: dict[str, dict[str, str]] = {}
        with path.open(newline="", encoding=_ENCODING) as file:
            reader = csv.DictReader(file)
            self._check_columns(path, reader.fieldnames or ())
            for row in reader:
                split, name = row[self.split_column], row[self.path_column]
                is_path = bool(name) and "\0" not in name
                if split not in {"train", "val", "test"} or not is_path or row[self.labels_column] is None:
                    shown = shorten(str(list(row.values())), 200, placeholder="...")
                    raise UserError(
                        f"{path}:{reader.line_num}: {shown} needs a path, labels, and train, "
                        "val or test as its split; fix or delete that row."
                    )
                if name in rows:
                    findings.listed_twice.add(name)
                rows.setdefault(name, row)
        return list(rows.values())

    def _check_columns(self, path: Path, names: Sequence[str]) -> None:
        for key in ("path_column", "labels_column", "split_column"):
            if (column := getattr(self, key)) not in names:
                raise UserError(
                    f"data.{key}={column} is not a column of {path}, which has "
                    f"{', '.join(names) or 'none'}; name one of these."
                )


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Report the errors of reading a CSV to the user."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text ({error.reason}); save it as UTF-8.") from error
    except csv.Error as error:
        raise UserError(f"{path} is not a CSV ({error}); look for a quote that is not closed.") from error
