"""Whether a rate was kept, in the search for a capacity."""

from __future__ import annotations

from enum import StrEnum

from micropie_benchlib.core.choices import Limit
from micropie_benchlib.core.loads import Load
from micropie_benchlib.core.measurements import ArrivalRate, Measurement, WrkResult
from micropie_benchlib.core.warnings import BenchWarning, Kind
from micropie_benchlib.stats.validity import generator_is_late
from micropie_benchlib.wrk.exact import SUSTAINED_WITHIN

CLOSE_BOUNDS = 1.02  # of a capacity, as a ratio


class Outcome(StrEnum):
    """What a trial at a rate says of the limit of its p99 latency."""

    KEPT = "kept"
    MISSED = "missed"
    UNKNOWN = "unknown"


def outcome_of(measurement: Measurement, limit_s: float) -> Outcome:
    """Return whether a target kept the limit at a rate.

    Not if responses came too late to count, or ever later; any other invalid trial tells nothing.
    """
    wrk, p99_s = measurement.wrk, measurement.latency_p99_s
    if measurement.valid and wrk and p99_s is not None:
        if p99_s <= limit_s:
            return Outcome.KEPT
        is_near = wrk.arrival_rate is not None and p99_s - wrk.arrival_rate.late_p99_s <= limit_s
        return Outcome.UNKNOWN if is_near and generator_is_late(wrk, limit_s) else Outcome.MISSED
    if measurement.limited_by is Limit.LOAD_GENERATOR or wrk is None or wrk.arrival_rate is None:
        return Outcome.UNKNOWN
    came_too_late = wrk.errors.timeout or not is_sustained(wrk, wrk.arrival_rate)
    if came_too_late and wrk.errors.total == wrk.errors.timeout:
        return Outcome.MISSED
    return Outcome.UNKNOWN


def is_sustained(wrk: WrkResult, arrival_rate: ArrivalRate) -> bool:
    """Return whether the requests were answered at the rate at which they were offered."""
    return wrk.requests_per_s >= (1 - SUSTAINED_WITHIN) * arrival_rate.offered_per_s


def rate_not_kept(wrk: WrkResult, load: Load) -> BenchWarning | None:
    """Return why a rate was not kept, if it was not: responses lack, or came ever later."""
    rate = wrk.arrival_rate
    if rate is None:
        return None
    lacking = rate.offered - wrk.requests
    if lacking > 0:
        return BenchWarning.of(
            Kind.UNANSWERED, count=lacking, offered=rate.offered, timeout_s=load.workload.timeout_s
        )
    if is_sustained(wrk, rate):
        return None
    return BenchWarning.of(
        Kind.NOT_SUSTAINED, offered_per_s=rate.offered_per_s, answered_per_s=wrk.requests_per_s
    )
