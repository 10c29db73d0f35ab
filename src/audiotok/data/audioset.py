"""AudioSet on disk: segment CSVs in one folder, audio files or containers in another.

A file holds one segment of a video: the times in the CSVs tell segments apart, and no file is cut by them.
"""

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal

from audiotok.data.clip import Clip, Findings, Listing, Location, SoundClass, Split
from audiotok.data.layout.layout import Found, choose_layout
from audiotok.data.layout.segments import (
    CLASS_TABLE,
    SEGMENTS,
    Segment,
    SourceSet,
    Videos,
    read_class_table,
    read_segments,
)
from audiotok.data.layout.spelling import id_of_stem, locate
from audiotok.data.reading.files import Files, fingerprint, fingerprint_of_content, is_url, join
from audiotok.data.source import Source
from audiotok.errors import UserError


@dataclass(frozen=True, kw_only=True)
class AudioSet(Source):
    """AudioSet, or any corpus with the same layout.

    Args:
        root: Folder of the corpus.
        metadata_folder: Folder of the CSVs, absolute or relative to the root.
        audio_folder: Folder of the audio, absolute or relative to the root.
        layout: How the audio is stored: a module of `audiotok.data.layout`, or "auto" to find out.
        train_sets: Sets for training and validation.
        test_sets: Sets for testing.
        classes: "table" uses every class of the class table (527 in AudioSet), "present" only those of the
            training clips.

    The other arguments are those of `Source`.
    """

    root: str | None = None
    metadata_folder: str = "metadata"
    audio_folder: str = "audio"
    layout: str = "auto"
    train_sets: list[SourceSet] = field(default_factory=lambda: ["bal_train"])
    test_sets: list[SourceSet] = field(default_factory=lambda: ["eval"])
    classes: Literal["table", "present"] = "table"

    def __post_init__(self) -> None:
        super().__post_init__()
        shared = sorted(set(self.train_sets) & set(self.test_sets))
        if shared:
            raise UserError(
                f"data.test_sets={self.test_sets} shares {shared[0]} with data.train_sets; "
                "test on clips that are not used for training."
            )

    def check_tables(self) -> None:
        """Check that the root and the folder of the audio exist, but for a URL, where looking may be slow.

        Raises:
            UserError: One of them does not.
        """
        if self.root and is_url(self.root):
            return
        audio = self._audio()
        if not Files().exists(audio):
            raise UserError(
                f"data.audio_folder={self.audio_folder}: {audio} does not exist; name the folder of the "
                "audio, absolute or relative to data.root."
            )

    def fingerprint_of_tables(self) -> str:
        """Return a name for the bytes of the CSVs."""
        return fingerprint_of_content(self._tables())

    def fingerprint_of_audio(self) -> str:
        """Return the layout and a name for the audio files or shards, made of their sizes and times."""
        files, audio = Files(), self._audio()
        layout = choose_layout(self.layout, files, audio)
        entries = (entry for name in self._sets for entry in layout.entries(files, audio, name))
        return f"{layout.name} {fingerprint(entries)}"

    def read(self) -> Listing:
        """Read the class table and the segments of every set, and find their audio.

        Without any CSV, classes and labels come from the containers.

        Raises:
            UserError: The root or a CSV is missing, a row is broken, a label is not in the table, or none of
                the listed clips is found.
        """
        findings = Findings()
        left_over: dict[str, str] = {}
        has_tables = any(Files().exists(path) for path in self._tables())
        classes = read_class_table(self._tables()[0]) if has_tables else None
        known = {c.id for c in classes} if classes is not None else None
        videos = Videos()
        sets = {name: self._read_set(name, known, videos, findings, left_over) for name in self._sets}
        listed = {row.video for rows, _ in sets.values() for row in rows}
        for place, clip_name in left_over.items():  # a file may be in a folder that names no set
            if id_of_stem(clip_name, listed) is None:
                findings.not_listed.add(place)
        if classes is None:
            carried = {label for rows, _ in sets.values() for row in rows for label in row.labels}
            classes = [SoundClass(label, label) for label in sorted(carried)]
        if self.classes == "present":
            present = {label for name in self.train_sets for row in sets[name][0] for label in row.labels}
            classes = [c for c in classes if c.id in present]
        index = {sound_class.id: i for i, sound_class in enumerate(classes)}
        clips: dict[str, Clip] = {}
        for name, (rows, locations) in sets.items():
            for row in rows:
                if row.id in clips:
                    findings.listed_twice.add(row.id)
                    continue
                labels = tuple(sorted({index[label] for label in row.labels if label in index}))
                clips[row.id] = Clip(row.id, locations.get(row.id), labels, self._split(name, row.video))
        return Listing(tuple(classes), tuple(clips.values()), findings)

    def _read_set(
        self,
        name: SourceSet,
        known: set[str] | None,
        videos: Videos,
        findings: Findings,
        left_over: dict[str, str],
    ) -> tuple[list[Segment], dict[str, Location]]:
        """Return the listed clips of a set, and their locations by id.

        Args:
            name: The set.
            known: Ids of the classes; None accepts any.
            videos: Names the segments of all sets.
            findings: Receives the disagreements.
            left_over: Receives the names of clips that this set does not list, by location.
        """
        path, audio = self._segments(name), self._audio()
        found = list(choose_layout(self.layout, Files(), audio).find(Files(), audio, name))
        labelled = [clip for clip in found if clip.labels is not None]
        if labelled and not Files().exists(path):
            return _carried(labelled, known, findings, left_over)
        rows = [videos.named(row) for row in read_segments(path, known)]
        starts = {row.id: row.start_seconds for row in reversed(rows)}  # the first row of an id counts
        further: dict[str, list[str]] = {}
        for row in rows:
            if row.further_of:
                further.setdefault(row.further_of, []).append(row.id)
        ids = starts.keys() | further.keys() if further else starts
        locations = locate(found, ids, findings, left_over, starts, further)
        if rows and found and not locations:
            raise UserError(
                f"data.root={self.root}: none of the {len(rows):,} ids of {path} is "
                f"among the {len(found):,} clips of {name} in {audio}: the CSV lists "
                f"{_three(row.id for row in rows)}, the files are {_three(clip.name for clip in found)}; use "
                "one release of both, or name files by their ids."
            )
        return rows, locations

    def _split(self, source_set: SourceSet, id_: str) -> Split:
        if source_set in self.test_sets:
            return "test"
        return "val" if self.validation.takes(id_) else "train"

    @property
    def _sets(self) -> list[SourceSet]:
        return [*self.train_sets, *self.test_sets]

    def _tables(self) -> list[str]:
        """Return the paths of the class table and of the segments of every set."""
        table = join(join(self._root(), self.metadata_folder), CLASS_TABLE)
        return [table, *(self._segments(name) for name in self._sets)]

    def _segments(self, name: SourceSet) -> str:
        return join(join(self._root(), self.metadata_folder), SEGMENTS[name])

    def _audio(self) -> str:
        return join(self._root(), self.audio_folder)

    def _root(self) -> str:
        root = os.path.expanduser(self.root) if self.root else ""  # noqa: PTH111
        folders = [join(root, name) for name in (self.metadata_folder, self.audio_folder)]
        if not root or not any(Files().exists(folder) for folder in folders):
            found = f"has no folder {self.metadata_folder}" if root else "is not set"
            raise UserError(
                f"data.root={self.root} {found}; give a folder that contains "
                f"{self.metadata_folder}/ with {CLASS_TABLE}, {', '.join(SEGMENTS.values())} "
                "(from research.google.com/audioset/download.html) and "
                f"{self.audio_folder}/<set>/<first two characters>/<id>.flac for the sets "
                f"{', '.join(SEGMENTS)} (cut from YouTube, or from huggingface.co/datasets/agkphysics/"
                "AudioSet)."
            )
        return root


def _carried(
    found: list[Found], known: set[str] | None, findings: Findings, left_over: dict[str, str]
) -> tuple[list[Segment], dict[str, Location]]:
    """Return clips whose labels come from their containers, as if a CSV had listed them.

    A name that looks like a YouTube id with times is read as one if no other times occur with that id.
    """
    rows: list[Segment] = []
    short = {clip.name: id_of_stem(clip.name, None) or clip.name for clip in found}
    n_times = Counter(id_ for id_, _ in {(id_, name.rpartition(id_)[2]) for name, id_ in short.items()})
    ids = {name: id_ if n_times[id_] == 1 else name for name, id_ in short.items()}
    locations = locate(found, set(ids.values()), findings, left_over)
    for clip in found:
        id_ = ids[clip.name]
        if locations.get(id_) != clip.location:
            continue
        for label in clip.labels or ():
            if known is not None and label not in known:
                findings.unknown_labels.add(label)
        rows.append(Segment(id_, clip.labels or ()))
    return rows, locations


def _three(names: Iterable[str]) -> str:
    return ", ".join(islice(names, 3))
