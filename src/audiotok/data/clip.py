"""The nouns of a corpus: a class, a clip, and the listing in which a data source states both."""

from dataclasses import dataclass
from typing import Literal, Protocol

from audiotok.data.limits import Limits

Split = Literal["train", "val", "test"]
Cache = Literal["none", "frames"]
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
        digest: Of the bytes; "" until it has been inspected.
    """

    id: str
    location: Location | None
    labels: tuple[int, ...]
    split: Split
    seconds: float = 0.0
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """What the metadata of a data source says, before any audio file is opened."""

    classes: tuple[SoundClass, ...]
    clips: tuple[Clip, ...]


class Source(Protocol):
    """What every option of the config group `data` builds."""

    clip_seconds: float
    limits: Limits
    cache: Cache

    def read(self) -> Listing:
        """Read the metadata; raise `UserError` where it is missing or broken."""
        ...
