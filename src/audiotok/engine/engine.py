"""What every engine promises: each part is done once or reported, whatever becomes of the others."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from audiotok.errors import UnreachableError, UserError

log = logging.getLogger(__name__)
Part = TypeVar("Part")
Made = TypeVar("Made")
Numbered = Sequence[tuple[int, Any]]  # parts and their places among all


@dataclass(frozen=True, slots=True)
class Failed:
    """A part of which nothing was made.

    Args:
        reason: What happened.
        is_final: Whether trying again is vain, as what happened is for the user to mend.
    """

    reason: str
    is_final: bool = False


class Engine(ABC):
    """Map a function over parts.

    Args:
        retries: How often a part that fails is tried again.

    Raises:
        UserError: There are fewer retries than none.
    """

    def __init__(self, retries: int) -> None:
        if retries < 0:
            raise UserError(f"engine.retries={retries} is negative; choose 0 or more.")
        self.retries = retries

    def map(self, function: Callable[[Part], Made], parts: Sequence[Part]) -> Iterator[tuple[Part, Made]]:
        """Yield every part with what the function makes of it, as they are done, in any order.

        A part that fails is tried again when the others are done, so that what keeps failing holds nobody up.

        Args:
            function: Pickles, and makes of equal parts what is equal.
            parts: Pickle.

        Raises:
            UserError: The function says so of a part, at once; or a part has failed as often as it may, after
                all others.
        """
        if not parts:
            return
        waiting = list(enumerate(parts))
        for attempt in range(self.retries + 1):
            failed = dict.fromkeys((index for index, _ in waiting), Failed("its process ended"))
            for index, made in self._run(function, waiting):
                if not isinstance(made, Failed):
                    del failed[index]
                    yield parts[index], made
                elif made.is_final:
                    raise UserError(made.reason)
                else:
                    failed[index] = made
            if not failed:
                return
            waiting = [(index, part) for index, part in waiting if index in failed]
            for index, failure in failed.items():
                log.warning(
                    "Part %d of %d failed (%s), %s.",
                    index + 1,
                    len(parts),
                    failure.reason,
                    "for the last time" if attempt == self.retries else "and is tried again",
                )
        index, failure = next(iter(failed.items()))
        raise UserError(
            f"{len(failed)} of {len(parts)} parts failed, for example part {index + 1} ({failure.reason}); "
            "the others are kept: mend that, run the same command again, and only these are done; or raise "
            f"engine.retries={self.retries}."
        )

    @abstractmethod
    def _run(self, function: Callable[[Any], Any], parts: Numbered) -> Iterator[tuple[int, Any]]:
        """Yield the place of each part with what `attempt` returns; one whose process ended may lack."""


def attempt(function: Callable[[Part], Made], part: Part) -> Made | Failed:
    """Return what a function makes of a part, or how it failed."""
    try:
        return function(part)
    except UnreachableError as error:
        return Failed(str(error).rstrip("."))
    except UserError as error:
        return Failed(str(error), is_final=True)
    except Exception as error:  # whatever it is, it is reported with the part
        return Failed(f"{type(error).__name__}: {error}")
