"""What an interval says, and which comparisons decide."""

from __future__ import annotations

import math
from collections.abc import Sequence

from micropie_benchlib.core.choices import Decisive, Method, Verdict
from micropie_benchlib.core.estimates import Comparison, Estimate, Interval
from micropie_benchlib.core.loads import LoadId
from micropie_benchlib.core.metrics import Metric
from micropie_benchlib.core.results import Results
from micropie_benchlib.stats.deciding import chosen_metric, deciding_metrics, may_decide_all
from micropie_benchlib.stats.student import rounds_needed, student_t

SAME_WITHIN = 0.05  # either way, as a share


def judge(speed: Estimate | None) -> Verdict:
    """Return the verdict on a speed."""
    interval = speed.interval if speed else None
    if interval is None:
        return Verdict.INCONCLUSIVE
    if not interval.contains(1):
        return Verdict.FASTER if interval.low > 1 else Verdict.SLOWER
    near_1 = Interval(1 - SAME_WITHIN, 1 + SAME_WITHIN)
    if near_1.contains(interval.low) and near_1.contains(interval.high):
        return Verdict.SAME
    return Verdict.INCONCLUSIVE


def degrees_of(comparison: Comparison) -> int:
    """Return the degrees of freedom of its interval."""
    return comparison.degrees or comparison.rounds - 1


def log_standard_error(comparison: Comparison) -> float | None:
    """Return the standard error of the ratio's log; None without an interval.

    The interval is Student's t over the rounds, so it is half the interval over t.
    """
    estimate, interval = comparison.estimate, comparison.interval
    if not estimate or not interval:
        return None
    return interval.log_half_width / student_t(estimate.confidence, degrees_of(comparison))


def log_stdev(comparison: Comparison) -> float | None:
    """Return the standard deviation of the log of one round's ratio, likewise."""
    error = log_standard_error(comparison)
    return None if error is None else error * math.sqrt(comparison.rounds)


def in_all_rounds(results: Results, comparison: Comparison, rounds: int) -> int:
    """Return how many rounds there must be in all for so many of the comparison's.

    Not each round has single trials, and some are invalid.
    """
    numbers = [measurement.round for measurement in results.measurements]
    made = max([comparison.rounds, *numbers])
    return math.ceil(rounds * made / comparison.rounds)


def rounds_to_decide(results: Results, comparison: Comparison) -> int | None:
    """Return how many rounds should decide an inconclusive comparison; None above 1,000.

    Either the interval then leaves 1 out, or all of it lies near 1: whichever takes fewer,
    if the ratio and its spread stay as they are.
    """
    estimate, stdev = comparison.estimate, log_stdev(comparison)
    if not estimate or stdev is None:
        return None
    distance = abs(math.log(estimate.ratio))
    enough = max(distance, math.log1p(SAME_WITHIN) - distance)
    rounds = rounds_needed(stdev, enough, estimate.confidence)
    if rounds is None:
        return None
    return in_all_rounds(results, comparison, max(rounds, comparison.rounds + 1))


def verdict_comparison(
    comparisons: Sequence[Comparison], chosen: Decisive | None = None
) -> Comparison:
    """Return the comparison that the verdict goes by, of one target under one load.

    If there is none with an estimate, it is the first that says why.
    """
    for method, metric in deciding_metrics(comparisons[0].load, chosen):
        for comparison in comparisons:
            is_wanted = (comparison.method, comparison.metric) == (method, metric)
            if is_wanted and comparison.estimate:
                return comparison
    with_reason = [comparison for comparison in comparisons if comparison.reason]
    return (with_reason or comparisons)[0]


def decisive_comparisons(results: Results) -> list[Comparison]:
    """Return for each load and target the comparison that the verdict goes by."""
    groups: dict[tuple[LoadId, str], list[Comparison]] = {}
    chosen = chosen_metric(results)
    for comparison in may_decide_all(results, chosen):
        groups.setdefault((comparison.load, comparison.target), []).append(comparison)
    return [verdict_comparison(comparisons, chosen) for comparisons in groups.values()]


def compared_metrics(method: Method, load: LoadId) -> Sequence[Metric]:
    """Return the metrics that single trials of that method and load show.

    Latencies of a paired trial are no figure for anyone while its servers are busy, since each has
    half the cores; at a rate they are.
    """
    if load.rate_per_s:
        return (Metric.P50, Metric.P99, Metric.P99_9, Metric.CPU)
    if method is Method.PAIRED:
        return (Metric.REQUESTS, Metric.CPU)
    return (Metric.REQUESTS, Metric.P99, Metric.CPU)
