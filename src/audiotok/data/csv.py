"""Your own sounds: a table with the path and the labels of each clip, or selections of recordings."""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from textwrap import shorten
from typing import Literal, NamedTuple

from audiotok.data.audio_folder import AudioFolder
from audiotok.data.clip import Clip, Findings, Listing, Location, SoundClass, Split
from audiotok.data.reading.files import Files, fingerprint, fingerprint_of_content
from audiotok.data.reading.labels import Splitter, UndecidedError, separated_by, splitter_of
from audiotok.data.reading.listed import ListedClip, ListedClips, read_listed
from audiotok.data.reading.selected import read_folder, read_selected, tables_in
from audiotok.data.splits import WORDS, Member, SplitSource, fold_of, recordings_of, splits_of_folds
from audiotok.errors import UserError
from audiotok.errors.ranges import Whole

log = logging.getLogger(__name__)


class _Row(NamedTuple):
    """A clip of the table: id, place, labels, split if it has one, and recording."""

    id: str
    location: Location
    labels: set[str]
    split: Split | None
    recording: str


@dataclass(frozen=True, kw_only=True)
class CSV(SplitSource):
    """Clips listed in a table: commas, semicolons or tabs, with a header.

    Columns that have their default names may have other usual ones: file or filename, label, category or
    species, set or subset, onset and offset, and so on. With a start and an end, or a duration, rows are
    stretches of recordings, and those of one recording stay in one split. Rows of one clip add their labels.
    The labels of a clip are separated by `;`, `|` or `,`, or are a list (`['a', 'b']`).

    The table may also be a label file of Audacity, a selection table of Raven or results of BirdNET, about
    the recordings that it names or the one beside it; or a folder of such tables and recordings, in which the
    id of a clip begins with the path of its recording.

    Args:
        root: The table, or the folder.
        audio_folder: Folder that the paths in the table are relative to: absolute, or relative to the folder
            of the table; None is the first that has one of the files: that of the table, `audio/` or the like
            in it or beside it.
        path_column: Column with the path of the audio file.
        labels_column: Column with the labels of the clip.
        label_separator: Separates the labels of a clip; "" if each has one label, None to find out.
        split_column: Column with train, val or test, or the like; None for none.
        fold_column: Column with the number of a fold; None for none.
        start_column: Column with the start of the clip in its recording, s; None for whole files.
        end_column: Column with its end, s.
        test_fold: The fold for testing; None is the first, if there is no column of splits.
        classes: "table" uses every label of the table, "present" only those of the training clips.
        group: As for `SplitSource`; or the name of a column.

    The other arguments are those of `SplitSource` and `Source`.
    """

    root: str | None = None
    audio_folder: str | None = None
    path_column: str = "path"
    labels_column: str = "labels"
    label_separator: str | None = None
    split_column: str | None = "split"
    fold_column: str | None = "fold"
    start_column: str | None = "start"
    end_column: str | None = "end"
    test_fold: Whole | None = None
    classes: Literal["table", "present"] = "present"

    def check_tables(self) -> None:
        """Check that the table can be used and a file exists, and say how the table is understood.

        Raises:
            UserError: It cannot, or none does.
        """
        table = self._read_table()
        listing = self._listing(table)
        self.check_listing(listing)
        names = [sound_class.name for sound_class in listing.classes]
        locations = [clip.location for clip in listing.clips if clip.location]
        if not any(Files().stat(location.path) for location in locations):
            raise UserError(
                f"data.root={self.root} lists {len(locations):,} clips, and none of the files exists, for "
                f"example {locations[0].path}; give the folder of the audio as data.audio_folder."
            )
        columns = [f"{role} in {column}" for role, column in table.columns.items() if role != column]
        given = {row.split for row in self._rows(table, Findings())}
        folds = self._folds(table.clips)
        log.info(
            "%s: %s clips of %s classes (%s)%s; %s.",
            self.root,
            f"{len(listing.clips):,}",
            f"{len(names):,}",
            shorten(", ".join(names), 200, placeholder="..."),
            f"; {', '.join(columns)}" if columns else "",
            self.origin_of_splits(
                given, min(folds, default=None) if self.test_fold is None else self.test_fold
            ),
        )

    def fingerprint_of_tables(self) -> str:
        """Return a name for the bytes of the table."""
        path = self._path()
        return fingerprint_of_content(tables_in(path, self.path_column) if path.is_dir() else [str(path)])

    def fingerprint_of_audio(self) -> str:
        """Return a name for the files that the table lists, made of their sizes and times."""
        locations = [clip.location for clip in self.read().clips]
        paths = dict.fromkeys(location.path for location in locations if location)
        return fingerprint(map(Files().stat, paths))

    def read(self) -> Listing:
        """Read the table.

        Raises:
            UserError: The file or a column is missing, or a row is broken.
        """
        return self._listing(self._read_table())

    def _listing(self, table: ListedClips) -> Listing:
        findings = Findings()
        rows = self._rows(table, findings)
        splits = self.choose_splits([Member(row.id, row.recording, row.labels, row.split) for row in rows])
        names = sorted(
            {
                name
                for row, split in zip(rows, splits, strict=True)
                for name in row.labels
                if self.classes == "table" or split == "train"
            }
        )
        index = {name: number for number, name in enumerate(names)}
        clips = (
            Clip(
                row.id,
                row.location,
                tuple(sorted(index[name] for name in row.labels if name in index)),
                split,
            )
            for row, split in zip(rows, splits, strict=True)
        )
        return Listing(tuple(SoundClass(name, name) for name in names), tuple(clips), findings)

    def _read_table(self) -> ListedClips:
        columns = {
            "path": self.path_column,
            "labels": self.labels_column,
            "split": self.split_column,
            "fold": self.fold_column,
            "start": self.start_column,
            "end": self.end_column,
        }
        path = self._path()
        if path.is_dir():
            table = read_folder(path, self.labels_column, self.path_column)
            return table._replace(clips=self._named_by_files(path, table.clips))
        selected = read_selected(str(path), self.labels_column, self.path_column)
        return selected or read_listed(str(path), columns, self.group)

    def _named_by_files(self, folder: Path, clips: Sequence[ListedClip]) -> list[ListedClip]:
        """Return the clips of tables in a folder with the paths of their recordings below the folder."""
        named = []
        for table, some in groupby(clips, lambda clip: clip.table):
            rows = [*some]
            beside = folder / "table" if self.audio_folder else Path(table)
            audio = AudioFolder(beside, self.audio_folder, (clip.path for clip in rows))
            paths = {clip.path: os.path.relpath(audio.locate(clip.path), folder) for clip in rows}
            named += [clip._replace(path=paths[clip.path]) for clip in rows]
        return named

    def _rows(self, table: ListedClips, findings: Findings) -> list[_Row]:
        """Return the clips of a table; rows of one clip add their labels, if they have the same split."""
        split_labels, splits = self._splitter(table.clips), self._given(table.clips)
        path = self._path()
        audio = (
            AudioFolder(path / "table", ".", ())
            if path.is_dir()
            else AudioFolder(path, self.audio_folder, (clip.path for clip in table.clips))
        )
        locate = cache(audio.locate)
        rows: dict[str, _Row] = {}
        for clip, split in zip(table.clips, splits, strict=True):
            id_, labels = clip.id, split_labels(clip.labels)
            known = rows.get(id_)
            if known is None:
                location = Location("folders", locate(clip.path), start=clip.start, end=clip.end)
                rows[id_] = _Row(id_, location, {*labels}, split, clip.recording or clip.path)
            elif known.split == split and not known.labels.issuperset(labels):
                known.labels.update(labels)
            else:
                findings.listed_twice.add(id_)
        if self.group is None or "recording" in table.columns:
            return [*rows.values()]
        named = recordings_of([*rows], self.group)
        return [row._replace(recording=name) for row, name in zip(rows.values(), named, strict=True)]

    def _splitter(self, clips: Sequence[ListedClip]) -> Splitter:
        if self.label_separator is not None:
            return separated_by(self.label_separator)
        try:
            return splitter_of({clip.labels for clip in clips})
        except UndecidedError as error:
            cell = str(error)
            [clip, *_] = (clip for clip in clips if clip.labels == cell)
            raise clip.error(
                f'"{shorten(cell, 200)}" may be one label or several',
                """give data.label_separator="','" if commas separate labels, or data.label_separator= """
                "(nothing) if each clip has one label",
            ) from None

    def _given(self, clips: Sequence[ListedClip]) -> list[Split | None]:
        """Return the splits that the table gives its clips, by names or by folds."""
        if folds := self._folds(clips):
            return splits_of_folds(folds, self.test_fold, str(self.root))
        cells = [clip.split for clip in clips]
        if not any(cells):
            cells = [clip.fold for clip in clips]
        if self.test_fold is not None:
            raise UserError(
                f"data.test_fold={self.test_fold} needs a column of folds, which {self.root} lacks; name it "
                "with data.fold_column, or choose data.test_fold=null."
            )
        if not any(cells):
            return [None] * len(cells)
        for clip, cell in zip(clips, cells, strict=True):
            if cell.casefold() not in WORDS:
                raise clip.error(f"{cell or 'nothing'} is not a split; a clip is of train, val or test")
        return [WORDS[cell.casefold()] for cell in cells]

    def _folds(self, clips: Sequence[ListedClip]) -> list[int]:
        """Return the folds of the clips, if folds give their splits; else nothing."""
        cells = [clip.split for clip in clips]
        if not any(cells) or (self.test_fold is not None and any(clip.fold for clip in clips)):
            cells = [clip.fold for clip in clips]
        folds = [fold for cell in cells if (fold := fold_of(cell)) is not None]
        return folds if len(folds) == len(cells) else []

    def _path(self) -> Path:
        """Return the table, or the folder of tables."""
        path = Path(self.root).expanduser() if self.root else None
        if path is None or not (path.is_file() or (path.is_dir() and tables_in(path, self.path_column))):
            is_folder = path is not None and path.is_dir()
            what = "is a folder without tables of selections" if is_folder else "is not a file"
            hint = ", or data=folder for a folder of sounds" if is_folder else ""
            raise UserError(
                f"data.root={self.root} {what}; give a CSV with the columns {self.path_column}, "
                f"{self.labels_column} and {self.split_column} (train, val or test){hint}."
            )
        return path
