"""AudioSet as it lies on disks: segment CSVs in one folder, audio files in another.

Source of the format: research.google.com/audioset/download.html. Three header lines, then
`--PJHxphWEs, 30.000, 40.000, "/m/09x0r,/t/dd00088"`.
"""

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from audiotok.data.audio import EXTENSIONS
from audiotok.data.clip import Cache, Clip, Listing, Location, SoundClass, Split
from audiotok.data.files import Files
from audiotok.data.layout.layout import Found, choose_layout
from audiotok.data.limits import Limits
from audiotok.data.validation import Validation
from audiotok.errors import UserError

SourceSet = Literal["bal_train", "unbal_train", "eval"]

SEGMENTS: dict[SourceSet, str] = {
    "bal_train": "balanced_train_segments.csv",
    "unbal_train": "unbalanced_train_segments.csv",
    "eval": "eval_segments.csv",
}
CLASS_TABLE = "class_labels_indices.csv"

# The eleven characters of a YouTube id and an optional _start or _start-end; the same after a Y.
_ID_AND_TIMES = r"([A-Za-z0-9_-]{11})(?:_\d+(?:\.\d+)?(?:-\d+(?:\.\d+)?)?)?"
_STEMS = (re.compile(_ID_AND_TIMES), re.compile("Y" + _ID_AND_TIMES))


@dataclass(frozen=True, slots=True)
class Segment:
    """One row of a segments CSV: a YouTube id and the mids of its labels."""

    id: str
    mids: tuple[str, ...]


@dataclass(frozen=True)
class AudioSet:
    """AudioSet, or anything in its layout.

    Args:
        root: Folder of the corpus.
        metadata_folder: Where the CSVs are, below the root or absolute.
        audio_folder: Where the audio is, below the root or absolute.
        layout: How it lies there: a module of `audiotok.data.layout`, or "auto" to look.
        train_sets: Sets that are trained and validated on.
        test_sets: Sets that are tested on.
        classes: "table" for every class of the table (527 in AudioSet), "present" for those of the
            training clips.
        clip_seconds: What clips are padded or cropped to, s.
        validation: Which clips of the training sets validate.
        limits: Which files are skipped.
        cache: What is kept of decoded clips: "frames", their mel frames, or "none".
    """

    root: str | None
    metadata_folder: str
    audio_folder: str
    layout: str
    train_sets: list[SourceSet]
    test_sets: list[SourceSet]
    classes: Literal["table", "present"]
    clip_seconds: float
    validation: Validation
    limits: Limits
    cache: Cache

    def __post_init__(self) -> None:
        shared = sorted(set(self.train_sets) & set(self.test_sets))
        if shared:
            raise UserError(
                f"data.test_sets={self.test_sets} shares {shared[0]} with data.train_sets; "
                "test on clips that are not trained on."
            )

    def read(self) -> Listing:
        """Read the class table and the segments of every set, and find their files.

        Raises:
            UserError: The root or a CSV is missing, a row is broken, or a label is not in the table.
        """
        metadata = self._root() / self.metadata_folder
        classes = read_class_table(metadata / CLASS_TABLE)
        segments: dict[SourceSet, list[Segment]] = {
            name: list(read_segments(metadata / SEGMENTS[name], {c.id for c in classes}))
            for name in (*self.train_sets, *self.test_sets)
        }
        if self.classes == "present":
            present = {mid for name in self.train_sets for s in segments[name] for mid in s.mids}
            classes = [c for c in classes if c.id in present]
        index = {sound_class.id: i for i, sound_class in enumerate(classes)}
        clips: dict[str, Clip] = {}
        files, audio = Files(), str(self._root() / self.audio_folder)
        layout = choose_layout(self.layout, files, audio)
        for name, rows in segments.items():
            locations = locate(layout.find(files, audio, name), {row.id for row in rows})
            for row in rows:
                labels = tuple(sorted(index[mid] for mid in row.mids if mid in index))
                clip = Clip(row.id, locations.get(row.id), labels, self._split(name, row.id))
                clips.setdefault(row.id, clip)
        return Listing(tuple(classes), tuple(clips.values()))

    def _split(self, source_set: SourceSet, id_: str) -> Split:
        if source_set in self.test_sets:
            return "test"
        return "val" if self.validation.takes(id_) else "train"

    def _root(self) -> Path:
        root = Path(self.root).expanduser() if self.root else None
        if root is None or not (root / self.metadata_folder).is_dir():
            found = "is not set" if root is None else f"has no folder {self.metadata_folder}"
            raise UserError(
                f"data.root={self.root} {found}; give a folder that holds {self.metadata_folder}/ with "
                f"{CLASS_TABLE}, {', '.join(SEGMENTS.values())} "
                "(from research.google.com/audioset/download.html) and "
                f"{self.audio_folder}/<set>/<first two characters>/<id>.flac for the sets "
                f"{', '.join(SEGMENTS)} (cut from YouTube, or from huggingface.co/datasets/agkphysics/"
                "AudioSet)."
            )
        return root


