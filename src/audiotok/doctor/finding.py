"""What a check says: one line, how bad it is, what to do, and the figures behind it."""

from dataclasses import dataclass, field
from typing import Any, Literal

State = Literal["good", "doubtful", "bad"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found.

    Args:
        topic: Its name, one word for programs.
        state: Good; doubtful where runs have worked with it; bad where none will.
        says: What is the case, a sentence with its numbers.
        advice: What to do, a sentence; "" where nothing is to be done.
        figures: The numbers, JSON-like.
    """

    topic: str
    state: State
    says: str
    advice: str = ""
    figures: dict[str, Any] = field(default_factory=dict)


class NotMadeError(Exception):
    """A check cannot be made; the message says why."""


def graded(value: float, doubtful: float, bad: float) -> State:
    """Grade a value by two limits, which it reaches from below where doubtful < bad, else from above.

    NaN is bad.
    """
    if doubtful > bad:
        value, doubtful, bad = -value, -doubtful, -bad
    if value < doubtful:
        return "good"
    return "doubtful" if value < bad else "bad"


def worst(*states: State) -> State:
    """Return the worst of some states."""
    return max(states, key=("good", "doubtful", "bad").index)
