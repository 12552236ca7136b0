"""What a comparison compares, and how it is read from a measurement."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from micropie_benchlib.core.measurements import Measurement, WrkResult


def valid_runs(measurements: Iterable[Measurement]) -> list[WrkResult]:
    return [m.wrk for m in measurements if m.valid and m.wrk]


class Metric(StrEnum):
    """What a comparison compares."""

    full_name: str
    short_name: str
    measure: str  # it completes the sentence "A is 1.5x as fast as B ..."
    higher_is_faster: bool

    REQUESTS = "requests_per_s", "requests per second", "requests/s", "in requests/s", True
    P50 = "latency_p50_s", "median latency", "p50", "in median latency"
    P99 = "latency_p99_s", "p99 latency", "p99", "in p99 latency"
    P99_9 = "latency_p99_9_s", "p99.9 latency", "p99.9", "in p99.9 latency"
    CAPACITY = "capacity_per_s", "capacity", "capacity", "by capacity", True
    CPU = "server_cpu_per_request_s", "server CPU per request", "CPU/request", "per CPU second"

    def __new__(
        cls, key: str, full_name: str, short_name: str, measure: str, higher_is_faster: bool = False
    ) -> Metric:
        metric = str.__new__(cls, key)
        metric._value_ = key
        metric.full_name = full_name
        metric.short_name = short_name
        metric.measure = measure
        metric.higher_is_faster = higher_is_faster
        return metric

    def read(self, measurement: Measurement) -> float | None:
        """Return the figure of the measurement; None where it is not known, as a capacity."""
        figure: float | None = getattr(measurement, self.value, None)
        return figure
