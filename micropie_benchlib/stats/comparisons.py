"""All comparisons of a run, capacities among them."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

from micropie_benchlib.core.choices import Method
from micropie_benchlib.core.estimates import Comparison
from micropie_benchlib.core.loads import LoadId
from micropie_benchlib.core.metrics import Metric
from micropie_benchlib.core.results import Results
from micropie_benchlib.stats.compare import compare_metric, degrees_of_freedom
from micropie_benchlib.stats.estimate import estimate_ratio
from micropie_benchlib.stats.pairs import ONE_ROUND
from micropie_benchlib.stats.verdicts import compared_metrics, judge


def compare_all(results: Results, names: Sequence[str]) -> tuple[Comparison, ...]:
    """Return all comparisons against the first name: by load, target, method, metric.

    With k targets beside the reference the intervals are widened to 1 - 0.05 / k, so
    that all of them hold together with 95% confidence (Bonferroni).
    """
    reference, *others = names
    first_rounds = results.settings.first_rounds if results.settings else None
    confidence = 1 - 0.05 / max(1, len(others))
    comparisons = []
    for load, target, method in itertools.product(results.reported_loads, others, Method):
        wanted = (load, method)
        measurements = [m for m in results.measurements if (m.load, m.method) == wanted]
        for metric in compared_metrics(method, load):
            comparison = compare_metric(
                measurements,
                metric=metric,
                reference=reference,
                target=target,
                confidence=confidence,
                first_rounds=first_rounds,
            )
            if comparison:
                comparisons.append(comparison)
    for load, target in itertools.product(results.reported_loads, others):
        capacity_comparison = compare_capacities(
            results, load, reference=reference, target=target, confidence=confidence
        )
        if capacity_comparison:
            comparisons.append(capacity_comparison)
    return tuple(comparisons)


def capacity_ratios(
    results: Results, load: LoadId, *, reference: str, target: str
) -> dict[int, float]:
    """Return the target's capacity over the reference's, of each round where both are known."""
    references = results.capacities_of(reference, load)
    ratios = {}
    for number, rate_per_s in results.capacities_of(target, load).items():
        if number in references:
            ratios[number] = rate_per_s / references[number]
    return ratios


def compare_capacities(
    results: Results, load: LoadId, *, reference: str, target: str, confidence: float
) -> Comparison | None:
    """Return the comparison of two targets' capacities; None where one was not sought."""
    names = (target, reference)
    sought = [each for each in results.capacities if each.load == load and each.target in names]
    if len({each.target for each in sought}) < 2:
        return None
    ratios = capacity_ratios(results, load, reference=reference, target=target)
    estimate = estimate_ratio(ratios.values(), confidence=confidence) if ratios else None
    reason = None
    if estimate is None:
        reasons = [each.reason for each in sought if each.reason]
        reason = (reasons or ["no round has a capacity of both"])[0]
    elif estimate.interval is None:
        reason = ONE_ROUND
    return Comparison(
        load=load,
        method=Method.SINGLE,
        metric=Metric.CAPACITY,
        reference=reference,
        target=target,
        rounds=len(ratios),
        estimate=estimate,
        verdict=judge(estimate),
        reason=reason,
        degrees=degrees_of_freedom(ratios, None),
    )


def derived(results: Results) -> Results:
    """Return the results with what follows from their facts.

    Each target is compared with its reference, beside the others that have the same one. Of
    a parsed text, whose targets nobody launched, nothing is compared.
    """
    compared: dict[str, list[str]] = {}
    for facts in results.targets:
        reference = facts.reference or results.names[0]
        targets = compared.setdefault(reference, [])
        if facts.name != reference:
            targets.append(facts.name)
    comparisons: list[Comparison] = []
    for reference, targets in compared.items():
        comparisons += compare_all(results, [reference, *targets])
    return dataclasses.replace(results, comparisons=tuple(comparisons))


def with_comparisons(results: Results, names: Sequence[str]) -> Results:
    """Return the results with the comparisons that their measurements give."""
    return dataclasses.replace(results, comparisons=compare_all(results, names))
