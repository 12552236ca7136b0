"""The line of exact figures that done.lua and rate.lua print."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from micropie_benchlib.core import values
from micropie_benchlib.core.errors import BenchError, read_json
from micropie_benchlib.core.measurements import ArrivalRate, Errors, Histogram, WrkResult
from micropie_benchlib.wrk.histogram import (
    correction_interval_us,
    histogram_percentile,
    latency_from_histogram,
    latency_with_percentiles,
    sample_count,
    uncorrect,
)

EXACT_MARK = "micropie-bench-exact:"  # as done.lua prints it
SUSTAINED_WITHIN = 0.01  # by which a rate may be missed, as a share


def parse_exact(
    output: str, *, connections: int, span_s: float | None = None
) -> tuple[WrkResult, str]:
    """Return what done.lua reported, to the last digit, and the text report before it.

    `connections` is wrk's -c, on which its latency correction depends. `span_s` is the time
    under load, where that is not all of wrk's own.
    """
    report, mark, line = output.partition(f"\n{EXACT_MARK}")
    if not mark:
        last_lines = output.strip().splitlines()[-1:] or ["nothing"]
        raise BenchError(f"wrk printed no result; its last line: {last_lines[0]}")
    try:
        figures: ExactFigures = read_json(ExactFigures, line, whole="JSON")
        return exact_result(figures, connections, span_s), report.rstrip() + "\n"
    except ValueError as error:
        raise BenchError(f"unexpected line from wrk's script: {error}") from None


BucketHistogram = tuple[tuple[values.BucketMicroseconds, values.Count], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RateFigures:
    """What rate.lua adds of a load at a rate.

    `late` is how late wrk itself sent requests for which a connection was free. `in_window`
    were answered before the trial's time was up. `third_p50_us` are the medians from when
    requests were scheduled, of each third.
    """

    __pydantic_config__: ClassVar[Mapping[str, Any]] = {"extra": "forbid", "allow_inf_nan": False}

    offered: values.Positive
    window_us: values.Microseconds
    in_window: values.Count
    third_p50_us: tuple[values.Microseconds, values.Microseconds, values.Microseconds]
    from_scheduled: BucketHistogram
    from_sent: BucketHistogram
    late: BucketHistogram

    @property
    def behind_s(self) -> float:
        """How far behind the server was when the last request was scheduled; 0 if it kept up.

        Latencies must grow steadily, by over 1% of the trial, and to more than twice those of
        its first third, which a queue that comes and goes seldom does.
        """
        first_us, second_us, last_us = self.third_p50_us
        growth_us = 1.5 * (last_us - first_us)  # in all; the thirds' middles are 2/3 of it apart
        if growth_us <= SUSTAINED_WITHIN * self.window_us or last_us <= 2 * first_us:
            return 0.0
        is_steady = 0.25 <= (second_us - first_us) / (last_us - first_us) <= 0.75
        return growth_us / 1e6 if is_steady else 0.0

    @property
    def window_s(self) -> float:
        return self.window_us / 1e6

    @property
    def arrival_rate(self) -> ArrivalRate:
        return ArrivalRate(
            offered=self.offered,
            offered_per_s=self.offered / self.window_s,
            answered_per_s=self.in_window / self.window_s,
            late_p50_s=histogram_percentile(self.late, 50),
            late_p99_s=histogram_percentile(self.late, 99),
            late_max_s=histogram_percentile(self.late, 100),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ExactFigures:
    """What done.lua writes as JSON, in wrk's own units."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = {"extra": "forbid", "allow_inf_nan": False}

    duration_us: Annotated[int, values.Bounds(1, 1e15)]
    requests: values.Count
    bytes: values.Count
    cpu_s: values.Seconds
    errors: Errors
    mean_us: values.Microseconds
    stdev_us: values.Microseconds
    max_us: values.Microseconds
    histogram: BucketHistogram
    at_rate: RateFigures | None = None

    def __post_init__(self) -> None:
        if self.requests > self.errors.timeout and not self.histogram:
            raise ValueError("there are requests, but no latencies")


def exact_result(figures: ExactFigures, connections: int, span_s: float | None) -> WrkResult:
    """At a rate wrk's own latencies are not from when a request was scheduled: rate.lua's are."""
    rate = figures.at_rate
    if rate:
        duration_s = rate.window_s + rate.behind_s
        requests = sample_count(rate.from_scheduled)
        latency = latency_from_histogram(rate.from_scheduled)
        as_measured: Histogram = rate.from_sent
    else:
        duration_s = span_s or figures.duration_us / 1e6
        requests = figures.requests
        latency = latency_with_percentiles(
            figures.histogram,
            mean_s=figures.mean_us / 1e6,
            stdev_s=figures.stdev_us / 1e6,
            max_s=figures.max_us / 1e6,
        )
        interval_us = correction_interval_us(figures.duration_us, requests, connections)
        as_measured = uncorrect(figures.histogram, interval_us)
    return WrkResult(
        duration_s=duration_s,
        requests=requests,
        bytes=figures.bytes,
        requests_per_s=requests / duration_s,
        bytes_per_s=figures.bytes / duration_s,
        latency=latency,
        errors=figures.errors,
        latency_uncorrected=latency_from_histogram(as_measured),
        load_cpu_s=figures.cpu_s,
        arrival_rate=rate.arrival_rate if rate else None,
    )