def read_class_table(path: Path) -> list[SoundClass]:
    """Read `index,mid,display_name`, in the order of the index.

    Raises:
        UserError: The file is missing or a row is broken.
    """
    classes: dict[int, SoundClass] = {}
    with _open_csv(path) as file:
        for number, row in enumerate(csv.reader(file), start=1):
            if number == 1:
                continue
            if len(row) != 3 or not row[0].isdigit():
                raise UserError(f"{path}:{number}: {row} is not index,mid,display_name; mend that row.")
            classes[int(row[0])] = SoundClass(row[1], row[2])
    if not classes:
        raise UserError(f"{path} lists no classes; take the table from AudioSet's download page.")
    return [classes[index] for index in sorted(classes)]


def read_segments(path: Path, mids: set[str]) -> Iterator[Segment]:
    """Read the rows of a segments CSV.

    Args:
        path: A file such as `balanced_train_segments.csv`.
        mids: The label ids that may occur.

    Raises:
        UserError: The file is missing, a row is broken, or a label is not among the mids.
    """
    with _open_csv(path) as file:
        reader = csv.reader(_lines_with_closed_quotes(path, file), skipinitialspace=True)
        for row in reader:
            if not row or row[0].startswith("#"):
                continue
            if len(row) != 4 or not row[0] or not row[3]:
                raise UserError(
                    f"{path}:{reader.line_num}: {','.join(row)} is not "
                    'YTID, start_seconds, end_seconds, "labels"; mend or delete that row.'
                )
            labels = tuple(label.strip() for label in row[3].split(","))
            unknown = [label for label in labels if label not in mids]
            if unknown:
                raise UserError(
                    f"{path}:{reader.line_num}: label {unknown[0]} of clip {row[0]} is not in {CLASS_TABLE}; "
                    "use the table and the segments of one release."
                )
            yield Segment(row[0], labels)


def _lines_with_closed_quotes(path: Path, file: Iterable[str]) -> Iterator[str]:
    """Pass lines on; a quote left open would swallow those after it."""
    for number, line in enumerate(file, start=1):
        if line.count('"') % 2:
            raise UserError(f"{path}:{number}: a quote is never closed; mend or delete that row.")
        yield line


def _open_csv(path: Path):  # type: ignore[no-untyped-def]  # a context manager over an open file
    try:
        return path.open(newline="", encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"{path} cannot be read ({error.strerror}); it comes from "
            "research.google.com/audioset/download.html."
        ) from error


def id_of_stem(stem: str, ids: set[str]) -> str | None:
    """Return the listed YouTube id that a file name stands for, or None.

    `<id>`, `Y<id>`, `<id>_<start>` and `<id>_<start>-<end>` are understood. Ids may themselves begin
    with `Y`, `-` or `_` and contain `_`, so a name is never split: what is listed decides.
    """
    if stem in ids:
        return stem
    for pattern in _STEMS:
        match = pattern.fullmatch(stem)
        if match and match[1] in ids:
            return match[1]
    return None


def locate(found: Iterable[Found], ids: set[str]) -> dict[str, Location]:
    """Find listed clips among those that lie in a folder.

    Where a clip lies there several times, the first extension of `EXTENSIONS` is taken, and of these the
    first that is found.
    """
    locations: dict[str, Location] = {}
    for clip in found:
        id_ = id_of_stem(clip.name, ids)
        if id_ is None:
            continue
        if id_ not in locations or _rank(clip.location) < _rank(locations[id_]):
            locations[id_] = clip.location
    return locations


def _rank(location: Location) -> int:
    extension = location.path.rpartition(".")[2].lower()
    return EXTENSIONS.index(extension) if extension in EXTENSIONS else len(EXTENSIONS)
