"""FSD50K: 51,197 clips from Freesound, 0.3 to 30 s long, in 200 classes of the AudioSet ontology.

Source: E. Fonseca et al., "FSD50K: An Open Dataset of Human-Labeled Sound Events", IEEE/ACM Transactions on
Audio, Speech and Language Processing 30, 2022; zenodo.org/records/4060432.
"""

from dataclasses import dataclass, field
from pathlib import Path

from audiotok.data.clip import Clip, Findings, Listing, Location, SoundClass, Split
from audiotok.data.limits import Limits
from audiotok.data.reading.delimited import Row, Table
from audiotok.data.reading.files import Files, fingerprint, fingerprint_of_content
from audiotok.data.source import Source
from audiotok.data.validation import Validation
from audiotok.errors import UserError

TABLES = "FSD50K.ground_truth"
VOCABULARY = "vocabulary.csv"  # index,name,mid, without a header
_REMEDY = "take it from FSD50K.ground_truth.zip"
_OF_VOCABULARY = ("index", "name", "mid")
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
        findings = Findings()
        clips: dict[str, Clip] = {}
        for part, columns in _COLUMNS.items():
            table = Table(str(tables / f"{part}.csv"), columns, _REMEDY)
            for row in table:
                name, mids, split = _checked(table, row, index)
                if name in clips:
                    findings.listed_twice.add(name)
                    continue
                labels = tuple(sorted({index[mid] for mid in mids}))
                location = Location("folders", str(self._audio(part) / f"{name}.wav"))
                clips[name] = Clip(name, location, labels, self._split(name, split))
        return Listing(tuple(classes), tuple(clips.values()), findings)

    def _split(self, name: str, split: str) -> Split:
        if split == "test":
            return "test"
        if self.validation is None:
            return "val" if split == "val" else "train"
        return "val" if self.validation.takes(name) else "train"

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
    table = Table(str(path), _OF_VOCABULARY, _REMEDY, is_row=lambda row: row[2].startswith("/"))
    classes: dict[str, SoundClass] = {}
    for row in table:
        _, name, mid = row.values
        if not name or not mid:
            raise table.broken(row)
        if mid in classes:
            raise table.error(row.line, f"the class {mid} is listed twice", "keep one of the two rows")
        classes[mid] = SoundClass(mid, name.replace("_", " "))
    return list(classes.values())


def _checked(table: Table, row: Row, known: dict[str, int]) -> tuple[str, list[str], str]:
    """Return the name of a clip, its mids, and its split."""
    fname, listed = row.values[:2]
    split = row.values[2].casefold() if len(row.values) > 2 else "test"
    name = fname.removesuffix(".0")  # pandas makes floats of numbers in a column with gaps
    mids = [mid.strip() for mid in listed.split(",")]
    if not name or not all(mids) or (len(row.values) > 2 and split not in {"train", "val"}):
        raise table.broken(row)
    unknown = [mid for mid in mids if mid not in known]
    if unknown:
        raise table.error(
            row.line,
            f"label {unknown[0]} of clip {name} is not in {VOCABULARY}",
            "use the tables of one release",
        )
    return name, mids, split
