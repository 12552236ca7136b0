"""What an interval says, which comparisons decide, and how many rounds that takes."""

import math
from collections.abc import Sequence

from micropie_benchlib.core.choices import Decisive, Method, Verdict
from micropie_benchlib.core.estimates import Comparison, Estimate, Interval
from micropie_benchlib.core.loads import LoadId
from micropie_benchlib.core.metrics import Metric
from micropie_benchlib.core.plan import USEFUL_ROUNDS
from micropie_benchlib.core.results import Results
from micropie_benchlib.stats.deciding import chosen_metric, deciding_metrics, may_decide_all
from micropie_benchlib.stats.intervals import rounds_needed, stein_rounds, student_t

SAME_WITHIN = 0.05  # either way, as a share


def judge(speed: Estimate | None) -> Verdict:
    if speed is None:
        return Verdict.INCONCLUSIVE
    if not speed.interval.contains(1):
        return Verdict.FASTER if speed.low > 1 else Verdict.SLOWER
    near_1 = Interval(1 - SAME_WITHIN, 1 + SAME_WITHIN)
    if near_1.contains(speed.low) and near_1.contains(speed.high):
        return Verdict.SAME
    return Verdict.INCONCLUSIVE


def log_standard_error(comparison: Comparison) -> float | None:
    estimate = comparison.estimate
    if not estimate or not comparison.degrees:
        return None
    t = student_t(estimate.confidence, comparison.degrees)
    return estimate.interval.log_half_width / t


def log_stdev(comparison: Comparison) -> float | None:
    error = log_standard_error(comparison)
    return None if error is None else error * math.sqrt(comparison.rounds)


def in_all_rounds(results: Results, comparison: Comparison, rounds: int) -> int:
    """Not each round has single trials, and some are invalid."""
    made = comparison.rounds
    for measurement in results.measurements:
        made = max(made, measurement.round)
    return math.ceil(rounds * made / comparison.rounds)


def rounds_to_decide(results: Results, comparison: Comparison) -> int | None:
    """Return how many rounds should leave 1 out of the interval, or have all of it near 1."""
    estimate, stdev = comparison.estimate, log_stdev(comparison)
    if not estimate or stdev is None:
        return None
    distance = abs(math.log(estimate.ratio))
    enough = max(distance, math.log1p(SAME_WITHIN) - distance)
    rounds = rounds_needed(stdev, enough, estimate.confidence)
    if rounds is None:
        return None
    return in_all_rounds(results, comparison, max(rounds, comparison.rounds + 1, USEFUL_ROUNDS))


def verdict_comparison(
    comparisons: Sequence[Comparison], chosen: Decisive | None = None
) -> Comparison:
    """Return the first that decides; without an estimate the first that says why."""
    for method, metric in deciding_metrics(comparisons[0].load, chosen):
        for comparison in comparisons:
            kind = (comparison.method, comparison.metric)
            if kind == (method, metric) and comparison.estimate:
                return comparison
    for comparison in comparisons:
        if comparison.reason:
            return comparison
    return comparisons[0]


def decisive_comparisons(results: Results) -> list[Comparison]:
    groups: dict[tuple[LoadId, str], list[Comparison]] = {}
    chosen = chosen_metric(results)
    for comparison in may_decide_all(results, chosen):
        key = (comparison.load, comparison.target)
        groups.setdefault(key, []).append(comparison)
    return [verdict_comparison(group, chosen) for group in groups.values()]


def rounds_for_precision(results: Results, precision: float) -> int | None:
    needed = []
    for comparison in decisive_comparisons(results):
        stdev, estimate = log_stdev(comparison), comparison.estimate
        if estimate and comparison.degrees and stdev is not None:
            rounds = stein_rounds(
                stdev,
                comparison.degrees,
                target=math.log1p(precision),
                confidence=estimate.confidence,
            )
            needed.append(in_all_rounds(results, comparison, rounds))
    return max(needed, default=None)


def widest_interval(results: Results) -> float | None:
    widest = None
    for comparison in decisive_comparisons(results):
        half = comparison.estimate.half_width if comparison.estimate else None
        if half:
            widest = max(half, widest or 0)
    return widest


def compared_metrics(method: Method, load: LoadId) -> Sequence[Metric]:
    """Latencies of a paired trial are no figure where each server has half the cores."""
    if load.rate_per_s:
        return (Metric.P50, Metric.P99, Metric.P99_9, Metric.CPU)
    if method is Method.PAIRED:
        return (Metric.REQUESTS, Metric.CPU)
    return (Metric.REQUESTS, Metric.P99, Metric.CPU)
