"""The bounds of a capacity, narrowed by bisection."""

import math
from collections.abc import Sequence

from micropie_benchlib.core.loads import Load, lowest_rate_per_s
from micropie_benchlib.core.measurements import Measurement
from micropie_benchlib.core.warnings import BenchWarning, Kind
from micropie_benchlib.stats.search import CLOSE_BOUNDS, Outcome, outcome_of, tally_of

LOW_SHARE = 1 / 8  # of the throughput: at that rate hardly a request waits for another


def unknown_rate(trial: Measurement, rate_per_s: float) -> tuple[BenchWarning, ...]:
    reasons = trial.invalid
    if not reasons:
        arrival_rate = trial.wrk.arrival_rate if trial.wrk else None
        late_s = arrival_rate.late_p99_s if arrival_rate else 0.0
        reasons = (BenchWarning.of(Kind.LATE_FOR_LIMIT, late_p99_s=late_s),)
    return (BenchWarning.of(Kind.RATE_UNKNOWN, rate_per_s=rate_per_s), *reasons)


class Bisection:
    """Bounds of a capacity: the highest rate that was kept, and the lowest that was not.

    The upper one is what a server answers as fast as it goes, until a rate is missed. That is
    taken for too much, but tried if all below it are kept. If half of it is missed, the lowest
    rate comes next: either it is kept, or no rate is.
    """

    def __init__(self, most_per_s: float, load: Load) -> None:
        self._lowest_per_s = max(LOW_SHARE * most_per_s, lowest_rate_per_s(load))
        self._kept_per_s = 0.0
        self._upper_per_s = most_per_s
        self._was_missed = False
        self.reasons: tuple[BenchWarning, ...] = ()  # why there is none

    @property
    def reached(self) -> tuple[BenchWarning, ...]:
        bounds = {"rate_per_s_min": self._kept_per_s, "rate_per_s_max": self._upper_per_s}
        return (BenchWarning.of(Kind.SEARCH_INTERRUPTED, **bounds),)

    @property
    def middle_per_s(self) -> float:
        return math.sqrt(self._kept_per_s * self._upper_per_s)

    @property
    def _are_near(self) -> bool:
        return self._upper_per_s <= CLOSE_BOUNDS * self._kept_per_s

    @property
    def is_over(self) -> bool:
        return bool(self.reasons) or (self._are_near and self._was_missed)

    def next_per_s(self) -> float:
        if self._are_near:
            return self._upper_per_s
        if self._kept_per_s:
            return self.middle_per_s
        if self._was_missed:
            return self._lowest_per_s
        return self._upper_per_s / 2

    def take(self, trials: Sequence[Measurement], rate_per_s: float) -> None:
        outcome = outcome_of(trials)
        if outcome is Outcome.UNKNOWN:
            self.reasons = unknown_rate(trials[-1], rate_per_s)
        elif outcome is Outcome.KEPT:
            self._kept_per_s = rate_per_s
            if rate_per_s >= self._upper_per_s:
                self._upper_per_s = 1.25 * rate_per_s
        else:
            self._upper_per_s, self._was_missed = rate_per_s, True
            if rate_per_s <= self._lowest_per_s:
                self.reasons = none_kept(trials, rate_per_s)


def none_kept(trials: Sequence[Measurement], rate_per_s: float) -> tuple[BenchWarning, ...]:
    tally = tally_of(trials)
    is_missed = tally.outcome is Outcome.MISSED
    kind = Kind.LIMIT_MISSED if is_missed else Kind.LIMIT_INCONCLUSIVE
    figures = {"rate_per_s": rate_per_s, "share": tally.share, "requests": tally.requests}
    return (BenchWarning.of(kind, **figures), *trials[-1].invalid)
