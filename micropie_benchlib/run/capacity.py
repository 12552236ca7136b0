"""The bounds of a capacity, narrowed by bisection."""

from __future__ import annotations

import math

from micropie_benchlib.core.measurements import Measurement
from micropie_benchlib.core.text import format_latency, format_rate
from micropie_benchlib.stats.search import CLOSE_BOUNDS


def too_late_reason(measurement: Measurement) -> str:
    """Return why a limit that was missed tells nothing of the server."""
    late_s = measurement.wrk.pace.late_p99_s if measurement.wrk and measurement.wrk.pace else 0.0
    return (
        f"wrk itself sent {format_latency(late_s)} too late (p99), too much for that limit: "
        "a higher --p99-limit, fewer -c, or another machine's cores (--load-on) would tell"
    )


class Bisection:
    """Bounds of a capacity: the highest rate that was kept, and the lowest that was not.

    The upper one is what a server answers as fast as it goes, until a rate is missed. That is
    taken for too much, but tried if all below it are kept.
    """

    def __init__(self, most_per_s: float) -> None:
        self._kept_per_s = 0.0
        self._upper_per_s = most_per_s
        self._was_missed = False
        self._lowest_miss = ""

    @property
    def lowest_miss(self) -> str:
        """What came of the lowest rate, in words, if none was kept."""
        return "" if self._kept_per_s else self._lowest_miss

    @property
    def middle_per_s(self) -> float:
        """The geometric mean of the bounds."""
        return math.sqrt(self._kept_per_s * self._upper_per_s)

    @property
    def _are_near(self) -> bool:
        return self._upper_per_s <= CLOSE_BOUNDS * self._kept_per_s

    @property
    def is_close(self) -> bool:
        """Whether the bounds are close, and both were tried."""
        return self._are_near and self._was_missed

    def next_per_s(self) -> float:
        """Return the rate to be tried next."""
        if self._are_near:
            return self._upper_per_s
        return self.middle_per_s if self._kept_per_s else self._upper_per_s / 2

    def take(self, measurement: Measurement, rate_per_s: float, *, is_kept: bool) -> None:
        """Take in whether a rate was kept."""
        if not is_kept:
            self._upper_per_s, self._was_missed = rate_per_s, True
            p99_s = measurement.latency_p99_s
            seen = measurement.invalid_reason
            if p99_s is not None and not seen:
                seen = f"its p99 latency is {format_latency(p99_s)}"
            self._lowest_miss = f"no rate keeps the limit: {seen} even at {format_rate(rate_per_s)}"
            return
        self._kept_per_s = rate_per_s
        if rate_per_s >= self._upper_per_s:
            self._upper_per_s = 1.25 * rate_per_s
