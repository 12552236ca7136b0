"""Whether a slower target fails the run."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from micropie_benchlib.core.results import Results
from micropie_benchlib.stats.changes import Change, changes_between
from micropie_benchlib.stats.deciding import chosen_metric, may_decide_all


class GateOutcome(StrEnum):
    """Whether an interval lies below the margin of a slowdown, beyond it, or on both sides."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True, kw_only=True)
class GateDecision:
    margin: float
    changes: tuple[Change, ...]
    has_baseline: bool

    def outcome_of(self, change: Change) -> GateOutcome:
        if change.low > 1 + self.margin:
            return GateOutcome.FAILED
        if change.high > 1 + self.margin:
            return GateOutcome.INCONCLUSIVE
        return GateOutcome.PASSED

    @property
    def outcome(self) -> GateOutcome:
        """The worst of all outcomes: failed if there is nothing to decide by."""
        outcomes = [self.outcome_of(change) for change in self.changes]
        for outcome in (GateOutcome.FAILED, GateOutcome.INCONCLUSIVE, GateOutcome.PASSED):
            if outcome in outcomes:
                return outcome
        return GateOutcome.FAILED


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """When a slower target fails the run: beyond the margin, a share such as 0.05.

    Each target is compared with the baseline's, or with the reference if there is none.
    """

    margin: float
    baseline: Results | None

    def decide(self, results: Results) -> GateDecision:
        """Return the decision: by intervals, never by a point estimate."""
        chosen = chosen_metric(results)
        baseline = may_decide_all(self.baseline, chosen) if self.baseline else None
        changes = changes_between(may_decide_all(results, chosen), baseline, chosen=chosen)
        return GateDecision(
            margin=self.margin, changes=tuple(changes), has_baseline=self.baseline is not None
        )
