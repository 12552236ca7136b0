"""Whether a rate was kept, in the search for a capacity: by how many requests took too long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from micropie_benchlib.core.choices import Limit
from micropie_benchlib.core.loads import Load
from micropie_benchlib.core.measurements import Measurement, WrkResult
from micropie_benchlib.core.warnings import BenchWarning, Kind
from micropie_benchlib.stats.intervals import binomial_at_least, binomial_at_most
from micropie_benchlib.stats.validity import generator_is_late
from micropie_benchlib.wrk.exact import SUSTAINED_WITHIN

CLOSE_BOUNDS = 1.02  # of a capacity, as a ratio
MAX_SHARE = 0.01  # of a rate's requests over the limit, which a p99 is about
RISK = 0.025  # on either side, of an interval of 95%
CHANCE = 1e-4  # with which a trial is as bad as that for no reason of its own
LATENESS = (Kind.TIMEOUTS, Kind.UNANSWERED, Kind.NOT_SUSTAINED)
MAX_TRIALS = 8  # at one rate


class Outcome(StrEnum):
    KEPT = "kept"
    MISSED = "missed"
    INCONCLUSIVE = "inconclusive"
    UNKNOWN = "unknown"


def over_limit(measurement: Measurement, limit_s: float) -> int | None:
    """Return how many of a trial's requests took longer than the limit.

    All, if responses came too late to count, or ever later; None where that is not known, or
    where wrk itself was too late for the limit.
    """
    wrk, p99_s = measurement.wrk, measurement.latency_p99_s
    if measurement.limited_by is Limit.LOAD_GENERATOR or wrk is None or wrk.arrival_rate is None:
        return None
    if measurement.valid and wrk.latency and p99_s is not None:
        is_near = p99_s > limit_s >= p99_s - wrk.arrival_rate.late_p99_s
        if is_near and generator_is_late(wrk, limit_s):
            return None
        return sum(count for us, count in wrk.latency.histogram if us / 1e6 > limit_s)
    is_late = all(warning.kind in LATENESS for warning in measurement.invalid)
    return wrk.arrival_rate.offered if is_late else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    over: int = 0
    requests: int = 0

    @property
    def share(self) -> float:
        return self.over / self.requests if self.requests else 0.0

    def __add__(self, other: Tally) -> Tally:
        return Tally(over=self.over + other.over, requests=self.requests + other.requests)

    @property
    def outcome(self) -> Outcome:
        """Whether the share is below that of a p99, or above it, with 95% confidence."""
        if binomial_at_most(self.over, self.requests, MAX_SHARE) < RISK:
            return Outcome.KEPT
        if binomial_at_least(self.over, self.requests, MAX_SHARE) < RISK:
            return Outcome.MISSED
        return Outcome.INCONCLUSIVE


def tally_of(trials: Sequence[Measurement]) -> Tally:
    """The worst trial is set aside if it was disturbed: beside the others it cannot be chance."""
    tallies = []
    for trial in trials:
        if trial.over_limit is not None and trial.wrk and trial.wrk.arrival_rate:
            tallies.append(Tally(over=trial.over_limit, requests=trial.wrk.arrival_rate.offered))
    tallies.sort(key=lambda tally: tally.share)
    total = sum(tallies[:-1], Tally())
    for worst in tallies[-1:]:
        expected = max(MAX_SHARE, total.share)
        chance = binomial_at_least(worst.over, worst.requests, expected)
        if len(tallies) == 1 or chance > CHANCE:
            total += worst
    return total


def outcome_of(trials: Sequence[Measurement]) -> Outcome:
    if all(trial.over_limit is None for trial in trials):
        return Outcome.UNKNOWN
    return tally_of(trials).outcome


def are_enough(trials: Sequence[Measurement]) -> bool:
    """One is enough for a rate that is kept, since disturbances seldom lower latencies."""
    outcome = outcome_of(trials)
    if outcome is Outcome.INCONCLUSIVE:
        return len(trials) == MAX_TRIALS
    return outcome is Outcome.KEPT or len(trials) > 1


def rate_not_kept(wrk: WrkResult, load: Load) -> BenchWarning | None:
    rate = wrk.arrival_rate
    if rate is None:
        return None
    lacking = rate.offered - wrk.requests
    if lacking > 0:
        return BenchWarning.of(
            Kind.UNANSWERED, count=lacking, offered=rate.offered, timeout_s=load.workload.timeout_s
        )
    if wrk.requests_per_s >= (1 - SUSTAINED_WITHIN) * rate.offered_per_s:
        return None
    return BenchWarning.of(
        Kind.NOT_SUSTAINED, offered_per_s=rate.offered_per_s, answered_per_s=wrk.requests_per_s
    )
