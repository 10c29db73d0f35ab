"""The nouns of a corpus: a class, a clip, and the listing in which a data source states both."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from audiotok.data.inspection import Limits

Split = Literal["train", "val", "test"]
Cache = Literal["none", "frames"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class SoundClass:
    """What may be heard in a clip: an id (AudioSet's mid, or a name) and a name for people."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Clip:
    """One recording.

    Args:
        id: Unique within its corpus.
        path: The audio file, or None where the listing names a clip that has none.
        labels: Indices into the listing's classes.
        split: The part of the corpus that it belongs to.
        seconds: Length of the file in s; 0.0 until it has been inspected.
        digest: Of the bytes of the file; "" until it has been inspected.
    """

    id: str
    path: Path | None
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
