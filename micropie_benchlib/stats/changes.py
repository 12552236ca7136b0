"""How speeds changed since a baseline."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from micropie_benchlib.core.choices import Decisive
from micropie_benchlib.core.estimates import Comparison, Estimate
from micropie_benchlib.stats.deciding import comparison_beside, deciding_metrics
from micropie_benchlib.stats.intervals import estimate_of_logs
from micropie_benchlib.stats.verdicts import log_standard_error


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """How many times as fast as what it is compared with a target is, by one comparison."""

    comparison: Comparison
    speed: Estimate


def speed_since(before: Comparison, now: Comparison) -> Estimate | None:
    """Return the speed now over the one before.

    The interval is Welch's: the two variances add, the degrees of freedom are by Welch and
    Satterthwaite (B. L. Welch, "The generalization of Student's problem when several different
    population variances are involved", 1947), rounded down.
    """
    error, error_before = log_standard_error(now), log_standard_error(before)
    if error is None or error_before is None or not now.speed or not before.speed:
        return None
    variance = error**2 + error_before**2
    spread = error**4 / (now.degrees or 1) + error_before**4 / (before.degrees or 1)
    degrees = math.floor(variance**2 / spread) if spread else 1
    return estimate_of_logs(
        math.log(now.speed.ratio / before.speed.ratio),
        math.sqrt(variance),
        degrees=max(1, min(degrees, 1000)),
        confidence=now.speed.confidence,
    )


def changes_between(
    comparisons: Iterable[Comparison],
    baseline: Sequence[Comparison] | None,
    *,
    chosen: Decisive | None = None,
) -> list[Change]:
    """Relative to a baseline's speeds, if given: a difference between machines cancels."""
    changes = {}
    for comparison in comparisons:
        speed = comparison.speed
        kind = (comparison.method, comparison.metric)
        if baseline is not None:
            before = comparison_beside(baseline, comparison, *kind)
            speed = speed_since(before, comparison) if before else None
        if speed:
            key = (comparison.target, comparison.load, *kind)
            changes[key] = Change(comparison=comparison, speed=speed)
    deciding = []
    for target, load in dict.fromkeys(key[:2] for key in changes):
        for kind in deciding_metrics(load, chosen):
            if (target, load, *kind) in changes:
                deciding.append(changes[target, load, *kind])
                break
    return deciding
