"""Ranks of several targets, by all pairwise comparisons at once."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from micropie_benchlib.core.choices import Method
from micropie_benchlib.core.estimates import Comparison, Estimate, Rank, Ranking
from micropie_benchlib.core.loads import LoadId
from micropie_benchlib.core.metrics import Metric
from micropie_benchlib.core.results import Results
from micropie_benchlib.stats.compare import degrees_of_freedom, reason_for_no_estimate
from micropie_benchlib.stats.comparisons import capacity_ratios
from micropie_benchlib.stats.estimate import estimate_ratio
from micropie_benchlib.stats.pairs import pair_by_round, ratios_by_round
from micropie_benchlib.stats.verdicts import decisive_comparisons


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """What targets did against one reference, under one load, by one metric.

    `speeds` has the speed of each target in each round, by name and round; the reference's
    is 1. The number of rounds was chosen after `first_rounds`, if that is given.
    """

    load: LoadId
    method: Method
    metric: Metric
    reference: str
    speeds: Mapping[str, Mapping[int, float]]
    first_rounds: int | None

    def compare(self, target: str, other: str) -> Estimate | None:
        """Return how many times as fast as the other one a target is; None if unknown.

        It goes by the rounds in which both met the reference. The intervals of all pairs
        hold together with 95% confidence (Bonferroni; Tukey's narrower ones want samples of
        one variance that do not depend on each other, and here all share the reference).
        """
        speeds, others = self.speeds[target], self.speeds[other]
        ratios = {}
        for number in speeds:
            if number in others:
                ratios[number] = speeds[number] / others[number]
        if not ratios:
            return None
        return estimate_ratio(
            ratios.values(),
            confidence=1 - 0.05 / math.comb(len(self.speeds), 2),
            degrees=degrees_of_freedom(ratios, self.first_rounds),
        )

    def is_faster(self, target: str, other: str) -> bool:
        """Return whether a target is surely faster than the other one."""
        speed = self.compare(target, other)
        return bool(speed and speed.interval and speed.interval.low > 1)

    def rank(self, target: str) -> Rank:
        """Return which place a target surely has.

        It comes behind all that are surely faster, and before all that are surely slower
        (M. Mogstad et al., "Inference for Ranks with Applications to Mobility across
        Neighbourhoods and Academic Achievement across Countries", 2024).
        """
        others = [name for name in self.speeds if name != target]
        faster = sum(self.is_faster(other, target) for other in others)
        slower = sum(self.is_faster(target, other) for other in others)
        return Rank(target=target, first=1 + faster, last=len(self.speeds) - slower)

    def ranking(self) -> Ranking:
        """Return the order of the targets."""
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


def contest_of(results: Results, comparisons: Sequence[Comparison]) -> Contest | None:
    """Return the contest of all that were compared with one reference under one load.

    `comparisons` are those that the verdicts go by. Where these differ in their metric, it
    is plain requests/s, or at a rate CPU per request. Targets without a speed by it are left
    out; None if all are.
    """
    first = comparisons[0]
    kinds = {(comparison.method, comparison.metric) for comparison in comparisons}
    plain = Metric.CPU if first.load.rate_per_s else Metric.REQUESTS
    method, metric = kinds.pop() if len(kinds) == 1 else (Method.SINGLE, plain)
    trials = [m for m in results.measurements if (m.load, m.method) == (first.load, method)]
    own_speed = {trial.round: 1.0 for trial in trials}  # in their order: the first stage's first
    speeds: dict[str, Mapping[int, float]] = {first.reference: own_speed}
    for comparison in comparisons:
        names = {"reference": first.reference, "target": comparison.target}
        if metric is Metric.CAPACITY:
            ratios = capacity_ratios(results, first.load, **names)
        else:
            pairs = pair_by_round(trials, **names)
            ratios = ratios_by_round(pairs, metric)
            if reason_for_no_estimate(pairs, metric, values=len(ratios)):
                continue
        power = 1 if metric.facts.higher_is_faster else -1
        speeds[comparison.target] = {number: ratios[number] ** power for number in ratios}
    if len(speeds) < 2:
        return None
    return Contest(
        load=first.load,
        method=method,
        metric=metric,
        reference=first.reference,
        speeds=speeds,
        first_rounds=results.settings.first_rounds if results.settings else None,
    )


def contests(results: Results) -> list[Contest]:
    """Return the contests: one for each load and reference."""
    groups: dict[tuple[LoadId, str], list[Comparison]] = {}
    for comparison in decisive_comparisons(results):
        if comparison.estimate:
            groups.setdefault((comparison.load, comparison.reference), []).append(comparison)
    found = []
    for comparisons in groups.values():
        contest = contest_of(results, comparisons)
        if contest:
            found.append(contest)
    return found


def rankings_of(results: Results) -> list[Ranking]:
    """Return the orders of more than two targets."""
    return [contest.ranking() for contest in contests(results) if len(contest.speeds) > 2]
