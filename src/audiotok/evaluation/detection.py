"""Scores of detected events: by segments of a second, and event by event.

Source: A. Mesaros, T. Heittola, T. Virtanen, "Metrics for polyphonic sound event detection", Applied Sciences
2016. Counts equal those of sed_eval, which the tests compare them with.
"""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

SEGMENT = 1.0  # s
COLLAR = 0.5  # s, by which a beginning or an end may be off
SHARE = 0.2  # of an event's length, by which its end may be off where that is more


class Event(NamedTuple):
    """A stretch of a sound in which a class is heard.

    Args:
        start: Where it begins, s.
        end: Where it ends, s.
        sound_class: Place of the class among C.
    """

    start: float
    end: float
    sound_class: int


class Counts(NamedTuple):
    """How often a class was found, claimed and missed, each int64 (C,)."""

    hits: np.ndarray
    false_alarms: np.ndarray
    misses: np.ndarray

    @classmethod
    def total(cls, counts: Iterable["Counts"]) -> "Counts":
        """Add up counts of several sounds."""
        return cls(*(np.sum(part, axis=0) for part in zip(*counts, strict=True)))

    @property
    def f1(self) -> np.ndarray:
        """F1 of each class (C,), 0 where nothing was found; NaN for a class without an event."""
        n = 2 * self.hits + self.false_alarms + self.misses
        f1 = np.divide(2.0 * self.hits, n, out=np.zeros(len(n)), where=n > 0)
        return np.where(self.hits + self.misses > 0, f1, np.nan)

    @property
    def micro(self) -> float:
        """F1 of all classes together."""
        n = 2 * self.hits.sum() + self.false_alarms.sum() + self.misses.sum()
        return float(2 * self.hits.sum() / n) if n else 0.0

    @property
    def macro(self) -> float:
        """The mean F1 of the classes with at least one event."""
        f1 = self.f1
        return float(np.nanmean(f1)) if np.isfinite(f1).any() else 0.0


def activity(events: Iterable[Event], seconds: float, n_classes: int) -> np.ndarray:
    """Tell in which segments classes are heard at all: bool (segments, C).

    Args:
        events: Of one sound.
        seconds: Its length; what is behind it does not count.
        n_classes: C.
    """
    n_segments = max(1, math.ceil(seconds / SEGMENT))
    heard = np.zeros((n_segments, n_classes), bool)
    for start, end, sound_class in events:
        heard[math.floor(start / SEGMENT) : math.ceil(end / SEGMENT), sound_class] = True
    return heard


def segment_counts(found: np.ndarray, there: np.ndarray) -> Counts:
    """Compare what was found with what is there, both bool (segments, C)."""
    return Counts((found & there).sum(0), (found & ~there).sum(0), (~found & there).sum(0))


def event_counts(found: Sequence[Event], there: Sequence[Event], n_classes: int) -> Counts:
    """Compare the events that were found in a sound with those that are there.

    Two events match if they are of one class, begin within the collar of each other, and end within the
    collar or a share of the true length. As many pairs are formed as possible, each event in one at most.

    Args:
        found: Detected.
        there: True.
        n_classes: C.
    """
    hits, n_found, n_there = (np.zeros(n_classes, np.int64) for _ in range(3))
    for sound_class in {event.sound_class for event in (*found, *there)}:
        claimed = [event for event in found if event.sound_class == sound_class]
        true = [event for event in there if event.sound_class == sound_class]
        fits = [[j for j, other in enumerate(claimed) if _match(one, other)] for one in true]
        hits[sound_class] = _n_pairs(fits)
        n_found[sound_class], n_there[sound_class] = len(claimed), len(true)
    return Counts(hits, n_found - hits, n_there - hits)


def _match(true: Event, claimed: Event) -> bool:
    late = max(COLLAR, SHARE * (true.end - true.start))
    return abs(true.start - claimed.start) <= COLLAR and abs(true.end - claimed.end) <= late


def _n_pairs(fits: Sequence[Sequence[int]]) -> int:
    """Return the most pairs of which no two share a member, where `fits` lists the partners of each.

    By augmenting paths (H. Kuhn, "The Hungarian Method for the assignment problem", 1955).
    """
    partner: dict[int, int] = {}

    def place(one: int, tried: set[int]) -> bool:
        for other in fits[one]:
            if other not in tried:
                tried.add(other)
                if other not in partner or place(partner[other], tried):
                    partner[other] = one
                    return True
        return False

    return sum(place(one, set()) for one in range(len(fits)))
