"""Whether a slower target fails the run."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from micropie_benchlib.core.loads import LoadId
from micropie_benchlib.core.results import Results
from micropie_benchlib.core.text import UNKNOWN, pluralize
from micropie_benchlib.core.warnings import BenchWarning, Kind
from micropie_benchlib.stats.changes import Change, changes_between
from micropie_benchlib.stats.deciding import chosen_metric, may_decide_all
from micropie_benchlib.stats.equal_work import changed_responses


def is_whole(results: Results) -> bool:
    kinds = {warning.kind for warning in results.warnings}
    if results.early_end or Kind.TOO_SLOW in kinds:
        return False
    for trial in results.measurements:
        if not trial.valid and not results.is_step(trial.load):
            return False
    return all(capacity.rate_per_s for capacity in results.capacities)


def machine_of(results: Results) -> str:
    """Empty where it is not known."""
    environment = results.environment
    if environment is None:
        return ""
    cores = pluralize(environment.cpu_count, "CPU")
    return f"{environment.cpu_model or UNKNOWN}, {cores}, kernel {environment.kernel}"


class GateOutcome(StrEnum):
    """The worst comes first. Not measured: there is no interval."""

    FAILED = "failed"
    NOT_MEASURED = "not measured"
    INCONCLUSIVE = "inconclusive"
    PASSED = "passed"


def worst(outcomes: Iterable[GateOutcome]) -> GateOutcome:
    return min(outcomes, key=[*GateOutcome].index, default=GateOutcome.PASSED)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateDecision:
    gate: Gate
    changes: tuple[Change, ...] = ()
    unknown: tuple[tuple[str, LoadId], ...] = ()

    def outcome_of(self, change: Change) -> GateOutcome:
        slowdown = change.speed.inverse()
        if slowdown.low > 1 + self.gate.margin:
            return GateOutcome.FAILED
        is_certain = slowdown.high <= 1 + self.gate.margin
        return GateOutcome.PASSED if is_certain else GateOutcome.INCONCLUSIVE

    @property
    def outcome(self) -> GateOutcome:
        outcomes = list(map(self.outcome_of, self.changes))
        if self.unknown:
            outcomes.append(GateOutcome.NOT_MEASURED)
        return worst(outcomes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """When a slower target fails the run: beyond the margin, a share such as 0.05.

    Each target is compared with the baseline's, or without one with the reference. Where the
    results are to be the `new_baseline`, a file, nothing is compared.
    """

    margin: float
    baseline: Results | None = None
    new_baseline: str | None = None

    def changes_since_baseline(self, results: Results) -> list[BenchWarning]:
        if not self.baseline:
            return []
        changes = []
        then, here = machine_of(self.baseline), machine_of(results)
        if then and here and then != here:
            changes.append(BenchWarning.of(Kind.OTHER_MACHINE, baseline=then, here=here))
        for before, now in itertools.product(self.baseline.targets, results.targets):
            if before.name == now.name:
                changes += changed_responses(before, now)
        return changes

    def decide(self, results: Results) -> GateDecision:
        """By intervals, never by a point estimate."""
        pairs = tuple(itertools.product(results.names[1:], results.reported_loads))
        if self.new_baseline:
            return GateDecision(gate=self, unknown=() if is_whole(results) else pairs)
        chosen = chosen_metric(results)
        baseline = may_decide_all(self.baseline, chosen) if self.baseline else None
        changes = changes_between(may_decide_all(results, chosen), baseline, chosen=chosen)
        unknown = dict.fromkeys(pairs)
        for change in changes:
            comparison = change.comparison
            unknown.pop((comparison.target, comparison.load), None)
        return GateDecision(gate=self, changes=tuple(changes), unknown=tuple(unknown))
