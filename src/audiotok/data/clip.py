"""The nouns of a corpus: a class, a clip, its location, and the listing that a data source returns."""

from dataclasses import dataclass, field
from typing import Literal

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class SoundClass:
    """A class of sound: an id (AudioSet's mid, or a name) and a name for people."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Location:
    """Where a clip is: the place of its sound, and the stretch of the sound that it is.

    Args:
        layout: The module of `audiotok.data.layout` that reads the sound.
        path: A file or a container of many sounds, or the URL of one.
        entry: The place inside a container, in the layout's own notation; "" for a whole file.
        start: Where the clip begins in the sound, s.
        end: Where it ends, s, after `start`; None for the end of the sound.
    """

    layout: str
    path: str
    entry: str = ""
    start: float = 0.0
    end: float | None = None

    @property
    def is_stretch(self) -> bool:
        """Whether the clip is a part of its sound, cut at given times."""
        return self.start > 0 or self.end is not None

    def __str__(self) -> str:
        place = f"{self.path}::{self.entry}" if self.entry else self.path
        return f"{place} {times_of(self.start, self.end)} s" if self.is_stretch else place


def times_of(start: float, end: float | None) -> str:
    """Return the times of a stretch, s, as ids and messages have them: `10-12.5`, or `10-` to the end."""
    return "-".join("" if time is None else f"{time:.3f}".rstrip("0").rstrip(".") for time in (start, end))


def id_of_stretch(id_: str, start: float, end: float | None) -> str:
    """Return the id of a stretch of a clip: `<id>@<start>-<end>`, in s."""
    return f"{id_}@{times_of(start, end)}"


@dataclass(frozen=True, slots=True)
class Clip:
    """One recording, or a stretch of one.

    Args:
        id: Unique within its corpus.
        location: Where it is; None if the clip is listed but missing.
        labels: Indices into the listing's classes.
        split: The split that it belongs to.
        seconds: Length, s; 0.0 until the clip has been inspected.
        digest: 64-bit digest of its bytes, or of a stretch's samples; 0 until it has been inspected.
    """

    id: str
    location: Location | None
    labels: tuple[int, ...]
    split: Split
    seconds: float = 0.0
    digest: int = 0


@dataclass(slots=True)
class Tally:
    """A count, and the first three examples of what was counted."""

    n: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, example: str) -> None:
        """Count one more."""
        self.n += 1
        if len(self.examples) < 3:
            self.examples.append(example)


@dataclass(slots=True)
class Findings:
    """Disagreements between the metadata and the files.

    Args:
        listed_twice: Ids that are listed more than once; the first row counts.
        found_twice: Ids with more than one file; one of them is taken.
        not_listed: Files, or entries of a container, that are not listed.
        unknown_labels: Labels that are not in the class table; they are left out.
        not_audio: Files in a folder of sounds that are not audio, by their extensions.
        outside: Audio files in no folder of a class.
    """

    listed_twice: Tally = field(default_factory=Tally)
    found_twice: Tally = field(default_factory=Tally)
    not_listed: Tally = field(default_factory=Tally)
    unknown_labels: Tally = field(default_factory=Tally)
    not_audio: Tally = field(default_factory=Tally)
    outside: Tally = field(default_factory=Tally)


@dataclass(frozen=True, slots=True)
class Listing:
    """The classes and clips of a data source, before any audio is opened."""

    classes: tuple[SoundClass, ...]
    clips: tuple[Clip, ...]
    findings: Findings = field(default_factory=Findings)
