"""Whether a slower target fails the run."""

from __future__ import annotations

from dataclasses import dataclass

from micropie_benchlib.core.results import Results
from micropie_benchlib.stats.changes import Change, changes_between
from micropie_benchlib.stats.deciding import chosen_metric, may_decide_all


@dataclass(frozen=True, slots=True, kw_only=True)
class GateDecision:
    """Whether a slower target fails the run, and the changes by which that is decided."""

    margin: float
    changes: tuple[Change, ...]
    has_baseline: bool

    def is_slower(self, change: Change) -> bool:
        """Return whether the interval lies beyond the margin as a whole."""
        return change.low > 1 + self.margin

    def may_be_slower(self, change: Change) -> bool:
        """Return whether a part of the interval lies beyond the margin."""
        return change.high > 1 + self.margin

    @property
    def fails(self) -> bool:
        """Whether any target is slower with confidence, or there is nothing to go by."""
        return not self.changes or any(map(self.is_slower, self.changes))


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
