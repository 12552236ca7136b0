"""One metric of one target under one load, compared with the reference's."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterable, Sequence

from micropie_benchlib.core.choices import Method, Verdict
from micropie_benchlib.core.estimates import Comparison
from micropie_benchlib.core.measurements import Measurement, WrkResult
from micropie_benchlib.core.metrics import Metric
from micropie_benchlib.stats.deciding import SATURATED
from micropie_benchlib.stats.estimate import estimate_ratio
from micropie_benchlib.stats.pairs import ONE_ROUND, Pair, pair_by_round, ratios_by_round
from micropie_benchlib.stats.verdicts import judge


def degrees_of_freedom(rounds: Iterable[int], first_rounds: int | None) -> int | None:
    """Return one less than how many of the rounds decide on the spread; None without two.

    These are all, or those of the first stage if the number of rounds was chosen after it.
    """
    every = list(rounds)
    first = [number for number in every if first_rounds is None or number <= first_rounds]
    deciding = first if len(first) > 1 else every
    return len(deciding) - 1 if len(deciding) > 1 else None


def compare_metric(
    measurements: Iterable[Measurement],
    *,
    metric: Metric,
    reference: str,
    target: str,
    confidence: float,
    first_rounds: int | None = None,
) -> Comparison | None:
    """Return the comparison of two targets; None if they never met.

    The measurements are those of one method and load, in the order of rounds. The number
    of these was chosen after `first_rounds`, if that is given.
    """
    pairs = pair_by_round(measurements, reference=reference, target=target)
    if not pairs:
        return None
    ratios = ratios_by_round(pairs, metric)
    first = pairs[0].target
    comparison = Comparison(
        load=first.load,
        method=first.method,
        metric=metric,
        reference=reference,
        target=target,
        rounds=len(ratios),
        estimate=None,
        verdict=Verdict.INCONCLUSIVE,
        reason=reason_for_no_estimate(pairs, metric, values=len(ratios)),
    )
    if comparison.reason:
        return comparison
    degrees = degrees_of_freedom(ratios, first_rounds)
    estimate = estimate_ratio(ratios.values(), confidence=confidence, degrees=degrees)
    comparison = dataclasses.replace(comparison, estimate=estimate, degrees=degrees)
    return dataclasses.replace(
        comparison, verdict=judge(comparison.speed), reason=None if estimate.interval else ONE_ROUND
    )


MIN_ANSWERS = 20  # of each connection in a trial: the one that is cut off is 5% of them
MIN_MIXED_ANSWERS = 10  # where all phases are cut off alike: half of one on average


def has_few_answers(wrk: WrkResult, open_connections: int) -> bool:
    """Return whether the answers that are cut off at the end leave no rate.

    Connections whose answers take the same time stay in step, and lose none or one each.
    They are out of step once their latencies have varied by half of one: after n answers
    that vary by s each, by s x sqrt(n).
    """
    count = wrk.requests / open_connections
    latency = wrk.latency_uncorrected
    spread = 0.0
    if latency and latency.mean_s and count:
        spread = latency.stdev_s / latency.mean_s * math.sqrt(count)
    return count < (MIN_ANSWERS if spread < 0.5 else MIN_MIXED_ANSWERS)


def few_answers_reason(pairs: Iterable[Pair]) -> str | None:
    """Return why the number of answers does not give a rate, if so.

    wrk counts whole answers. Of n on each connection, up to one more was cut off when the
    trial ended, and in each trial the same share of one: that has no spread to show.
    """
    fewest, enough_s = math.inf, 0
    are_few = False
    for trial in itertools.chain(*pairs):
        if trial.wrk:
            count = trial.wrk.requests / trial.open_connections
            are_few = are_few or has_few_answers(trial.wrk, trial.open_connections)
            if count < fewest:
                fewest = count
                enough_s = math.ceil(MIN_ANSWERS * trial.wrk.duration_s / count)
    if not are_few:
        return None
    return (
        f"too few responses per connection ({fewest:.0f}) for a result: use -d {enough_s}s, "
        "or --metric p99"
    )


def reason_for_no_estimate(pairs: Sequence[Pair], metric: Metric, *, values: int) -> str | None:
    """Return why these pairs, with so many known values, give no ratio; None if they do."""
    saturated = [pair for pair in pairs if pair.is_saturated]
    if 2 * len(saturated) >= len(pairs):
        return f"{SATURATED}: this would compare load generators, not servers"
    valid_pairs = [pair for pair in pairs if pair.is_valid]
    if not valid_pairs:
        return "no round is valid for both"
    if not values:
        return "this metric is not known of both"
    # The CPU time of answers that were cut off counts as well, but a paired trial's wrks wait for
    # them, and at a rate all do.
    waits_for_all = pairs[0].target.method is Method.PAIRED or pairs[0].target.load.rate_per_s
    if metric is Metric.REQUESTS or (metric is Metric.CPU and not waits_for_all):
        reason = few_answers_reason(valid_pairs)
        if reason:
            return reason
    # With unequal shares a paired trial's throughputs show who got more of the cores.
    if (pairs[0].target.method, metric) == (Method.PAIRED, Metric.REQUESTS):
        shares_are_fair = all(pair.has_fair_shares for pair in valid_pairs)
        return None if shares_are_fair else "the servers' shares of the cores were unequal"
    return None
