"""The ranges of configured numbers: types that constructors use as hints, and that `experiment` checks.

A range says what a number can be at all; what it can be beside others, the constructor checks. No upper end
is a recommendation: beyond it a number overflows, or asks for what no machine has.
"""

from typing import Annotated

from annotated_types import Interval, MinLen

Text = Annotated[str, MinLen(1)]
Count = Annotated[int, Interval(ge=1, le=2_147_483_647)]
Whole = Annotated[int, Interval(ge=0, le=2_147_483_647)]
Seed = Annotated[int, Interval(ge=0, le=4_294_967_295)]  # what numpy's generators take
Rate = Annotated[int, Interval(ge=1, le=1_000_000)]  # Hz
Layers = Annotated[int, Interval(ge=1, le=1000)]
Workers = Annotated[int, Interval(ge=1, le=1024)]
WorkersOrNone = Annotated[int, Interval(ge=0, le=1024)]
Retries = Annotated[int, Interval(ge=0, le=1000)]
Share = Annotated[float, Interval(ge=0, le=1)]
ShareBelowOne = Annotated[float, Interval(ge=0, lt=1)]
ShareAboveZero = Annotated[float, Interval(gt=0, le=1)]
InnerShare = Annotated[float, Interval(gt=0, lt=1)]
Positive = Annotated[float, Interval(gt=0)]
NotNegative = Annotated[float, Interval(ge=0, le=1e9)]
Seconds = Annotated[float, Interval(gt=0, le=86_400)]  # s; a day
Hertz = Annotated[float, Interval(ge=0, le=500_000)]
Decibels = Annotated[float, Interval(ge=-300, le=300)]  # dB; what float32 holds of powers
DecibelRange = Annotated[float, Interval(ge=0, le=300)]  # dB
