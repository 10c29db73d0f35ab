"""The events of clips against what a run hears in them, window by window."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from audiotok.data.audio import UnreadableError, read_mono
from audiotok.data.corpus.catalogue import Catalogue
from audiotok.data.layout.layout import sound_of
from audiotok.errors import UserError
from audiotok.evaluation.detection import (
    SEGMENT,
    Counts,
    Event,
    activity,
    event_counts,
    segment_counts,
)
from audiotok.evaluation.events import name_of
from audiotok.prediction.results import Scores
from audiotok.prediction.tagger import TrainedRun

_CANDIDATES = 25  # thresholds that are tried for each class
Compare = Callable[[list[Event], list[Event], float, int], Counts]


@dataclass(frozen=True)
class Heard:
    """One clip.

    Args:
        scores: What the run hears in it, C classes.
        events: What is there.
    """

    scores: Scores
    events: list[Event]


def listen(
    run: TrainedRun,
    columns: np.ndarray,
    clips: Catalogue,
    events: Mapping[str, list[Event]],
    window: float,
    overlap: float,
) -> Iterator[Heard]:
    """Read the clips whose events are known.

    Where windows overlap, the score of a moment is the mean of the windows that cover it.

    Args:
        run: A finished run.
        columns: Places of the C classes among the run's.
        clips: Usable clips.
        events: By `name_of` of the clip; one without an entry is passed over.
        window: Length of a window, s.
        overlap: What neighbouring windows share, s.

    Raises:
        UserError: A clip can no longer be read, or a number is impossible.
    """
    for clip in clips:
        there = events.get(name_of(clip.id))
        if there is None or clip.location is None:
            continue
        try:
            samples, rate = read_mono(sound_of(clip.location))
        except UnreadableError as error:
            raise UserError(
                f"{clip.location} cannot be read ({error}); start again with data.scan=always."
            ) from error
        scores = run.predict(samples, rate, window=window, overlap=overlap)
        classes = [run.classes[i] for i in columns]
        scores = moments(replace(scores, classes=classes, scores=scores.scores[:, columns]))
        known = [event._replace(end=min(event.end, scores.seconds)) for event in there]
        yield Heard(scores, [event for event in known if event.start < event.end])


def moments(scores: Scores) -> Scores:
    """Turn overlapping windows into stretches that follow each other, with the means of their windows."""
    bounds = np.unique(np.concatenate([scores.starts, scores.ends]))
    starts, ends = bounds[:-1], bounds[1:]
    covers = (scores.starts <= starts[:, None]) & (scores.ends >= ends[:, None])  # (stretches, W)
    means = covers @ scores.scores / covers.sum(1, keepdims=True)
    return replace(scores, starts=starts, ends=ends, scores=means.astype(np.float32))


def by_segment(found: list[Event], there: list[Event], seconds: float, n_classes: int) -> Counts:
    """Compare segments of a second."""
    return segment_counts(activity(found, seconds, n_classes), activity(there, seconds, n_classes))


def by_event(found: list[Event], there: list[Event], seconds: float, n_classes: int) -> Counts:
    """Compare event by event."""
    return event_counts(found, there, n_classes)


COMPARE: dict[str, Compare] = {f"segment_{SEGMENT:g}s": by_segment, "event": by_event}


def counts(clips: Sequence[Heard], thresholds: np.ndarray, compare: Compare) -> Counts:
    """Count over clips what thresholds (C,) find."""
    return Counts.total(
        compare(found(clip.scores, thresholds), clip.events, clip.scores.seconds, len(thresholds))
        for clip in clips
    )


def chance(clips: Sequence[Heard], thresholds: np.ndarray, compare: Compare, seed: int = 0) -> Counts:
    """Count what is right by chance: what is found in one clip is compared with the events of another."""
    order = np.roll(np.arange(len(clips)), 1)[np.argsort(np.random.default_rng(seed).permutation(len(clips)))]
    return Counts.total(
        compare(found(clips[other].scores, thresholds), clip.events, clip.scores.seconds, len(thresholds))
        for clip, other in zip(clips, order.tolist(), strict=True)
    )


def choose(clips: Sequence[Heard], compare: Compare) -> np.ndarray:
    """Return for each class the threshold with the highest F1 on these clips, float32 (C,).

    Candidates are quantiles of the scores of each class. A class without an event gets one that is never
    reached.
    """
    scores = np.concatenate([clip.scores.scores for clip in clips])
    grid = np.quantile(scores, 1 - np.geomspace(0.5 / len(scores), 0.5, _CANDIDATES), axis=0)
    f1 = np.stack([counts(clips, thresholds, compare).f1 for thresholds in grid])  # (candidates, C)
    best = grid[np.nan_to_num(f1).argmax(0), np.arange(f1.shape[1])]
    return np.where(np.isnan(f1[0]), 1.0, best).astype(np.float32)


def found(scores: Scores, thresholds: np.ndarray) -> list[Event]:
    """Return the detections of thresholds (C,) as events."""
    place = {sound_class: i for i, sound_class in enumerate(scores.classes)}
    return [Event(one.start, one.end, place[one.sound_class]) for one in scores.detections(thresholds)]
