"""Ranks of several targets, by all pairwise comparisons at once."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from micropie_benchlib.core.choices import Method
from micropie_benchlib.core.estimates import Comparison, Estimate, Rank, Ranking
from micropie_benchlib.core.loads import LoadId
from micropie_benchlib.core.metrics import Metric
from micropie_benchlib.core.results import Results
from micropie_benchlib.stats.comparisons import speeds_by_round
from micropie_benchlib.stats.deciding import CPU, REQUESTS, comparison_beside
from micropie_benchlib.stats.intervals import degrees_of_freedom, estimate_ratio
from micropie_benchlib.stats.verdicts import decisive_comparisons


@dataclass(frozen=True, slots=True, kw_only=True)
class PairwiseComparisons:
    """What targets did beside one reference, under one load, by one metric.

    `speeds` are by name and round; the reference's is 1. The number of rounds was chosen after
    `first_rounds`, if given.
    """

    load: LoadId
    method: Method
    metric: Metric
    reference: str
    speeds: Mapping[str, Mapping[int, float]]
    first_rounds: int | None

    def compare(self, target: str, other: str) -> Estimate | None:
        """Return how many times as fast as the other one a target is; None if unknown.

        The intervals of all pairs hold together with 95% confidence (Bonferroni; Tukey's
        narrower ones want samples that do not depend on each other, and here all share the
        reference).
        """
        speeds, others = self.speeds[target], self.speeds[other]
        ratios = {}
        for number in speeds:
            if number in others:
                ratios[number] = speeds[number] / others[number]
        return estimate_ratio(
            ratios.values(),
            confidence=1 - 0.05 / math.comb(len(self.speeds), 2),
            degrees=degrees_of_freedom(ratios, self.first_rounds),
        )

    def is_faster(self, target: str, other: str) -> bool:
        speed = self.compare(target, other)
        return bool(speed and speed.low > 1)

    def rank(self, target: str) -> Rank:
        """It comes behind all that are significantly faster, and before all that are slower.

        M. Mogstad et al., "Inference for Ranks with Applications to Mobility across
        Neighbourhoods and Academic Achievement across Countries", 2024.
        """
        faster = slower = 0
        for other in self.speeds:
            if other != target:
                faster += self.is_faster(other, target)
                slower += self.is_faster(target, other)
        return Rank(target=target, first=1 + faster, last=len(self.speeds) - slower)

    def ranking(self) -> Ranking:
        mean_speeds = {}
        for name, speeds in self.speeds.items():
            mean_speeds[name] = statistics.geometric_mean(speeds.values())
        in_order = sorted(mean_speeds, key=lambda name: -mean_speeds[name])
        return Ranking(
            load=self.load,
            method=self.method,
            metric=self.metric,
            reference=self.reference,
            confidence=0.95,
            ranks=tuple(map(self.rank, in_order)),
        )


def compare_pairwise(
    results: Results, decisive: Sequence[Comparison]
) -> PairwiseComparisons | None:
    """Where the `decisive` differ in their metric, it is plain requests/s, or at a rate CPU per
    request. Targets without a speed by it are left out; None if all are.
    """
    load, reference = decisive[0].load, decisive[0].reference
    kinds = {(comparison.method, comparison.metric) for comparison in decisive}
    kind = kinds.pop()
    if kinds:
        kind = CPU if load.rate_per_s else REQUESTS
    method, metric = kind
    speeds: dict[str, dict[int, float]] = {}
    for comparison in decisive:
        other = comparison_beside(results.comparisons, comparison, *kind)
        if other and other.estimate:
            speeds[comparison.target] = speeds_by_round(results, other)
    if not speeds:
        return None
    trials = results.trials(load, method)
    own_speed = {trial.round: 1.0 for trial in trials}  # in their order: the first stage's first
    return PairwiseComparisons(
        load=load,
        method=method,
        metric=metric,
        reference=reference,
        speeds={reference: own_speed, **speeds},
        first_rounds=results.settings.first_rounds if results.settings else None,
    )


def all_pairwise(results: Results) -> list[PairwiseComparisons]:
    groups: dict[tuple[LoadId, str], list[Comparison]] = {}
    for comparison in decisive_comparisons(results):
        if comparison.estimate:
            groups.setdefault((comparison.load, comparison.reference), []).append(comparison)
    found = []
    for decisive in groups.values():
        pairwise = compare_pairwise(results, decisive)
        if pairwise:
            found.append(pairwise)
    return found


def rankings_of(results: Results) -> list[Ranking]:
    found = all_pairwise(results)
    return [pairwise.ranking() for pairwise in found if len(pairwise.speeds) > 2]
