"""What `audiotok predict` prints about a sound."""

from collections.abc import Iterator, Sequence

from audiotok.prediction.results import Scores

NONE = "none of these"


def lines_of(scores: Scores, thresholds: Sequence[float], top: int) -> Iterator[str]:
    """Give the lines about a sound, its name aside: its tags, or where they are heard if it is long.

    Args:
        scores: Of the sound.
        thresholds: Probability above which each class counts as heard, (C,).
        top: How many classes are shown.
    """
    if len(scores) == 1:
        yield from _tags(scores, thresholds, top)
    else:
        yield from _timeline(scores, thresholds, top)


def title_of(scores: Scores, thresholds: Sequence[float]) -> str:
    """Return the line above them."""
    length = "" if len(scores) == 1 else f", {clock(scores.seconds)}"
    nothing = "" if scores.heard(thresholds).any() else f": {NONE}"
    return f"{scores.source}{length}{nothing}"


def clock(seconds: float) -> str:
    """Return a time in s as h:mm:ss.s."""
    tenths = round(10 * seconds)
    return f"{tenths // 36000}:{tenths // 600 % 60:02}:{tenths % 600 / 10:04.1f}"


def _tags(scores: Scores, thresholds: Sequence[float], top: int) -> Iterator[str]:
    heard = dict(zip(scores.classes, scores.heard(thresholds)[0].tolist(), strict=True))
    of_class = dict(zip(scores.classes, thresholds, strict=True))
    for tag in scores.tags(top):
        below = "" if heard[tag.sound_class] else f" (heard above {of_class[tag.sound_class]:.2f})"
        yield f"  {tag.probability:6.3f}  {tag.sound_class.name}{below}"


def _timeline(scores: Scores, thresholds: Sequence[float], top: int) -> Iterator[str]:
    detections = scores.detections(thresholds)
    highest: dict[object, float] = {}
    for found in detections:
        highest[found.sound_class] = max(found.score, highest.get(found.sound_class, 0.0))
    shown = set(sorted(highest, key=lambda sound_class: -highest[sound_class])[:top])
    for found in detections:
        if found.sound_class in shown:
            stretch = f"{clock(found.start)} - {clock(found.end)}"
            yield f"  {stretch}  {found.score:6.3f}  {found.sound_class.name}"
    n_left_out = sum(found.sound_class not in shown for found in detections)
    if n_left_out:
        yield f"  and {n_left_out} detections of {len(highest) - top} more classes (--top {len(highest)})"
