"""Several wrks of one trial as one."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from micropie_benchlib.core.measurements import ArrivalRate, Errors, WrkResult
from micropie_benchlib.load.readings import LoadReading
from micropie_benchlib.wrk.histogram import latency_from_histogram, pool

Record = TypeVar("Record", Errors, ArrivalRate)


def merge_runs(runs: Sequence[WrkResult]) -> WrkResult:
    """A rate is the sum of theirs, and the duration the one that has this rate."""
    if len(runs) == 1:
        return runs[0]
    requests = sum(run.requests for run in runs)
    requests_per_s = sum(run.requests_per_s for run in runs)
    duration_s = requests / requests_per_s if requests else max(run.duration_s for run in runs)
    size = sum(run.bytes for run in runs)
    latencies = [run.latency.histogram for run in runs if run.latency]
    uncorrected = [run.latency_uncorrected.histogram for run in runs if run.latency_uncorrected]
    return WrkResult(
        duration_s=duration_s,
        requests=requests,
        bytes=size,
        requests_per_s=requests_per_s,
        bytes_per_s=size / duration_s,
        latency=latency_from_histogram(pool(latencies)),
        errors=sum_of([run.errors for run in runs]),
        latency_uncorrected=latency_from_histogram(pool(uncorrected)),
        load_cpu_s=sum(run.load_cpu_s or 0 for run in runs),
        arrival_rate=merge_arrival_rates([run.arrival_rate for run in runs if run.arrival_rate]),
    )


def sum_of(records: Sequence[Record]) -> Record:
    sums: dict[str, Any] = {}
    for field in dataclasses.fields(records[0]):
        sums[field.name] = sum(getattr(record, field.name) for record in records)
    return dataclasses.replace(records[0], **sums)


def merge_arrival_rates(rates: Sequence[ArrivalRate]) -> ArrivalRate | None:
    """It was as late as the latest of them."""
    if not rates:
        return None
    latest = {}
    for name in ("late_p50_s", "late_p99_s", "late_max_s"):
        latest[name] = max(getattr(rate, name) for rate in rates)
    return dataclasses.replace(sum_of(rates), **latest)


def total_opened(readings: Iterable[LoadReading]) -> int | None:
    counts = [reading.connections_opened for reading in readings]
    known = [count for count in counts if count is not None]
    return sum(known) if known == counts else None
