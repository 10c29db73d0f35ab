"""Compare the speed of two pieces of work on a machine that has other things to do.

The two are timed alternately, close together, and take turns in going first, so that anything that slows the
machine slows both. The result is the median of the ratios. The clock counts CPU seconds: what this process
computes on all of its threads, without the time in which other programs have the core. For work on several
processes or on a GPU, use `time.perf_counter` instead.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

Clock = Callable[[], float]


@dataclass(frozen=True)
class Pairs:
    """Seconds of two pieces of work, pair by pair."""

    first: list[float]
    second: list[float]

    @property
    def ratio(self) -> float:
        """The median of first / second."""
        return statistics.median(a / b for a, b in zip(self.first, self.second, strict=True))

    @property
    def medians(self) -> tuple[float, float]:
        """The median seconds of each."""
        return statistics.median(self.first), statistics.median(self.second)


def measure_pairs(
    first: Callable[[int], object],
    second: Callable[[int], object],
    n_pairs: int,
    clock: Clock = time.process_time,
) -> Pairs:
    """Time two functions alternately; both receive the number of the pair."""
    pairs = Pairs([], [])
    for number in range(n_pairs):
        order = [(first, pairs.first), (second, pairs.second)]
        for work, times in order if number % 2 else reversed(order):
            times.append(seconds_of(work, number, clock))
    return pairs


def seconds_of(work: Callable[[int], object], number: int = 0, clock: Clock = time.process_time) -> float:
    """Time one call of a function with a number."""
    start = clock()
    work(number)
    return clock() - start
