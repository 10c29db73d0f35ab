"""The result of a check: one sentence, how bad it is, what to do, and the figures behind it."""

from dataclasses import dataclass, field
from typing import Any, Literal

State = Literal["good", "doubtful", "bad"]


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    Args:
        topic: Name of the check, one word for programs.
        state: "good"; "doubtful" if runs have worked in spite of it; "bad" if none will.
        says: What was found, a sentence with its numbers.
        advice: What to do, a sentence; "" if nothing needs to be done.
        figures: The numbers, JSON-like.
    """

    topic: str
    state: State
    says: str
    advice: str = ""
    figures: dict[str, Any] = field(default_factory=dict)


class NotMadeError(Exception):
    """A check is not possible; the message says why."""


def graded(value: float, doubtful: float, bad: float) -> State:
    """Grade a value by two limits; larger values are worse if doubtful < bad, else smaller ones.

    NaN is bad.
    """
    if doubtful > bad:
        value, doubtful, bad = -value, -doubtful, -bad
    if value < doubtful:
        return "good"
    return "doubtful" if value < bad else "bad"


def worst(*states: State) -> State:
    """Return the worst of several states."""
    return max(states, key=("good", "doubtful", "bad").index)
