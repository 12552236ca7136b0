"""All that follows from a run's measurements: comparisons, capacities', and distributions."""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence

from micropie_benchlib.core.choices import Method
from micropie_benchlib.core.estimates import Comparison, Distribution
from micropie_benchlib.core.loads import LoadId
from micropie_benchlib.core.metrics import Metric, valid_runs
from micropie_benchlib.core.results import Results
from micropie_benchlib.stats.compare import (
    compare_metric,
    comparison_of,
    pair_by_round,
    ratios_by_round,
)
from micropie_benchlib.stats.verdicts import compared_metrics, decisive_comparisons
from micropie_benchlib.wrk.histogram import histogram_percentile, pool

# Of the charts and the results file; tables show 50, 90, 99 and 99.9.
PERCENTS = (
    *(0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 75.0, 80.0, 90.0, 95.0, 98.0, 99.0),
    *(99.5, 99.8, 99.9, 99.95, 99.99, 100.0),
)


def with_derived(results: Results) -> Results:
    targets_by_reference: dict[str, list[str]] = {}
    for facts in results.targets:
        reference = facts.reference or results.names[0]
        targets = targets_by_reference.setdefault(reference, [])
        if facts.name != reference:
            targets.append(facts.name)
    comparisons: list[Comparison] = []
    for reference, targets in targets_by_reference.items():
        comparisons += compare_all(results, reference, targets)
    results = dataclasses.replace(results, comparisons=tuple(comparisons))
    # A file has no histograms: there they are as recorded.
    distributions = tuple(distribute(results)) or results.distributions
    return dataclasses.replace(results, distributions=distributions)


def compare_all(results: Results, reference: str, targets: Sequence[str]) -> Iterator[Comparison]:
    """Return all comparisons with the reference: by load, target, method, metric."""
    settings = results.settings
    first_rounds = settings.first_rounds if settings else None
    confidence = 1 - 0.05 / max(1, len(targets))  # of each, so that all hold (Bonferroni)
    loads = results.reported_loads
    for load, target, method in itertools.product(loads, targets, Method):
        trials = results.trials(load, method)
        pairs = pair_by_round(trials, reference=reference, target=target)
        if not pairs:
            continue
        for metric in compared_metrics(method, load):
            yield compare_metric(pairs, metric, confidence=confidence, first_rounds=first_rounds)
    searched = {(capacity.load, capacity.target) for capacity in results.capacities}
    for load, target in itertools.product(loads, targets):
        if {(load, target), (load, reference)} <= searched:
            ratios = capacity_ratios(results, load, reference=reference, target=target)
            yield comparison_of(
                ratios,
                load=load,
                method=Method.SINGLE,
                metric=Metric.CAPACITY,
                reference=reference,
                target=target,
                confidence=confidence,
                reason=None if ratios else "no round has a capacity for both targets",
            )


def capacity_ratios(
    results: Results, load: LoadId, *, reference: str, target: str
) -> dict[int, float]:
    references = results.capacities_of(reference, load)
    ratios = {}
    for number, rate_per_s in results.capacities_of(target, load).items():
        if number in references:
            ratios[number] = rate_per_s / references[number]
    return ratios


def speeds_by_round(results: Results, comparison: Comparison) -> dict[int, float]:
    names = {"reference": comparison.reference, "target": comparison.target}
    if comparison.metric is Metric.CAPACITY:
        ratios = capacity_ratios(results, comparison.load, **names)
    else:
        trials = results.trials(comparison.load, comparison.method)
        pairs = pair_by_round(trials, **names)
        ratios = ratios_by_round(pairs, comparison.metric)
    power = 1 if comparison.metric.higher_is_faster else -1
    return {number: ratio**power for number, ratio in ratios.items()}


def distribute(results: Results) -> Iterator[Distribution]:
    method_by_load = latency_methods(results)
    for load, name in itertools.product(results.reported_loads, results.names):
        method = method_by_load.get(load, Method.SINGLE)
        runs = valid_runs(results.trials_of(name, load, method))
        pooled = pool(run.latency.histogram for run in runs if run.latency)
        if not pooled:
            continue
        percentiles = []
        for percent in PERCENTS:
            percentiles.append((percent, histogram_percentile(pooled, percent)))
        yield Distribution(target=name, load=load, method=method, percentiles=tuple(percentiles))


def latency_methods(results: Results) -> dict[LoadId, Method]:
    methods: dict[LoadId, Method] = {}
    for comparison in decisive_comparisons(results):
        if comparison.load.rate_per_s:
            methods.setdefault(comparison.load, comparison.method)
    return methods
