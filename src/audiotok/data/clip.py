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
    """Where the bytes of a clip are.

    Args:
        layout: The module of `audiotok.data.layout` that reads them.
        path: A file or a container of many clips, or the URL of one.
        entry: The place inside a container, in the layout's own notation; "" for a whole file.
    """

    layout: str
    path: str
    entry: str = ""

    def __str__(self) -> str:
        return f"{self.path}::{self.entry}" if self.entry else self.path


@dataclass(frozen=True, slots=True)
class Clip:
    """One recording.

    Args:
        id: Unique within its corpus.
        location: Where its bytes are; None if the clip is listed but missing.
        labels: Indices into the listing's classes.
        split: The split that it belongs to.
        seconds: Length, s; 0.0 until the clip has been inspected.
        digest: 64-bit digest of its bytes; 0 until the clip has been inspected.
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
    """

    listed_twice: Tally = field(default_factory=Tally)
    found_twice: Tally = field(default_factory=Tally)
    not_listed: Tally = field(default_factory=Tally)
    unknown_labels: Tally = field(default_factory=Tally)


@dataclass(frozen=True, slots=True)
class Listing:
    """The classes and clips of a data source, before any audio is opened."""

    classes: tuple[SoundClass, ...]
    clips: tuple[Clip, ...]
    findings: Findings = field(default_factory=Findings)
