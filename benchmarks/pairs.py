"""Two pieces of work measured against each other, on a machine that does other things too.

They are timed in turn, close together, and which of them goes first alternates, so that whatever slows the
machine slows both alike; what counts is the median of the ratios. The clock is that of the CPU: seconds that
this process has computed on all of its threads, without those in which other programs had the core. Work on
several processes, or on a GPU, wants `time.perf_counter` instead.
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
    """Time two functions of the pair's number in turn."""
    pairs = Pairs([], [])
    for number in range(n_pairs):
        order = [(first, pairs.first), (second, pairs.second)]
        for work, times in order if number % 2 else reversed(order):
            times.append(seconds_of(work, number, clock))
    return pairs


def seconds_of(work: Callable[[int], object], number: int = 0, clock: Clock = time.process_time) -> float:
    """Time a function of a number once."""
    start = clock()
    work(number)
    return clock() - start
