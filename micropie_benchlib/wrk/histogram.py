"""Latency histograms: percentiles as wrk takes them, pooled runs, and wrk's correction undone."""

import math
from collections.abc import Iterable

from micropie_benchlib.core.errors import BenchError
from micropie_benchlib.core.measurements import Histogram, Latency


def sample_count(histogram: Histogram) -> int:
    return sum(count for _, count in histogram)


def histogram_percentile(histogram: Histogram, percent: float) -> float:
    """The rank is wrk's own (stats.c): round(percent / 100 * count + 0.5)."""
    if not histogram:
        return 0.0
    count = sample_count(histogram)
    rank = math.floor(percent / 100 * count + 0.5 + 0.5)  # C's round() adds the second half
    seen = 0
    for value_us, bucket_count in histogram:
        seen += bucket_count
        if seen >= rank:
            return value_us / 1e6
    return histogram[-1][0] / 1e6


def pool(histograms: Iterable[Histogram]) -> Histogram:
    counts: dict[int, int] = {}
    for histogram in histograms:
        for value_us, count in histogram:
            counts[value_us] = counts.get(value_us, 0) + count
    return tuple(sorted(counts.items()))


def uncorrect(histogram: Histogram, interval_us: int) -> Histogram:
    """Return the histogram without what wrk added for coordinated omission, exactly.

    wrk's stats_correct (stats.c) walks up from 2 x interval and gives each latency n the
    samples n - interval, n - 2 x interval, ... while above the interval. What it added lies
    below n, so walking down undoes it.
    """
    if not interval_us:
        return histogram
    counts = dict(histogram)
    for value_us, _ in reversed(histogram):
        count = counts[value_us]
        if value_us < 2 * interval_us or not count:
            continue
        for added_us in range(value_us - interval_us, interval_us, -interval_us):
            counts[added_us] = counts.get(added_us, 0) - count
            if counts[added_us] < 0:
                raise BenchError(
                    "this wrk does not correct latencies as 4.1 and 4.2 do: use one of these"
                )
    return tuple((value_us, count) for value_us, count in counts.items() if count)


def latency_with_percentiles(
    histogram: Histogram, *, mean_s: float, stdev_s: float, max_s: float
) -> Latency | None:
    if not histogram:
        return None
    return Latency(
        mean_s=mean_s,
        stdev_s=stdev_s,
        max_s=max_s,
        p50_s=histogram_percentile(histogram, 50),
        p75_s=histogram_percentile(histogram, 75),
        p90_s=histogram_percentile(histogram, 90),
        p99_s=histogram_percentile(histogram, 99),
        p99_9_s=histogram_percentile(histogram, 99.9),
        histogram=histogram,
    )


def latency_from_histogram(histogram: Histogram) -> Latency | None:
    count = sample_count(histogram)
    if not count:
        return None
    mean_s = sum(value * n for value, n in histogram) / 1e6 / count
    squares = 0.0
    for value, n in histogram:
        squares += n * (value / 1e6 - mean_s) ** 2
    stdev_s = math.sqrt(squares / max(1, count - 1))
    max_s = histogram[-1][0] / 1e6
    return latency_with_percentiles(histogram, mean_s=mean_s, stdev_s=stdev_s, max_s=max_s)


def correction_interval_us(duration_us: int, requests: int, connections: int) -> int:
    """Return the interval of wrk's latency correction; 0 if it corrects nothing (wrk.c)."""
    if requests < connections:
        return 0
    return duration_us // (requests // connections)
