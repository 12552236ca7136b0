"""Whether the figures of a results file agree with each other."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from micropie_benchlib.core.choices import Method, Verdict
from micropie_benchlib.core.estimates import Comparison
from micropie_benchlib.core.measurements import ROUNDING, Measurement
from micropie_benchlib.core.metrics import Metric, valid_runs
from micropie_benchlib.core.results import Environment, Results
from micropie_benchlib.core.values import LEAST_RATIO, MOST_RATIO
from micropie_benchlib.stats.changes import comparison_key
from micropie_benchlib.stats.comparisons import capacity_ratios
from micropie_benchlib.stats.estimate import estimate_ratio
from micropie_benchlib.stats.pairs import pair_by_round, ratios_by_round
from micropie_benchlib.stats.search import CLOSE_BOUNDS, Outcome, outcome_of
from micropie_benchlib.stats.validity import busy_connections
from micropie_benchlib.stats.verdicts import judge
from micropie_benchlib.wrk.report_notes import MOST_BUSY


def contradictions(results: Results) -> Iterator[str]:
    """Yield what in the results contradicts something else there, each with its place."""
    yield from repetitions("targets", [facts.name for facts in results.targets])
    yield from repetitions("measurements", [trial_key(each) for each in results.measurements])
    yield from repetitions("comparisons", [comparison_key(each) for each in results.comparisons])
    yield from repetitions(
        "distributions", [(each.target, each.load) for each in results.distributions]
    )
    yield from repetitions(
        "capacities", [(each.round, each.target, each.load) for each in results.capacities]
    )
    yield from contradictions_in_measurements(results)
    yield from contradictions_in_capacities(results)
    yield from contradictions_in_comparisons(results)
    for number, distribution in enumerate(results.distributions):
        place = f"distributions.{number}"
        if not results.solo_trials(distribution.target, distribution.load):
            yield f"{place} is of a target and a load that were not measured"
        if not ascends(distribution.percentiles):
            yield f"{place} has percentiles that do not ascend"
        runs = valid_runs(results.solo_trials(distribution.target, distribution.load))
        longest_s = max((run.latency.max_s for run in runs if run.latency), default=math.inf)
        most_s = longest_s * (1 + ROUNDING)
        if distribution.percentiles and distribution.percentiles[-1][1] > most_s:
            yield f"{place} has latencies above the longest of its trials"


def repetitions(place: str, keys: Sequence[Any]) -> Iterator[str]:
    """Yield which of the keys at that place was there before."""
    first: dict[Any, int] = {}
    for number, key in enumerate(keys):
        if first.setdefault(key, number) != number:
            yield f"{place}.{number} is of the same as {place}.{first[key]}"


def trial_key(measurement: Measurement) -> tuple[Any, ...]:
    """Return what tells a measurement from all others of its run."""
    trial = (measurement.round, measurement.method, measurement.load)
    return (*trial, measurement.target, measurement.partner)


def ascends(percentiles: Iterable[tuple[float, float]]) -> bool:
    """Return whether each percent is higher than the one before, and no latency lower."""
    for (percent, seconds), (next_percent, next_seconds) in itertools.pairwise(percentiles):
        if next_percent <= percent or next_seconds < seconds:
            return False
    return True


def contradictions_in_measurements(results: Results) -> Iterator[str]:
    """Yield which measurements the run cannot have had."""
    settings = results.settings
    known = [facts.name for facts in results.targets]
    for number, measurement in enumerate(results.measurements):
        place = f"measurements.{number}"
        for name in filter(None, (measurement.target, measurement.partner)):
            if known and name not in known:
                yield f"{place} is of {name!r}, which is not among the targets"
        if settings is None:  # of a parsed text errors and contradictions are notes
            continue
        wrk = measurement.wrk
        if wrk and wrk.contradiction:
            yield f"{place}.wrk cannot be: {wrk.contradiction}"
        if measurement.valid and has_more_busy_than_open(measurement):
            yield f"{place} is valid, though by Little's law more connections were busy than open"
        if measurement.valid and has_more_cpu_than_cores(measurement, results.environment):
            yield f"{place}.use has more CPU time than all cores have in that time"
        if wrk and wrk.errors.total and measurement.valid:
            yield f"{place} is valid in spite of its errors"
        if measurement.round > settings.rounds:
            yield f"{place} is of round {measurement.round} of {settings.rounds}"
        if measurement.load.connections not in settings.connections:
            yield f"{place} is of connections that are not among the settings'"
        if measurement.load.workload not in [workload.name for workload in settings.workloads]:
            yield f"{place} is of a workload that is not among the settings'"


def contradictions_in_capacities(results: Results) -> Iterator[str]:
    """Yield which capacities are not those of the rates that were tried."""
    for number, capacity in enumerate(results.capacities):
        if capacity.rate_per_s is None:
            continue
        own = (capacity.round, capacity.target)
        kept_per_s = []
        for trial in results.measurements:
            if (trial.round, trial.target) != own or trial.load.without_rate != capacity.load:
                continue
            is_kept = outcome_of(trial, capacity.p99_limit_s) is Outcome.KEPT
            if trial.load.rate_per_s and is_kept:
                kept_per_s.append(trial.load.rate_per_s)
        highest_per_s = max(kept_per_s, default=0.0)
        if not highest_per_s <= capacity.rate_per_s <= CLOSE_BOUNDS * highest_per_s:
            yield f"capacities.{number} is not near the highest rate that kept its limit"


CPU_LEEWAY_S = 5.0  # for what a server does before and after a trial's time


def has_more_cpu_than_cores(measurement: Measurement, environment: Environment | None) -> bool:
    """Return whether a server used more CPU time than all cores have until its last answer."""
    wrk, use = measurement.wrk, measurement.use
    if not wrk or not use or not environment:
        return False
    longest_s = wrk.latency.max_s if wrk.latency else 0.0
    most_s = environment.cpu_count * (wrk.duration_s + longest_s + CPU_LEEWAY_S)
    return use.server_cpu_s > most_s


def has_more_busy_than_open(measurement: Measurement) -> bool:
    """Return whether a solo trial without a rate had more busy connections than open ones."""
    if measurement.method is not Method.SOLO or measurement.load.rate_per_s:
        return False
    busy = busy_connections(measurement.wrk) if measurement.wrk else None
    return busy is not None and busy > MOST_BUSY * measurement.open_connections * (1 + ROUNDING)


def contradictions_in_comparisons(results: Results) -> Iterator[str]:
    """Yield which comparisons have more rounds than were measured, or another verdict."""
    rounds: dict[tuple[Any, ...], set[int]] = {}
    for measurement in filter(lambda each: each.valid, results.measurements):
        key = (measurement.load, measurement.method, measurement.target, measurement.partner)
        rounds.setdefault(key, set()).add(measurement.round)
    for number, comparison in enumerate(results.comparisons):
        place = f"comparisons.{number}"
        target, reference = comparison.target, comparison.reference
        for name in (target, reference):
            if name not in results.names:
                yield f"{place} is of {name!r}, which was not measured"
        is_duet = comparison.method is Method.DUET
        load = (comparison.load, comparison.method)
        own = rounds.get((*load, target, reference if is_duet else None), set())
        others = rounds.get((*load, reference, target if is_duet else None), set())
        if comparison.rounds > len(own & others):
            yield f"{place} has more rounds than are valid of both targets"
        if not has_estimate_of_rounds(results, comparison):
            yield f"{place} has another ratio, or interval, than its rounds give"
        if not may_be_verdict(comparison):
            yield f"{place} has a verdict, {comparison.verdict}, that its interval does not give"


def has_estimate_of_rounds(results: Results, comparison: Comparison) -> bool:
    """Return whether the estimate is that of the measurements, where all of these have values."""
    if comparison.metric is Metric.CAPACITY:
        ratios = capacity_ratios(
            results, comparison.load, reference=comparison.reference, target=comparison.target
        )
    else:
        kind = (comparison.load, comparison.method)
        trials = [trial for trial in results.measurements if (trial.load, trial.method) == kind]
        pairs = pair_by_round(trials, reference=comparison.reference, target=comparison.target)
        ratios = ratios_by_round(pairs, comparison.metric)
    estimate, degrees = comparison.estimate, comparison.degrees
    if estimate is None or len(ratios) < comparison.rounds:
        return True
    are_possible = all(LEAST_RATIO <= ratio <= MOST_RATIO for ratio in ratios.values())
    if len(ratios) != comparison.rounds or not ratios or not are_possible:
        return False
    if degrees and degrees > comparison.rounds - 1:
        return False
    expected = estimate_ratio(ratios.values(), confidence=estimate.confidence, degrees=degrees)
    if not math.isclose(estimate.ratio, expected.ratio, rel_tol=1e-6):
        return False
    interval, expected_interval = estimate.interval, expected.interval
    if interval is None or expected_interval is None:
        return interval is expected_interval
    are_close = functools.partial(math.isclose, rel_tol=1e-6)
    return all(map(are_close, interval, expected_interval))


def may_be_verdict(comparison: Comparison) -> bool:
    """Return whether the interval can have given the verdict.

    How near to 1 is the same may differ between versions.
    """
    interval = comparison.speed.interval if comparison.speed else None
    if comparison.verdict is Verdict.UNDECIDED:
        return True
    if interval is None or interval.contains(1):
        return interval is not None and comparison.verdict is Verdict.SAME
    return comparison.verdict is judge(comparison.speed)
