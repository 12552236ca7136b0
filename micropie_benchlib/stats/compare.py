"""One metric of one target under one load, compared with the reference's round by round."""

import dataclasses
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from micropie_benchlib.core.choices import Limit, Method, Verdict
from micropie_benchlib.core.estimates import Comparison
from micropie_benchlib.core.loads import LoadId
from micropie_benchlib.core.measurements import Measurement, WrkResult
from micropie_benchlib.core.metrics import Metric
from micropie_benchlib.stats.deciding import FAIR_SHARE, SATURATED
from micropie_benchlib.stats.intervals import degrees_of_freedom, estimate_ratio
from micropie_benchlib.stats.verdicts import judge


class Pair(NamedTuple):
    reference: Measurement
    target: Measurement

    @property
    def is_valid(self) -> bool:
        return self.reference.valid and self.target.valid

    @property
    def is_saturated(self) -> bool:
        limits = (self.reference.limited_by, self.target.limited_by)
        return Limit.LOAD_GENERATOR in limits

    @property
    def has_fair_shares(self) -> bool:
        """Whether both servers got the same CPU time, as far as it is known."""
        if not self.reference.use or not self.target.use:
            return True
        reference_s = self.reference.use.server_cpu_s
        target_s = self.target.use.server_cpu_s or 1
        return abs(reference_s / target_s - 1) < FAIR_SHARE


def pair_by_round(
    measurements: Iterable[Measurement], *, reference: str, target: str
) -> list[Pair]:
    """A paired trial is paired with its own partner's alone."""
    references: dict[int, Measurement] = {}
    targets: dict[int, Measurement] = {}
    for measurement in measurements:
        own = (measurement.target, measurement.partner)
        if own in ((reference, None), (reference, target)):
            references[measurement.round] = measurement
        elif own in ((target, None), (target, reference)):
            targets[measurement.round] = measurement
    return [Pair(references[number], targets[number]) for number in targets if number in references]


def ratios_by_round(pairs: Iterable[Pair], metric: Metric) -> dict[int, float]:
    ratios = {}
    for pair in pairs:
        reference_value, target_value = metric.read(pair.reference), metric.read(pair.target)
        if pair.is_valid and reference_value and target_value:
            ratios[pair.target.round] = target_value / reference_value
    return ratios


ONE_ROUND = "one round gives no interval"


def comparison_of(
    ratios: Mapping[int, float],
    *,
    load: LoadId,
    method: Method,
    metric: Metric,
    reference: str,
    target: str,
    confidence: float,
    first_rounds: int | None = None,
    reason: str | None = None,
) -> Comparison:
    """With a `reason` the ratios of the rounds say nothing."""
    estimate = degrees = None
    if not reason:
        degrees = degrees_of_freedom(ratios, first_rounds)
        estimate = estimate_ratio(ratios.values(), confidence=confidence, degrees=degrees)
        reason = None if estimate else ONE_ROUND
    comparison = Comparison(
        load=load,
        method=method,
        metric=metric,
        reference=reference,
        target=target,
        rounds=len(ratios),
        estimate=estimate,
        verdict=Verdict.INCONCLUSIVE,
        reason=reason,
        degrees=degrees,
    )
    return dataclasses.replace(comparison, verdict=judge(comparison.speed))


def compare_metric(
    pairs: Sequence[Pair], metric: Metric, *, confidence: float, first_rounds: int | None = None
) -> Comparison:
    """The pairs are those of one method and load, in the order of rounds."""
    ratios = ratios_by_round(pairs, metric)
    reference, target = pairs[0]
    return comparison_of(
        ratios,
        load=target.load,
        method=target.method,
        metric=metric,
        reference=reference.target,
        target=target.target,
        confidence=confidence,
        first_rounds=first_rounds,
        reason=reason_for_no_estimate(pairs, metric, values=len(ratios)),
    )


MIN_RESPONSES = 20  # of each connection in a trial: the one that is cut off is 5% of them
MIN_MIXED_RESPONSES = 10  # where all phases are cut off alike: half of one on average


def has_few_responses(wrk: WrkResult, open_connections: int) -> bool:
    """Return whether the responses that are cut off at the end leave no rate.

    Connections whose responses take the same time stay in step, and lose none or one each. They
    are out of step once latencies have varied by half of one: after n responses that vary by s
    each, by s x sqrt(n).
    """
    count = wrk.requests / open_connections
    latency = wrk.latency_uncorrected
    spread = 0.0
    if latency and latency.mean_s and count:
        spread = latency.stdev_s / latency.mean_s * math.sqrt(count)
    return count < (MIN_RESPONSES if spread < 0.5 else MIN_MIXED_RESPONSES)


def few_responses_reason(pairs: Iterable[Pair]) -> str | None:
    """Up to one response of each connection is cut off, in each trial the same share."""
    fewest, enough_s = math.inf, 0
    are_few = False
    for trial in itertools.chain(*pairs):
        if trial.wrk:
            count = trial.wrk.requests / trial.open_connections
            are_few = are_few or has_few_responses(trial.wrk, trial.open_connections)
            if count < fewest:
                fewest = count
                enough_s = math.ceil(MIN_RESPONSES * trial.wrk.duration_s / count)
    if not are_few:
        return None
    return (
        f"too few responses per connection ({fewest:.0f}) for a result: use -d {enough_s}s, "
        "or --metric p99"
    )


def reason_for_no_estimate(pairs: Sequence[Pair], metric: Metric, *, values: int) -> str | None:
    saturated = [pair for pair in pairs if pair.is_saturated]
    if 2 * len(saturated) >= len(pairs):
        return f"{SATURATED}: this would compare load generators, not servers"
    valid_pairs = [pair for pair in pairs if pair.is_valid]
    if not valid_pairs:
        return "no round is valid for both targets"
    if not values:
        return "this metric is not known for both"
    # The CPU time of responses that were cut off counts as well, but a paired trial's wrks wait for
    # them, and at a rate all do.
    waits_for_all = pairs[0].target.method is Method.PAIRED or pairs[0].target.load.rate_per_s
    if metric is Metric.REQUESTS or (metric is Metric.CPU and not waits_for_all):
        reason = few_responses_reason(valid_pairs)
        if reason:
            return reason
    # With unequal shares a paired trial's throughputs show who got more of the cores.
    if (pairs[0].target.method, metric) == (Method.PAIRED, Metric.REQUESTS):
        shares_are_fair = all(pair.has_fair_shares for pair in valid_pairs)
        return None if shares_are_fair else "the servers' shares of the cores were unequal"
    return None
