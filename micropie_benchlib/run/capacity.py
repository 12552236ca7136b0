"""The bounds of a capacity, narrowed by bisection."""

from __future__ import annotations

import math

from micropie_benchlib.core.measurements import Measurement
from micropie_benchlib.core.warnings import BenchWarning, Kind
from micropie_benchlib.stats.search import CLOSE_BOUNDS


def no_rate_kept(measurement: Measurement, rate_per_s: float) -> tuple[BenchWarning, ...]:
    """Return why no rate keeps the limit, by the lowest that was tried."""
    p99_s = measurement.latency_p99_s
    if measurement.invalid or p99_s is None:
        unkept = BenchWarning.of(Kind.NO_RATE_KEPT, rate_per_s=rate_per_s)
        return (unkept, *measurement.invalid)
    return (BenchWarning.of(Kind.LIMIT_MISSED, rate_per_s=rate_per_s, p99_s=p99_s),)


def unknown_rate(measurement: Measurement, rate_per_s: float) -> tuple[BenchWarning, ...]:
    reasons = measurement.invalid
    if not reasons:
        arrival_rate = measurement.wrk.arrival_rate if measurement.wrk else None
        late_s = arrival_rate.late_p99_s if arrival_rate else 0.0
        reasons = (BenchWarning.of(Kind.LATE_FOR_LIMIT, late_p99_s=late_s),)
    return (BenchWarning.of(Kind.RATE_UNKNOWN, rate_per_s=rate_per_s), *reasons)


class Bisection:
    """Bounds of a capacity: the highest rate that was kept, and the lowest that was not.

    The upper one is what a server answers as fast as it goes, until a rate is missed. That is
    taken for too much, but tried if all below it are kept.
    """

    def __init__(self, most_per_s: float) -> None:
        self._kept_per_s = 0.0
        self._upper_per_s = most_per_s
        self._was_missed = False
        self._lowest_miss: tuple[BenchWarning, ...] = ()

    @property
    def lowest_miss(self) -> tuple[BenchWarning, ...]:
        """What came of the lowest rate, if none was kept."""
        return () if self._kept_per_s else self._lowest_miss

    @property
    def middle_per_s(self) -> float:
        return math.sqrt(self._kept_per_s * self._upper_per_s)

    @property
    def _are_near(self) -> bool:
        return self._upper_per_s <= CLOSE_BOUNDS * self._kept_per_s

    @property
    def is_close(self) -> bool:
        """Whether the bounds are close, and both were tried."""
        return self._are_near and self._was_missed

    def next_per_s(self) -> float:
        if self._are_near:
            return self._upper_per_s
        return self.middle_per_s if self._kept_per_s else self._upper_per_s / 2

    def take(self, measurement: Measurement, rate_per_s: float, *, is_kept: bool) -> None:
        if not is_kept:
            self._upper_per_s, self._was_missed = rate_per_s, True
            self._lowest_miss = no_rate_kept(measurement, rate_per_s)
            return
        self._kept_per_s = rate_per_s
        if rate_per_s >= self._upper_per_s:
            self._upper_per_s = 1.25 * rate_per_s
