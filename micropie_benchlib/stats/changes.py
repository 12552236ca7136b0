"""How speeds changed since a baseline."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from micropie_benchlib.core.choices import Decisive, Method
from micropie_benchlib.core.estimates import Comparison
from micropie_benchlib.core.loads import LoadId
from micropie_benchlib.core.metrics import Metric
from micropie_benchlib.stats.deciding import deciding_metrics
from micropie_benchlib.stats.intervals import WIDEST_LOG, student_t
from micropie_benchlib.stats.verdicts import log_standard_error

# What must be alike in two comparisons: target, reference, load, method and metric.
Key = tuple[str, str, LoadId, Method, Metric]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """By how much a target is slower than what it is compared with.

    `slowdown` is a ratio, 1 is no change; low and high are the ends of its interval. `error`
    is the standard error of its logarithm, with `degrees` of freedom.
    """

    comparison: Comparison
    slowdown: float
    error: float
    degrees: int
    confidence: float

    @property
    def half_log(self) -> float:
        return min(WIDEST_LOG, student_t(self.confidence, self.degrees) * self.error)

    @property
    def low(self) -> float:
        return self.slowdown * math.exp(-self.half_log)

    @property
    def high(self) -> float:
        return self.slowdown * math.exp(self.half_log)


def slowdowns(comparisons: Iterable[Comparison]) -> dict[Key, Change]:
    found = {}
    for each in comparisons:
        speed, error = each.speed, log_standard_error(each)
        if speed and error is not None and each.degrees:
            key = (each.target, each.reference, each.load, each.method, each.metric)
            found[key] = Change(
                comparison=each,
                slowdown=1 / speed.ratio,
                error=error,
                degrees=each.degrees,
                confidence=speed.confidence,
            )
    return found


def difference(now: Change, before: Change) -> Change:
    """Return the slowdown now over the one before.

    The interval is Welch's: the two variances add, the degrees of freedom are by Welch
    and Satterthwaite (B. L. Welch, "The generalization of Student's problem when several
    different population variances are involved", 1947), rounded down.
    """
    variance = now.error**2 + before.error**2
    spread = now.error**4 / now.degrees + before.error**4 / before.degrees
    degrees = math.floor(variance**2 / spread) if spread else 1
    return Change(
        comparison=now.comparison,
        slowdown=now.slowdown / before.slowdown,
        error=math.sqrt(variance),
        degrees=max(1, min(degrees, 1000)),
        confidence=now.confidence,
    )


def changes_between(
    comparisons: Iterable[Comparison],
    baseline: Iterable[Comparison] | None,
    *,
    chosen: Decisive | None = None,
) -> list[Change]:
    """Return how much slower each target is, by the metric of the verdict.

    Without a baseline that is than the reference. With one it is the ratio to the
    reference now over the ratio then, so that a difference between machines cancels.
    """
    changes = slowdowns(comparisons)
    if baseline is not None:
        earlier = slowdowns(baseline)
        shared = [key for key in changes if key in earlier]
        changes = {key: difference(changes[key], earlier[key]) for key in shared}
    by_target: dict[tuple[str, LoadId], dict[tuple[Method, Metric], Change]] = {}
    for (target, _, load, method, metric), change in changes.items():
        by_target.setdefault((target, load), {})[method, metric] = change
    deciding = []
    for (_, load), by_kind in by_target.items():
        kinds = [kind for kind in deciding_metrics(load, chosen) if kind in by_kind]
        if kinds:
            deciding.append(by_kind[kinds[0]])
    return deciding
