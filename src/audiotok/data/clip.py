"""The nouns of a corpus: a class, a clip, and the listing in which a data source states both."""

from dataclasses import dataclass, field
from typing import Literal

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class SoundClass:
    """What may be heard in a clip: an id (AudioSet's mid, or a name) and a name for people."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Location:
    """Where the bytes of a clip are.

    Args:
        layout: The module of `audiotok.data.layout` that reads them.
        path: A file, a container of many clips, or a URL of either.
        entry: The place inside a container, as the layout writes it; "" for a whole file.
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
        location: Where its bytes are, or None where the listing names a clip that is not there.
        labels: Indices into the listing's classes.
        split: The part of the corpus that it belongs to.
        seconds: Length in s; 0.0 until it has been inspected.
        digest: Of the bytes, 64 bits; 0 until it has been inspected.
    """

    id: str
    location: Location | None
    labels: tuple[int, ...]
    split: Split
    seconds: float = 0.0
    digest: int = 0


@dataclass(slots=True)
class Tally:
    """How many there are of something, and the first three."""

    n: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, example: str) -> None:
        """Count one."""
        self.n += 1
        if len(self.examples) < 3:
            self.examples.append(example)


@dataclass(slots=True)
class Findings:
    """Where what is listed and what lies on the disk disagree.

    Args:
        listed_twice: Ids that are listed more than once; the first row counts.
        found_twice: Ids that lie there more than once; one is taken.
        not_listed: Files or entries of a container that are in no list.
        unknown_labels: Labels of clips that are no class, and are left out.
    """

    listed_twice: Tally = field(default_factory=Tally)
    found_twice: Tally = field(default_factory=Tally)
    not_listed: Tally = field(default_factory=Tally)
    unknown_labels: Tally = field(default_factory=Tally)


@dataclass(frozen=True, slots=True)
class Listing:
    """What a data source lists and finds, before any audio is opened."""

    classes: tuple[SoundClass, ...]
    clips: tuple[Clip, ...]
    findings: Findings = field(default_factory=Findings)
