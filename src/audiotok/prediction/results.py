"""What a finished run says of a sound: scores by windows, tags, detections, tokens and embeddings.

Nothing here needs torch, and only `to_frame` needs pandas.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

import numpy as np

from audiotok.data.clip import SoundClass
from audiotok.errors import UserError


@dataclass(frozen=True, slots=True)
class Tag:
    """A class and its probability."""

    sound_class: SoundClass
    probability: float


@dataclass(frozen=True, slots=True)
class Detection:
    """A stretch of a sound in which a class is heard.

    Args:
        source: The sound, as `Scores.source`.
        start: Where the first window begins in which it is heard, s.
        end: Where the last of them ends, s.
        sound_class: The class.
        score: Its highest probability in these windows.
    """

    source: str
    start: float
    end: float
    sound_class: SoundClass
    score: float


@dataclass(frozen=True, slots=True)
class Windows:
    """The windows, W, that a sound was read in, in the order of their starts.

    Args:
        source: The file as it was given, or "array".
        starts: Where each begins, s, float64 (W,).
        ends: Where each ends, s, float64 (W,).
    """

    source: str
    starts: np.ndarray
    ends: np.ndarray

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def seconds(self) -> float:
        """Length of the sound, s."""
        return float(self.ends[-1])


@dataclass(frozen=True, slots=True)
class Scores(Windows):
    """The probability of every class in every window.

    Args:
        classes: What the columns of `scores` mean, C.
        scores: Probabilities, float32 (W, C).
        activation: "sigmoid" where any number of classes may be heard in a window, "softmax" where one is.
    """

    classes: Sequence[SoundClass]
    scores: np.ndarray
    activation: Literal["sigmoid", "softmax"] = "sigmoid"

    def maximum(self) -> np.ndarray:
        """Return the highest probability of every class, float32 (C,)."""
        return self.scores.max(0)

    def tags(self, top: int | None = None) -> list[Tag]:
        """Return the classes with their highest probabilities, the most probable first.

        Args:
            top: How many; None for all.
        """
        highest = self.maximum()
        order = np.argsort(-highest, kind="stable")[:top]
        return [Tag(self.classes[i], float(highest[i])) for i in order.tolist()]

    def heard(self, thresholds: float | Sequence[float] | np.ndarray) -> np.ndarray:
        """Tell in which windows each class is heard: bool (W, C).

        A class is heard where its probability is above its threshold; with softmax only the most probable
        class of a window can be.

        Args:
            thresholds: One for each class (C,), or one for all.
        """
        above = self.scores > np.broadcast_to(np.asarray(thresholds, np.float32), self.scores.shape[1:])
        if self.activation == "softmax":
            most_probable = np.zeros_like(above)
            most_probable[np.arange(len(self)), self.scores.argmax(1)] = True
            above &= most_probable
        return above

    def detections(self, thresholds: float | Sequence[float] | np.ndarray) -> list[Detection]:
        """Merge the windows in which a class is heard, where they overlap or follow each other.

        Args:
            thresholds: As for `heard`.

        Returns:
            The detections by their start, then by their score, the highest first.
        """
        heard, found = self.heard(thresholds), []
        for i in np.flatnonzero(heard.any(0)).tolist():
            windows = np.flatnonzero(heard[:, i])
            apart = self.starts[windows[1:]] > self.ends[windows[:-1]]
            for merged in np.split(windows, np.flatnonzero(apart) + 1):
                start, end = float(self.starts[merged[0]]), float(self.ends[merged[-1]])
                score = float(self.scores[merged, i].max())
                found.append(Detection(self.source, start, end, self.classes[i], score))
        return sorted(found, key=lambda detection: (detection.start, -detection.score))

    def to_frame(self) -> Any:
        """Return a pandas table with a row for each window: source, start, end, and a column for each class.

        Columns are named as classes are, or by their ids where two classes have one name.

        Raises:
            UserError: pandas is not installed.
        """
        names = [sound_class.name for sound_class in self.classes]
        if len(set(names)) < len(names):
            names = [sound_class.id for sound_class in self.classes]
        return _frame(self, dict(zip(names, self.scores.T, strict=True)))


@dataclass(frozen=True, slots=True)
class Tokens(Windows):
    """The tokens of every window.

    Args:
        tokens: int64 (W, T, Q); behind `lengths` they are padding.
        lengths: Positions of each window that are not padding, int64 (W,).
    """

    tokens: np.ndarray
    lengths: np.ndarray

    def to_frame(self) -> Any:
        """Return a pandas table with a row for each position, and a column for each codebook.

        The columns before them are source, the start and end of the window, and the position in it.

        Raises:
            UserError: pandas is not installed.
        """
        window, position = np.nonzero(np.arange(self.tokens.shape[1]) < self.lengths[:, None])
        columns = {"position": position}
        tokens = self.tokens[window, position]  # (positions, Q)
        columns |= {f"codebook_{i}": column for i, column in enumerate(tokens.T)}
        return _frame(Windows(self.source, self.starts[window], self.ends[window]), columns)


@dataclass(frozen=True, slots=True)
class Embeddings(Windows):
    """What the last layer of the model reads of every window.

    Args:
        vectors: float32 (W, H)
    """

    vectors: np.ndarray

    def mean(self) -> np.ndarray:
        """Return the mean over the windows, float32 (H,)."""
        return self.vectors.mean(0)

    def to_frame(self) -> Any:
        """Return a pandas table with a row for each window: source, start, end, and a column a dimension.

        Raises:
            UserError: pandas is not installed.
        """
        return _frame(self, {f"dimension_{i}": column for i, column in enumerate(self.vectors.T)})


def _frame(windows: Windows, columns: dict[str, np.ndarray]) -> Any:
    try:
        pandas = import_module("pandas")
    except ImportError as error:
        raise UserError(
            'to_frame() needs pandas, which is missing; install it with pip install "audiotok[predict]".'
        ) from error
    where = {"source": windows.source, "start": windows.starts, "end": windows.ends}
    return pandas.DataFrame({**where, **columns})
