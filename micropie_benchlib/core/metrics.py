"""What a comparison compares, and how it is read from a measurement."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from micropie_benchlib.core.measurements import Measurement, WrkResult


def valid_runs(measurements: Iterable[Measurement]) -> list[WrkResult]:
    """Return what wrk reported in the valid ones of the measurements."""
    return [m.wrk for m in measurements if m.valid and m.wrk]


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricFacts:
    """What is known of a metric.

    `key` stands in files, the names in reports. `measure` completes the sentence "A is 1.5x
    as fast as B ...". `read` returns the figure of a measurement, None where it is not known.
    """

    key: str
    full_name: str
    short_name: str
    measure: str
    higher_is_faster: bool
    read: Callable[[Measurement], float | None]


class Metric(StrEnum):
    """What a comparison compares."""

    facts: MetricFacts

    REQUESTS = MetricFacts(
        key="requests_per_s",
        full_name="requests per second",
        short_name="requests/s",
        measure="in requests/s",
        higher_is_faster=True,
        read=lambda measurement: measurement.requests_per_s,
    )
    P50 = MetricFacts(
        key="latency_p50_s",
        full_name="median latency",
        short_name="p50",
        measure="in median latency",
        higher_is_faster=False,
        read=lambda measurement: measurement.latency_p50_s,
    )
    P99 = MetricFacts(
        key="latency_p99_s",
        full_name="p99 latency",
        short_name="p99",
        measure="in p99 latency",
        higher_is_faster=False,
        read=lambda measurement: measurement.latency_p99_s,
    )
    P99_9 = MetricFacts(
        key="latency_p99_9_s",
        full_name="p99.9 latency",
        short_name="p99.9",
        measure="in p99.9 latency",
        higher_is_faster=False,
        read=lambda measurement: measurement.latency_p99_9_s,
    )
    CAPACITY = MetricFacts(
        key="capacity_per_s",
        full_name="capacity",
        short_name="capacity",
        measure="by capacity",
        higher_is_faster=True,
        read=lambda _: None,
    )
    CPU = MetricFacts(
        key="server_cpu_per_request_s",
        full_name="server CPU per request",
        short_name="CPU/request",
        measure="per CPU second",
        higher_is_faster=False,
        read=lambda measurement: measurement.cpu_per_request_s,
    )

    def __new__(cls, facts: MetricFacts) -> Metric:
        metric = str.__new__(cls, facts.key)
        metric._value_ = facts.key
        metric.facts = facts
        return metric

    @property
    def full_name(self) -> str:
        """What sentences call it."""
        return self.facts.full_name

    @property
    def short_name(self) -> str:
        """What charts call it."""
        return self.facts.short_name

    def read(self, measurement: Measurement) -> float | None:
        """Return the figure of the measurement; None where it is not known."""
        return self.facts.read(measurement)
