"""The interface of an engine: each part is either processed once or reported, whatever happens to others."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from audiotok.errors import UnreachableError, UserError
from audiotok.errors.ranges import Retries

log = logging.getLogger(__name__)
Given = TypeVar("Given")  # a part, whatever it is
Made = TypeVar("Made")
Numbered = Sequence[tuple[int, Any]]  # parts with their positions among all parts


@dataclass(frozen=True, slots=True)
class Failed:
    """The failure of a part.

    Args:
        reason: What happened.
        is_final: Whether retrying is pointless because the user has to fix something.
    """

    reason: str
    is_final: bool = False


class Engine(ABC):
    """Map a function over parts.

    Args:
        retries: How often a failed part is retried.

    Raises:
        UserError: The number of retries is negative.
    """

    def __init__(self, retries: Retries = 2) -> None:
        if retries < 0:
            raise UserError(f"engine.retries={retries} is negative; choose 0 or more.")
        self.retries = retries

    def map(self, function: Callable[[Given], Made], parts: Sequence[Given]) -> Iterator[tuple[Given, Made]]:
        """Yield every part with the function's result for it, in the order in which they are finished.

        A failed part is retried after the others, so that a persistent failure delays nobody.

        Args:
            function: Must pickle, and return equal results for equal parts.
            parts: Must pickle.

        Raises:
            UserError: The function raised it for a part; or, after all other parts, a part has failed too
                often.
        """
        if not parts:
            return
        waiting = list(enumerate(parts))
        for attempt in range(self.retries + 1):
            failed = dict.fromkeys((index for index, _ in waiting), Failed("its process died"))
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
                    "and is not retried again" if attempt == self.retries else "and is retried",
                )
        index, failure = next(iter(failed.items()))
        raise UserError(
            f"{len(failed)} of {len(parts)} parts failed, for example part {index + 1} ({failure.reason}); "
            "fix the cause and run the same command again, which continues with these parts; or raise "
            f"engine.retries={self.retries}."
        )

    @abstractmethod
    def _run(self, function: Callable[[Any], Any], parts: Numbered) -> Iterator[tuple[int, Any]]:
        """Yield positions of parts and results of `attempt`; a part whose process died may be missing."""


def attempt(function: Callable[[Given], Made], part: Given) -> Made | Failed:
    """Return the result of a function for a part, or its failure."""
    try:
        return function(part)
    except UnreachableError as error:
        return Failed(str(error).rstrip("."))
    except UserError as error:
        return Failed(str(error), is_final=True)
    except Exception as error:  # any error is reported with its part
        return Failed(f"{type(error).__name__}: {error}")
